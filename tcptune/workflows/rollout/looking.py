"""Look at the hosts of a wave before its change and after, beside hosts that are not changed yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcptune.domain.gates import (
    Baseline,
    Counted,
    CounterReading,
    CountersGate,
    CountersUnread,
    GateTable,
    Watched,
    Window,
)
from tcptune.domain.hosts import Host
from tcptune.domain.rollout import Policy
from tcptune.planning.rollout import window_s
from tcptune.workflows.gates import Watch, compared

Readings = dict[str, CounterReading | CountersUnread]


@dataclass(frozen=True)
class Looking:
    """Asks the gates of a policy."""

    watch: Watch
    policy: Policy
    pause: Callable[[float], None]
    """Waits the whole time, whoever interrupts."""

    def baseline(self, hosts: Sequence[Host], controls: Sequence[Host]) -> Baseline:
        """Return what is known of hosts before their change; it takes the time between two readings."""
        apart_s = window_s(self.policy)
        # Before the counters are read: what we ask is traffic, and an idle host would seem to fall silent after it.
        answers = tuple(
            () if isinstance(gate, CountersGate) else self.watch.answers(gate, hosts) for gate in self.policy.gates
        )
        first = self.readings([*hosts, *controls])
        if not apart_s:
            return Baseline(answers=answers)
        self.pause(apart_s)
        last = self.readings([*hosts, *controls])
        return Baseline(answers=answers, windows=_windows(first, last))

    def readings(self, hosts: Sequence[Host]) -> Readings:
        """Return the hosts' counters now; nothing where no gate reads them."""
        return self.watch.counters(hosts) if window_s(self.policy) else {}

    def tried(self, hosts: Sequence[Host], baseline: Baseline) -> tuple[Counted, ...]:
        """Ask the gates that try something."""
        rows: list[Counted] = []
        for at, gate in enumerate(self.policy.gates):
            if not isinstance(gate, CountersGate):
                before = baseline.answers[at] if at < len(baseline.answers) else ()
                rows += self.watch.tried(gate, hosts, before)
        return tuple(rows)

    def table(
        self, title: str, hosts: Sequence[Host], controls: Sequence[Host], baseline: Baseline, first: Readings
    ) -> GateTable:
        """Ask every gate now. `first` are the counters just after the change."""
        last = self.readings([*hosts, *controls])
        since = _windows(first, last)
        changed = [_watched(host, baseline, since) for host in hosts if host.name in since]
        others = [_watched(host, baseline, since) for host in controls if host.name in since]
        rows: list[Counted] = []
        for gate in self.policy.gates:
            if isinstance(gate, CountersGate):
                rows += compared(gate, changed, others)
        return GateTable(title=title, rows=(*self.tried(hosts, baseline), *rows))


def _windows(first: Readings, last: Readings) -> dict[str, Window]:
    return {name: Window(first=first[name], last=last[name]) for name in first if name in last}


def _watched(host: Host, baseline: Baseline, since: dict[str, Window]) -> Watched:
    return Watched(host=host.name, before=baseline.windows.get(host.name), after=since[host.name])
