"""A PostgreSQL journal that goes away in a rollout: it waits and goes on by itself, or ends, and is resumed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tcptune.domain.events import Event, RolloutEnded, SoakBegan, Waiting, WaveBegan
from tests.acceptance import agreement, retold
from tests.acceptance.command import TRACEBACK, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.killing import PATIENCE_S
from tests.acceptance.machine import ALLOWED, WANTED, Machine
from tests.acceptance.test_rollout import planned, policy, story
from tests.journal.conftest import serving
from tests.journal.server import PASSWORD, Server

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def made() -> Iterator[Server]:
    yield from serving()


@pytest.fixture
def server(made: Server, tcptune: Tcptune) -> Iterator[Server]:
    """Give a server that has this test's journal. It runs again afterwards."""
    name = made.new_database()
    url = made.plain_url(name, PASSWORD, name)
    tcptune.environment["TCPTUNE_JOURNAL"] = url.replace("postgresql:", "postgresql+psycopg:")
    tcptune.timeout_s = PATIENCE_S
    yield made
    if not made.running:
        made.start()


@dataclass
class UnderWay:
    """A rollout that goes on, as somebody sees it who reads its events and its standard error."""

    process: subprocess.Popen[bytes]
    events: Path
    stderr: Path

    def told(self) -> list[Event]:
        return retold.read(self.events)

    def until(self, is_it: Callable[[Event], bool]) -> Event:
        """Wait for an event."""
        began = time.monotonic()
        while not (found := [event for event in self.told() if is_it(event)]):
            assert self.process.poll() is None, self.stderr.read_text()
            assert time.monotonic() - began < PATIENCE_S
            time.sleep(0.05)
        return found[-1]

    def end(self) -> tuple[int, str]:
        """Give the exit status, and what was said on standard error."""
        status, said = self.process.wait(PATIENCE_S), self.stderr.read_text()
        assert TRACEBACK not in said, said
        return status, said


@contextmanager
def rolling_out(tcptune: Tcptune, plan: str, chosen: str, patience: str, *options: str) -> Iterator[UnderWay]:
    events, stderr = tcptune.file("events.jsonl"), tcptune.file("stderr")
    with stderr.open("wb") as said:
        process = subprocess.Popen(
            tcptune.argv(["apply", plan, "--policy", chosen, "--events", events, *ALLOWED, *options]),
            cwd=tcptune.work,
            env=tcptune.environment | {"TCPTUNE_JOURNAL_PATIENCE": patience},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
    try:
        yield UnderWay(process, events, stderr)
    finally:
        process.kill()
        process.wait()


def waits(number: int, under_way: UnderWay) -> Callable[[Event], bool]:
    """Tell whether the rollout waits for its database for so many times by now."""
    return lambda event: (
        isinstance(event, Waiting) and sum(isinstance(one, Waiting) for one in under_way.told()) >= number
    )


def check(tcptune: Tcptune, fleet: list[Machine], before: dict[str, agreement.Truth], *, after: bool) -> None:
    now = agreement.look(fleet)
    assert agreement.disagreements(story(tcptune)["run"], before, now) == []
    assert {machine.name: now[machine.name].values == WANTED for machine in fleet} == dict.fromkeys(now, after)


def test_a_rollout_waits_for_its_journal_while_it_changes_and_while_it_soaks_and_goes_on_by_itself(
    tcptune: Tcptune, machines: Machines, on: On, server: Server
) -> None:
    fleet = machines(3)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)

    with rolling_out(tcptune, plan, policy(tcptune, waves="[1, 100%]"), "10m") as under_way:
        under_way.until(lambda event: isinstance(event, WaveBegan) and event.wave == 1)
        server.stop()
        told = under_way.until(waits(1, under_way))
        assert isinstance(told, Waiting)
        assert told.until is not None
        server.start()
        under_way.until(lambda event: isinstance(event, SoakBegan) and event.wave == 2)
        server.stop()
        under_way.until(waits(2, under_way))
        server.start()
        status, said = under_way.end()

    assert (status, told.waits_for) == (0, "database")
    assert "waits for the journal's database until" in said
    assert "does not answer" in said
    check(tcptune, fleet, before, after=True)
    run = retold.exported(tcptune("runs", "export", "last").stdout)
    assert retold.differences(under_way.told(), run) == []
    assert retold.lacking(under_way.told(), run) == []
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.parametrize("undo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_rollout_whose_journal_stays_away_ends_and_one_command_finishes_or_undoes_it(
    tcptune: Tcptune, machines: Machines, on: On, server: Server, *, undo: bool
) -> None:
    fleet = machines(2)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)

    with rolling_out(tcptune, plan, policy(tcptune, waves="[1, 100%]"), "3s") as under_way:
        under_way.until(lambda event: isinstance(event, SoakBegan) and event.wave == 1)
        server.stop()
        status, said = under_way.end()
    held = agreement.look(fleet)
    server.start()

    ended = under_way.told()[-1]
    assert isinstance(ended, RolloutEnded)
    assert (status, ended.exit_code, ended.next) == (1, 1, f"tcptune runs resume {ended.run}")
    assert f"try: tcptune runs resume {ended.run}, or tcptune rollback {ended.run}" in said
    assert "the first held host takes its change back by itself at" in said
    assert [truth.runs.get(ended.run) for truth in held.values()] == ["held", None]
    tcptune(*(("rollback",) if undo else ("runs", "resume")), ended.run)
    check(tcptune, fleet, before, after=not undo)
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.slow
def test_hosts_whose_journal_stays_away_take_the_change_back_at_their_deadline_and_resume_finds_it(
    tcptune: Tcptune, machines: Machines, on: On, server: Server
) -> None:
    fleet = machines(2)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)

    with rolling_out(tcptune, plan, policy(tcptune, waves="[1, 100%]"), "3s", "--confirm-within", "1s") as under_way:
        under_way.until(lambda event: isinstance(event, SoakBegan) and event.wave == 1)
        server.stop()
        assert under_way.end()[0] == 1
    run = under_way.told()[-1].run
    began = time.monotonic()
    # Five minutes and the soak time: no rollout holds its hosts for less.
    while agreement.look(fleet)[fleet[0].name].runs[run] != "reverted":
        assert time.monotonic() - began < 900
        time.sleep(2)
    server.start()

    tcptune("runs", "resume", run, expect=6)
    check(tcptune, fleet, before, after=False)
    assert [wave["state"] for wave in story(tcptune)["waves"]] == ["rolled back", "left out"]


def test_a_time_to_wait_that_is_none_is_a_mistake(tcptune: Tcptune) -> None:
    said = tcptune("runs", expect=2, TCPTUNE_JOURNAL_PATIENCE="soon")

    assert "'soon' is no time between a second and a week" in said.stderr
