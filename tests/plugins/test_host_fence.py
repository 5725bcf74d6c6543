"""A run that is taken back before it began: whoever comes late with it is refused."""

from __future__ import annotations

import pytest
from fake_host import Crash, asking
from module_utils import changeset, status
from module_utils.errors import Refused, UnknownRun


def late(fake):
    """The apply that was under way when its controller died, and comes once the run was taken back."""
    with pytest.raises(Refused, match=r"run run-1 was rolled back") as caught:
        changeset.apply(fake, asking())
    return caught.value


def test_a_run_that_was_fenced_off_cannot_begin_any_more(fake):
    before = fake.tree()

    outcome = changeset.rollback(fake, "run-1", fence=True)

    assert (outcome.changed, outcome.state) == (True, "rolled_back")
    assert late(fake).facts["host_state"] == "rolled_back"
    assert fake.tree() == before
    assert [one["run"] for one in status.runs(fake)] == ["run-1"]


def test_a_second_fence_changes_nothing(fake):
    changeset.rollback(fake, "run-1", fence=True)
    everything = fake.everything()

    assert not changeset.rollback(fake, "run-1", fence=True).changed
    assert fake.everything() == everything


def test_a_fence_stands_in_nobodys_way(fake):
    changeset.rollback(fake, "run-1", fence=True)

    changeset.apply(fake, asking(run="run-2"))
    changeset.confirm(fake, "run-2")
    changeset.rollback(fake, "run-2")


def test_a_run_that_has_begun_is_taken_back_as_ever(fake):
    before = fake.tree()
    changeset.apply(fake, asking())

    assert changeset.rollback(fake, "run-1", fence=True).previous
    assert fake.tree() == before


def test_without_a_fence_a_run_that_nobody_knows_leaves_no_trace(fake):
    everything = fake.everything()

    with pytest.raises(UnknownRun):
        changeset.rollback(fake, "run-1")

    assert fake.everything() == everything


def test_check_mode_leaves_no_fence(fake):
    everything = fake.everything()

    assert changeset.rollback(fake, "run-1", check=True, fence=True).changed
    assert fake.everything() == everything


def test_a_fence_that_dies_at_any_step_is_there_or_is_made_again(fake):
    step = 0
    while True:
        step += 1
        run = f"run-{step}"
        fake.steps.clear()
        fake.crash_at = step
        try:
            changeset.rollback(fake, run, fence=True)
        except Crash:
            fake.crash_at = None
            changeset.rollback(fake, run, fence=True)
            with pytest.raises(Refused, match="was rolled back"):
                changeset.apply(fake, asking(run=run))
        else:
            break
    assert step > 2
