"""Fakes of tcptune/ports.py: shorter than mocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from tcptune.domain.changes import Plan
from tcptune.domain.hosts import Host
from tcptune.domain.journal import Rollout
from tcptune.domain.runs import MOVES, Act, HostResult, HostState, Run
from tcptune.errors import HostError, TcptuneError
from tcptune.ports import HostOutcome, Output
from tcptune.workflows.collect import Collector

from .builders import NOW

T = TypeVar("T")
Said = Mapping[str, str | Output | HostError]
"""Host name -> what it answers, or why it cannot."""


class FakeTransport:
    def __init__(self, says: Said) -> None:
        self.says = says
        self.asked: list[tuple[str, tuple[str, ...], str, float]] = []

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        self.asked.append((host.name, tuple(command), stdin, timeout_s))
        said = self.says[host.name]
        if isinstance(said, HostError):
            raise said
        return said if isinstance(said, Output) else Output(0, said, "")


class InlineWorkers:
    def stream(self, work: Callable[[Host], T], hosts: Iterable[Host]) -> Iterator[T]:
        return map(work, hosts)


def collector(says: Said) -> Collector:
    return Collector(FakeTransport(says), InlineWorkers(), clock)


def clock() -> datetime:
    return NOW


class FakeApplier:
    """Gives the outcomes it was told to, else that all went well. `calls` are (act, host names, forced keys)."""

    def __init__(self, **outcomes: Sequence[HostOutcome]) -> None:
        self.outcomes = outcomes
        self.calls: list[tuple[str, list[str], list[str]]] = []
        self.seconds: list[int | None] = []
        self.fenced: list[str] = []

    def apply(
        self,
        run_id: str,  # noqa: ARG002
        plan: Plan,  # noqa: ARG002
        hosts: Sequence[Host],
        revert_after_s: int | None = None,
    ) -> Iterator[HostOutcome]:
        self.seconds.append(revert_after_s)
        return self._act("apply", hosts, HostState.HELD)

    def extend(
        self,
        run_id: str,  # noqa: ARG002
        plan: Plan,  # noqa: ARG002
        hosts: Sequence[Host],
        revert_after_s: int,
    ) -> Iterator[HostOutcome]:
        self.seconds.append(revert_after_s)
        return self._act("extend", hosts, HostState.HELD)

    def confirm(self, run_id: str, plan: Plan, hosts: Sequence[Host]) -> Iterator[HostOutcome]:  # noqa: ARG002
        return self._act("confirm", hosts, HostState.CONFIRMED)

    def roll_back(
        self,
        run_id: str,  # noqa: ARG002
        plan: Plan,  # noqa: ARG002
        hosts: Sequence[Host],
        force_keys: Sequence[str] = (),
        fence: Sequence[str] = (),
    ) -> Iterator[HostOutcome]:
        self.fenced = list(fence)
        return self._act("roll_back", hosts, HostState.ROLLED_BACK, force_keys)

    def _act(
        self, act: str, hosts: Sequence[Host], done: HostState, force_keys: Sequence[str] = ()
    ) -> Iterator[HostOutcome]:
        self.calls.append((act, [host.name for host in hosts], list(force_keys)))
        told = {outcome.host: outcome for outcome in self.outcomes.get(act, ())}
        return iter([told.get(host.name) or HostOutcome(host.name, done, {}) for host in hosts])


class MemoryJournal:
    """Keeps runs in memory, and the table of moves as strictly as the real one."""

    def __init__(self, *known: tuple[Run, Plan]) -> None:
        self.known = {run.run_id: (run, plan) for run, plan in known}
        self.log: list[tuple[str, HostState]] = []
        self.notes: list[str] = []

    def begin(self, run: Run, plan: Plan, rollout: Rollout | None = None) -> None:  # noqa: ARG002
        self.known[run.run_id] = (run, plan)

    def start(self, run_id: str, act: Act, hosts: Sequence[str], *, by: str, at: datetime) -> None:  # noqa: ARG002
        run, plan = self.known[run_id]
        results = tuple(r.model_copy(update={"doing": act}) if r.host in hosts else r for r in run.results)
        self.known[run_id] = (run.model_copy(update={"results": results, "ended_at": None}), plan)

    def move(self, run_id: str, result: HostResult, *, at: datetime, note: str = "") -> None:  # noqa: ARG002
        self.notes += [note] if note else []
        run, plan = self.known[run_id]
        before = run.result(result.host).state
        if result.state is not before and result.state not in MOVES[before]:
            raise TcptuneError(f"{result.host}: a host that is {before} cannot become {result.state}")
        # The real one keeps no warnings with the host's row.
        kept = result.model_copy(update={"warnings": ()})
        results = tuple(kept if r.host == result.host else r for r in run.results)
        self.known[run_id] = (run.model_copy(update={"results": results}), plan)
        self.log.append((result.host, result.state))

    def end(self, run_id: str, *, at: datetime) -> None:
        run, plan = self.known[run_id]
        self.known[run_id] = (run.model_copy(update={"ended_at": at}), plan)

    def find(self, run_id: str) -> tuple[Run, Plan]:
        return self.known[list(self.known)[-1] if run_id == "last" else run_id]

    def runs(self, *, limit: int = 50) -> list[Run]:
        return [run for run, _ in self.known.values()][:limit]

    def unsettled(self) -> list[Run]:
        return self.runs()
