"""A controller that dies at its n-th record of the journal, for every n: one command finishes or undoes the rollout."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tcptune.domain.runs import HostState
from tcptune.errors import UsageError
from tests.unit.workflows.rolling import (
    BACK,
    CONFIRMED,
    PLANNED,
    TEXT,
    Killed,
    Story,
    gone,
)

QUICK = TEXT.replace("90s", "1s")
HARMED = {"web2"}
"""The host of the second wave whose gate fails once it is changed."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder in memory where there is one: each of some hundred rollouts has a journal of its own."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of our own below it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def fresh(folder: Path, number: int, text: str, harmed: set[str]) -> Story:
    """Give a story with a journal of its own, which need not be made anew."""
    made = folder / "journal.sqlite"
    if not made.exists():
        Story(folder, text).journal.database.engine.dispose()
    (own := folder / str(number)).mkdir()
    copy(made, own)
    story = Story(own, text)
    story.broken = harmed
    return story


class Dying:
    """Lets so many writes of a journal through, and dies right after the last, or right before the next."""

    def __init__(self, story: Story, writes: int) -> None:
        self.left = writes
        self._database = story.journal.database
        self._through = self._database.write
        self._database.write = self._write  # type: ignore[method-assign]

    def _write(self, work: Callable[[Session, str], None], **options: Any) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        self._through(work, **options)

    def over(self) -> None:
        self._database.write = self._through  # type: ignore[method-assign]


def killed_after(story: Story, writes: int, command: Callable[[], int]) -> bool:
    """Run a command that dies after so many writes. Return whether it did."""
    dying = Dying(story, writes)
    try:
        command()
    except Killed:
        return True
    finally:
        dying.over()
        if story.journal.runs():
            gone(story)
        for lock in story.journal.locks.locks():
            # Long enough later for the lease of a claim that was made before the run was recorded.
            with story.journal.database.writing.begin() as connection:
                connection.exec_driver_sql(f"DELETE FROM host_locks WHERE host = '{lock.host}'")  # noqa: S608
    return False


def finished(story: Story) -> None:
    """Take the rollout up again, unless all of it was done."""
    try:
        story.resume()
    except UsageError as nothing:
        assert "nothing is left to do" in str(nothing)  # noqa: PT017  # it is no error here


@pytest.mark.parametrize(("harmed", "extra"), [(set(), ""), (HARMED, ""), (HARMED, "on_failure: roll_back_all\n")])
def test_a_rollout_that_dies_anywhere_is_finished_by_resume(folder: Path, extra: str, harmed: set[str]) -> None:
    first = BACK if harmed and extra else CONFIRMED
    end = [first, BACK, PLANNED, PLANNED] if harmed else [CONFIRMED] * 4
    for writes in range(0, 200, 2):
        story = fresh(folder, writes, QUICK + extra, harmed)
        died = killed_after(story, writes, story.begin)
        if story.journal.runs():
            finished(story)
            assert story.states() == end, writes
            assert story.waves()[0] == ("rolled back" if first is BACK else "confirmed"), writes
            assert story.waves()[1:] == (["rolled back", "left out"] if harmed else ["confirmed"] * 2), writes
            assert story.journal.find("r1")[0].at_work is None, writes
        else:
            assert story.applier.calls == [], writes
        if not died:
            break
    assert writes > 20


@pytest.mark.parametrize("harmed", [set(), HARMED])
def test_a_rollout_that_dies_anywhere_is_undone_by_rollback_which_may_die_too(folder: Path, harmed: set[str]) -> None:
    for writes in range(0, 200, 3):
        story = fresh(folder, writes, QUICK, harmed)
        died = killed_after(story, writes, story.begin)
        if story.journal.runs():
            killed_after(story, writes % 9, story.back)
            story.back()
            assert set(story.states()) <= {BACK, PLANNED}, writes
            assert set(story.waves()) <= {"rolled back", "left out"}, writes
            assert story.journal.find("r1")[0].at_work is None, writes
        if not died:
            break
    assert writes > 20


def test_a_way_back_that_dies_anywhere_is_finished_by_resume_and_no_wave_begins(folder: Path) -> None:
    for writes in range(100):
        story = fresh(folder, writes, QUICK, set())
        killed_after(story, 15, story.begin)
        before = len(story.acts("apply"))
        died = killed_after(story, writes, story.back)
        left = [r.host for r in story.journal.find("r1")[0].results if r.state in {HostState.HELD, CONFIRMED}]
        if any(state == "failed" for state in story.waves()) or not left:
            finished(story)
            assert len(story.acts("apply")) == before, writes
            assert set(story.states()) <= {BACK, PLANNED}, writes
        if not died:
            break
    assert writes > 5
