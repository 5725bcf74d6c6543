"""A rollout with a real journal, and fakes in the place of hosts, Ansible, time and people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tcptune.adapters.journal import controllers
from tcptune.adapters.journal.store import SqlJournal
from tcptune.adapters.policies import recorded_policy
from tcptune.domain.changes import Plan
from tcptune.domain.events import Event
from tcptune.domain.gates import ActiveGate, Answer
from tcptune.domain.hosts import Host
from tcptune.domain.journal import HostLock, Lease
from tcptune.domain.runs import HostResult, HostState
from tcptune.errors import HostsClaimed, HostUnreachable, LeaseLost, PlanStale, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.waves import cut_waves
from tcptune.ports import HostOutcome
from tcptune.workflows.change import Changer, new_run
from tcptune.workflows.claims import Claims
from tcptune.workflows.collect import Collector
from tcptune.workflows.gates import Watch
from tcptune.workflows.rollout.session import Session, recorded_waves, rolling_again
from tcptune.workflows.rollout.state import Outside, Rolling
from tests.unit.builders import NOW, SOMAXCONN, answer, change, cohort, host, plan
from tests.unit.fakes import FakeApplier, FakeTransport, InlineWorkers

NAMES = ("web1", "web2", "web3", "web4")
PLAN = plan(cohort(*NAMES, changes=(change(SOMAXCONN, "128", "4096"),)))
TEXT = """\
policy: test
waves: [1, 1, 100%]
soak: 90s
gates: [{gate: ssh}]
"""
HELD, CONFIRMED, BACK, PLANNED = HostState.HELD, HostState.CONFIRMED, HostState.ROLLED_BACK, HostState.PLANNED


class Heart:
    """Beats until it is told not to."""

    def __init__(self) -> None:
        self.stops_after: int | None = None
        self.asked = 0

    def check(self) -> None:
        self.asked += 1
        if self.stops_after is not None and self.asked > self.stops_after:
            raise LeaseLost("run r1: somebody else may have the hosts")


class Applier(FakeApplier):
    """Holds as long as it was asked to, by the story's clock."""

    def __init__(self, story: Story, **outcomes: Sequence[HostOutcome]) -> None:
        super().__init__(**outcomes)
        self.story = story
        self.dies_at: str | None = None
        self.clock_ahead = timedelta(0)

    def _timed(self, found: Iterator[HostOutcome], seconds: int | None) -> Iterator[HostOutcome]:
        for outcome in found:
            self.story.shows(outcome)
            until = None if seconds is None else self.story.now + self.clock_ahead + timedelta(seconds=seconds)
            yield replace(outcome, deadline=until if outcome.state is HELD else None)

    def apply(
        self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int | None = None
    ) -> Iterator[HostOutcome]:
        self._maybe_die("apply")
        return self._timed(super().apply(run_id, plan, hosts, revert_after_s), revert_after_s)

    def extend(self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int) -> Iterator[HostOutcome]:
        return self._timed(super().extend(run_id, plan, hosts, revert_after_s), revert_after_s)

    def confirm(self, run_id: str, plan: Plan, hosts: Sequence[Host]) -> Iterator[HostOutcome]:
        self._maybe_die("confirm")
        return super().confirm(run_id, plan, hosts)

    def roll_back(
        self,
        run_id: str,
        plan: Plan,
        hosts: Sequence[Host],
        force_keys: Sequence[str] = (),
        fence: Sequence[str] = (),
    ) -> Iterator[HostOutcome]:
        self._maybe_die("roll_back")
        return self._timed(super().roll_back(run_id, plan, hosts, force_keys, fence), None)

    def _maybe_die(self, act: str) -> None:
        if self.dies_at == act:
            raise Killed


class Killed(BaseException):
    """The controller is gone."""


