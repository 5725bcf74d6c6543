"""A rollout that somebody interrupts, or whose controller dies."""

from __future__ import annotations

import pytest

from tcptune.adapters.journal import controllers
from tcptune.domain.runs import HostState
from tcptune.errors import HostsClaimed, UsageError
from tests.unit.workflows.rolling import (
    BACK,
    CONFIRMED,
    PLANNED,
    Killed,
    Story,
    forget,
    gone,
)

# Interruptions


@pytest.mark.parametrize(
    ("said", "states", "waves"),
    [
        ("finish the wave", [CONFIRMED, PLANNED], ["confirmed", "planned", "planned"]),
        ("take the wave back", [BACK, PLANNED], ["rolled back", "left out", "left out"]),
        (None, [BACK, PLANNED], ["rolled back", "left out", "left out"]),
    ],
)
def test_who_interrupts_is_asked_once_about_the_wave_that_is_under_way(
    story: Story, said: str | None, states: list[HostState], waves: list[str]
) -> None:
    story.interrupts = {10: "Ctrl-C"}
    story.answers = [said] if said else []

    assert story.begin() == 130
    assert story.states()[:2] == states
    assert story.waves() == waves
    assert story.told().count("asked") == 1


def test_a_rollout_that_was_stopped_between_waves_goes_on_with_the_next(story: Story) -> None:
    story.interrupts = {10: "Ctrl-C"}
    story.answers = ["finish the wave"]
    story.begin()

    assert story.resume() == 0
    assert story.states() == [CONFIRMED] * 4
    assert story.acts("apply") == [["web1"], ["web2"], ["web3", "web4"]]


# Controllers that die


@pytest.mark.parametrize("act", ["apply", "confirm"])
def test_what_a_dead_controller_left_is_finished(story: Story, act: str) -> None:
    story.applier.dies_at = act
    with pytest.raises(Killed):
        story.begin()
    story.applier.dies_at = None
    gone(story)

    assert story.resume() == 0
    assert story.states() == [CONFIRMED] * 4
    assert story.waves() == ["confirmed"] * 3


@pytest.mark.parametrize("act", ["apply", "confirm", "roll_back"])
def test_what_a_dead_controller_left_is_taken_back(story: Story, act: str) -> None:
    story.broken = {"web1"} if act == "roll_back" else set()
    story.applier.dies_at = act
    with pytest.raises(Killed):
        story.begin()
    story.applier.dies_at = None
    gone(story)

    assert story.back() == 0
    assert story.states() == [BACK, PLANNED, PLANNED, PLANNED]
    assert story.waves() == ["rolled back", "left out", "left out"]


def test_a_way_back_that_died_is_finished_and_nothing_goes_on_after_it(story: Story) -> None:
    story.begin()
    story.applier.dies_at = "roll_back"
    with pytest.raises(Killed):
        story.back()
    story.applier.dies_at = None
    gone(story)

    story.resume()
    assert story.states() == [BACK] * 4


def test_a_rollout_that_is_over_is_not_taken_up_again(story: Story) -> None:
    story.begin()

    with pytest.raises(UsageError, match="nothing is left to do"):
        story.resume()


def test_all_of_a_rollout_is_taken_back(story: Story) -> None:
    story.begin()

    assert story.back() == 0
    assert story.states() == [BACK] * 4
    assert story.waves() == ["rolled back"] * 3


def test_who_takes_up_a_rollout_goes_by_what_stands_once_it_has_the_hosts(story: Story) -> None:
    story.interrupts = {10: "Ctrl-C"}
    story.answers = ["finish the wave"]
    story.begin()
    seen_before = story.again()
    story.resume()
    acts = list(story.applier.calls)

    with pytest.raises(UsageError, match="nothing is left to do"):
        story.session().resume(seen_before)
    assert story.applier.calls == acts
    assert story.journal.locks.locks() == []


def test_a_way_back_waits_for_the_claim_of_a_controller_that_may_have_died(story: Story) -> None:
    story.begin()
    lease = story.journal.locks.claim(["web1"], "r1", by="bob@d, pid 9", lease_s=60)

    def pause(seconds: float) -> None:
        story.slept_s += seconds
        story.journal.locks.release(lease)

    story.pause = pause  # type: ignore[method-assign]

    assert story.back() == 0
    assert [lock.by for locks in story.waited for lock in locks] == ["bob@d, pid 9"]


def test_hosts_that_a_living_controller_may_have_are_left_to_it(story: Story) -> None:
    story.applier.dies_at = "apply"
    with pytest.raises(Killed):
        story.begin()
    story.applier.dies_at = None
    # On another machine, which cannot see whether the process is there.
    forget(story, controllers.me().split(" ")[0] + " ", "elsewhere ")

    with pytest.raises(HostsClaimed, match="web1"):
        story.resume()
    assert story.states()[0] is HostState.APPLYING
