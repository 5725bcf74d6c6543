"""A rollout with a real journal, and fakes in the place of hosts, Ansible, time and people."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tcptune.adapters.journal import controllers
from tcptune.adapters.journal.store import SqlJournal
from tcptune.adapters.policies import recorded_policy
from tcptune.domain.changes import Plan
from tcptune.domain.events import Event
from tcptune.domain.gates import ActiveGate, Answer
from tcptune.domain.hosts import Host
from tcptune.domain.journal import HostLock, Lease
from tcptune.domain.runs import HostResult, HostState
from tcptune.errors import LeaseLost
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


def with_policy(tmp_path: Path, extra: str, **options: Any) -> Story:
    return Story(tmp_path, TEXT + extra, **options)


def gone(story: Story) -> None:
    """Make the process that was at work one of an earlier boot of this machine."""
    forget(story, controllers.me().split(" ")[1], "an-earlier-boot")


def forget(story: Story, word: str, other: str) -> None:
    with story.journal.database.writing.begin() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET at_work = replace(at_work, '{word}', '{other}')")  # noqa: S608