class Story:
    """A fleet, a controller and what both did."""

    def __init__(self, folder: Path, text: str = TEXT, confirm_within_s: int | None = 600) -> None:
        self.now = NOW
        self.text, self.confirm_within_s = text, confirm_within_s
        self.journal = SqlJournal(f"sqlite:///{folder}/journal.sqlite", by="ada@c")
        self.applier = Applier(self)
        self.says: dict[str, Any] = {name: answer({SOMAXCONN: "128"}) for name in NAMES}
        self.broken: set[str] = set()
        self.events: list[Event] = []
        self.heart = Heart()
        self.interrupts: dict[int, str] = {}
        self.answers: list[str] = []
        self.slept_s = 0.0
        self.waited: list[Sequence[HostLock]] = []
        self.policy = recorded_policy(text, "test.yml")

    def ask(self, host: Host, gate: ActiveGate) -> tuple[Answer, ...]:
        works = host.name not in self.broken or not self.applied(host.name)
        return tuple(
            Answer(host=host.name, gate=gate.gate, check=c, at=self.now, works=works, value=5 if works else None)
            for c in gate.checks
        )

    def shows(self, outcome: HostOutcome) -> None:
        """Let a host's kernel show what became of it; one that nobody can read stays so."""
        if not isinstance(self.says[outcome.host], Exception):
            self.says[outcome.host] = answer({SOMAXCONN: "4096" if outcome.state in {HELD, CONFIRMED} else "128"})

    def applied(self, name: str) -> bool:
        return any(act == "apply" and name in hosts for act, hosts, _ in self.applier.calls)

    def clock(self) -> datetime:
        return self.now

    def elapsed(self) -> float:
        return self.slept_s

    def pause(self, seconds: float) -> None:
        self.slept_s += seconds
        self.now += timedelta(seconds=seconds)

    def interrupted(self) -> str | None:
        due = [at for at in self.interrupts if self.slept_s >= at]
        return self.interrupts.pop(due[0]) if due else None

    def session(self) -> Session:
        workers = InlineWorkers()
        collector = Collector(FakeTransport(self.says), workers, self.clock)
        changer = Changer(
            self.applier, self.journal, self.clock, lambda _result: None, catalogue(), "ada@c", lambda _s: None
        )

        def asked(_question: str, _choices: Sequence[str]) -> str | None:
            return self.answers.pop(0) if self.answers else None

        def beating(_lease: Lease) -> AbstractContextManager[Heart]:
            return nullcontext(self.heart)

        return Session(
            changer,
            Watch(self, collector, workers, self.clock),
            self.journal.rollouts,
            Claims(self.journal.locks, beating, "ada@c", str(os.getpid()), self.pause, self.waited.append),
            collector,
            Outside(self.clock, self.elapsed, self.pause, self.events.append, self.interrupted, asked, "ada@c"),
        )

    def rolling(self, run_id: str = "r1") -> Rolling:
        run = new_run(PLAN, run_id=run_id, operator="ada@c", tool_version="0.1.0", started_at=NOW)
        waves = recorded_waves(cut_waves(PLAN, self.policy, {}))
        return Rolling(run, PLAN, self.policy, {n: host(n) for n in NAMES}, waves, self.confirm_within_s)

    def again(self) -> Rolling:
        run, found = self.journal.find("r1")
        rollout = self.journal.rollouts.rollout("r1")
        assert rollout is not None
        return rolling_again(run, found, rollout, self.policy, map(host, NAMES), self.confirm_within_s)

    def begin(self, **options: Any) -> int:
        return self.session().begin(self.rolling(), self.text, **options)[1]

    def resume(self) -> int:
        return self.session().resume(self.again())[1]

    def back(self) -> int:
        return self.session().take_back(self.again(), NAMES, end=True)[1]

    def states(self) -> list[HostState]:
        return [self.result(name).state for name in NAMES]

    def result(self, name: str) -> HostResult:
        return self.journal.find("r1")[0].result(name)

    def waves(self) -> list[str]:
        rollout = self.journal.rollouts.rollout("r1")
        assert rollout is not None
        return [wave.state.value for wave in rollout.waves]

    def acts(self, act: str) -> list[list[str]]:
        return [hosts for found, hosts, _ in self.applier.calls if found == act]

    def told(self) -> list[str]:
        return [event.event for event in self.events]


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def with_policy(tmp_path: Path, extra: str, **options: Any) -> Story:
    return Story(tmp_path, TEXT + extra, **options)


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
    _gone(story)

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
    _gone(story)

    assert story.back() == 0
    assert story.states() == [BACK, PLANNED, PLANNED, PLANNED]
    assert story.waves() == ["rolled back", "left out", "left out"]


def test_a_way_back_that_died_is_finished_and_nothing_goes_on_after_it(story: Story) -> None:
    story.begin()
    story.applier.dies_at = "roll_back"
    with pytest.raises(Killed):
        story.back()
    story.applier.dies_at = None
    _gone(story)

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
    _forget(story, controllers.me().split(" ")[0] + " ", "elsewhere ")

    with pytest.raises(HostsClaimed, match="web1"):
        story.resume()
    assert story.states()[0] is HostState.APPLYING


def _gone(story: Story) -> None:
    """Make the process that was at work one of an earlier boot of this machine."""
    _forget(story, controllers.me().split(" ")[1], "an-earlier-boot")


def _forget(story: Story, word: str, other: str) -> None:
    with story.journal.database.writing.begin() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET at_work = replace(at_work, '{word}', '{other}')")  # noqa: S608
