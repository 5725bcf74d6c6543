"""A rollout whose controller lives: waves, gates, and what stops it before it begins."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tcptune.domain.runs import HostState
from tcptune.errors import HostsClaimed, HostUnreachable, LeaseLost, PlanStale
from tcptune.ports import HostOutcome
from tcptune.workflows.gates import Watch
from tests.unit.builders import SOMAXCONN, answer
from tests.unit.workflows.rolling import (
    BACK,
    CONFIRMED,
    HELD,
    NAMES,
    PLANNED,
    TEXT,
    Story,
    with_policy,
)

# All is well


def test_each_wave_is_changed_watched_and_confirmed_before_the_next_begins(story: Story) -> None:
    assert story.begin() == 0

    acts = [(act, hosts) for act, hosts, _ in story.applier.calls]
    assert acts == [
        ("apply", ["web1"]),
        ("confirm", ["web1"]),
        ("apply", ["web2"]),
        ("confirm", ["web2"]),
        ("apply", ["web3", "web4"]),
        ("confirm", ["web3", "web4"]),
    ]
    assert story.waves() == ["confirmed"] * 3
    assert story.slept_s == 3 * 90
    assert (story.told()[:2], story.told()[-1]) == (["rollout_began", "hosts_claimed"], "rollout_ended")
    assert story.journal.locks.locks() == []


def test_gates_are_asked_before_the_soak_and_after_it_and_every_sample_is_kept(story: Story) -> None:
    story.begin()

    said = [(one.host, one.gate, one.verdict) for one in story.journal.rollouts.samples("r1", 1)]
    assert said == [("web1", "ssh", "passed")] * 3


def test_a_person_keeps_what_the_policy_leaves_to_one_and_the_hosts_wait_that_long(tmp_path: Path) -> None:
    story = with_policy(tmp_path, "confirm: by_person\n", confirm_within_s=3600)

    assert story.begin() == 0
    assert story.waves() == ["passed"] * 3
    assert story.states() == [HELD] * 4
    deadlines = [story.result(name).deadline for name in NAMES]
    assert all(at is not None and at >= story.now + timedelta(seconds=3600) for at in deadlines)
    assert story.events[-1].next == "tcptune confirm r1"  # type: ignore[union-attr]


def test_no_host_takes_its_change_back_under_a_rollout_that_is_well(tmp_path: Path) -> None:
    text = TEXT.replace("90s", "30m") + "confirm: by_person\n"
    story = Story(tmp_path, text, confirm_within_s=60)
    seen: list[bool] = []

    def pause(seconds: float) -> None:
        story.slept_s += seconds
        story.now += timedelta(seconds=seconds)
        results = [r for r in story.journal.find("r1")[0].results if r.deadline] if story.slept_s % 60 == 0 else []
        seen.extend(r.deadline > story.now for r in results if r.deadline)

    story.pause = pause  # type: ignore[method-assign]
    story.begin()

    assert seen
    assert all(seen)
    assert story.acts("extend")


def test_no_more_hosts_than_the_policy_says_are_changed_at_once(tmp_path: Path) -> None:
    story = with_policy(tmp_path, "concurrency: 1\n")
    story.begin()

    assert story.acts("apply") == [["web1"], ["web2"], ["web3"], ["web4"]]


def test_a_wave_waits_for_its_window(tmp_path: Path) -> None:
    story = with_policy(tmp_path, 'window: {opens: "16:00", closes: "20:00", zone: UTC}\n')

    assert story.begin() == 0
    assert story.told().count("waiting") == 1
    assert story.slept_s >= 50 * 60 + 34


@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(hours=-2)])
def test_a_clock_that_is_set_neither_ends_nor_prolongs_a_soak(story: Story, jump: timedelta) -> None:
    def pause(seconds: float) -> None:
        story.slept_s += seconds
        story.now += jump

    story.pause = pause  # type: ignore[method-assign]

    assert story.begin() == 0
    assert story.slept_s == 3 * 90


def test_hosts_get_more_time_though_their_clock_is_ahead_of_ours(tmp_path: Path) -> None:
    story = Story(tmp_path, TEXT.replace("90s", "30m"), confirm_within_s=60)
    story.applier.clock_ahead = timedelta(hours=5)
    story.begin()

    # Held for 35 minutes, and watched for 30: each wave needs more once half of it is over.
    assert [hosts for hosts in story.acts("extend") if hosts == ["web1"]]


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (answer({SOMAXCONN: "128"}), "web1 is as before the change"),
        (HostUnreachable("web1: timed out"), "web1 could not be read: timed out"),
    ],
)
def test_a_host_that_took_its_change_back_by_itself_fails_its_wave_where_no_gate_sees_it(
    tmp_path: Path, says: Any, why: str
) -> None:
    story = with_policy(tmp_path, "confirm: by_person\n")

    def pause(seconds: float) -> None:
        story.slept_s += seconds
        story.says["web1"] = says

    story.pause = pause  # type: ignore[method-assign]

    assert story.begin() == 6
    assert story.waves() == ["rolled back", "left out", "left out"]
    assert why in str(story.events[-1].why)  # type: ignore[union-attr]


def test_what_the_gates_ask_before_the_change_is_no_traffic_between_the_two_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(tmp_path, TEXT.replace("{gate: ssh}", "{gate: ssh}, {gate: counters, window_s: 30}"))
    did: list[str] = []
    for name in ("answers", "counters"):
        does = getattr(Watch, name)
        monkeypatch.setattr(Watch, name, lambda *args, name=name, does=does: did.append(name) or does(*args))

    story.begin()

    # Twice before the change, then the early look, once just after it.
    assert did[:5] == ["answers", "counters", "counters", "answers", "counters"]
    assert story.told()[2:4] == ["waiting", "wave_began"]


# Gates that fail


def test_a_failed_gate_takes_the_wave_back_and_no_further_one_begins(story: Story) -> None:
    story.broken = {"web2"}

    assert story.begin() == 6
    assert story.waves() == ["confirmed", "rolled back", "left out"]
    assert story.states() == [CONFIRMED, BACK, PLANNED, PLANNED]
    assert story.acts("roll_back") == [["web2"]]
    # The early look is enough: nobody waits for the soak time of a wave that is broken.
    assert story.slept_s == 90


def test_everything_is_taken_back_where_the_policy_says_so(tmp_path: Path) -> None:
    story = with_policy(tmp_path, "on_failure: roll_back_all\n")
    story.broken = {"web2"}

    assert story.begin() == 6
    assert story.states() == [BACK, BACK, PLANNED, PLANNED]
    assert story.waves() == ["rolled back", "rolled back", "left out"]


def test_a_failed_wave_is_held_where_the_policy_says_so_and_goes_on_once_its_gates_pass(tmp_path: Path) -> None:
    story = with_policy(tmp_path, "on_failure: hold\n")
    story.broken = {"web2"}

    assert story.begin() == 6
    assert story.waves() == ["confirmed", "held", "planned"]
    assert story.states() == [CONFIRMED, HELD, PLANNED, PLANNED]
    story.broken = set()
    assert story.resume() == 0
    assert story.states() == [CONFIRMED] * 4
    assert story.acts("apply") == [["web1"], ["web2"], ["web3", "web4"]]


def test_a_host_that_cannot_be_reached_counts_as_failed_and_the_rest_of_its_wave_is_not_touched(story: Story) -> None:
    story.says["web3"] = HostUnreachable("web3: timed out")

    assert story.begin() == 6
    assert story.waves() == ["confirmed", "confirmed", "rolled back"]
    assert story.states() == [CONFIRMED, CONFIRMED, HostState.UNREACHABLE, PLANNED]


def test_as_many_hosts_may_fail_as_the_policy_says(tmp_path: Path) -> None:
    story = with_policy(tmp_path, "failures: {per_wave: 1, total: 1}\n")
    story.says["web3"] = HostUnreachable("web3: timed out")

    assert story.begin() == 4
    assert story.states() == [CONFIRMED, CONFIRMED, HostState.UNREACHABLE, CONFIRMED]
    assert story.waves() == ["confirmed"] * 3


def test_a_wave_that_cannot_be_taken_back_is_not_called_so(story: Story) -> None:
    story.broken = {"web1"}
    story.applier.outcomes = {"roll_back": [HostOutcome("web1", HostState.BROKEN, {}, "connection lost")]}

    assert story.begin() == 6
    assert story.waves() == ["failed", "left out", "left out"]
    assert story.states()[0] is HELD
    story.applier.outcomes = {}
    assert story.resume() == 6
    assert story.waves()[0] == "rolled back"


# Before anything begins


def test_hosts_that_another_run_has_claimed_are_not_touched(story: Story) -> None:
    story.journal.locks.claim(["web4"], "other", by="bob@d", lease_s=60)

    with pytest.raises(HostsClaimed, match="web4: run other by bob@d, since"):
        story.begin()
    assert story.applier.calls == []
    assert story.journal.runs() == []


def test_a_fleet_that_moved_is_not_touched_and_its_hosts_are_given_back(story: Story) -> None:
    story.says["web4"] = answer({SOMAXCONN: "512"})

    with pytest.raises(PlanStale):
        story.begin()
    assert story.applier.calls == []
    assert story.journal.locks.locks() == []


def test_a_lost_claim_stops_the_rollout_before_the_next_write(story: Story) -> None:
    story.heart.stops_after = 1

    with pytest.raises(LeaseLost):
        story.begin()
    assert [act for act, _, _ in story.applier.calls] == ["apply"]
    assert story.told()[-1] == "rollout_ended"
