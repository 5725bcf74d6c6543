"""Ask gates of hosts, before a change and after it, and say what came of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from tcptune.domain import port_use
from tcptune.domain.gates import (
    ActiveGate,
    Answer,
    Counted,
    CounterReading,
    CountersGate,
    CountersUnread,
    Watched,
)
from tcptune.domain.hosts import Host
from tcptune.planning.counter_gate import judge_counters, reading
from tcptune.planning.gates import counted, judge_answers
from tcptune.ports import Gates, Workers
from tcptune.probes import REQUIRED
from tcptune.workflows.collect import Collector

_SECTIONS = (*REQUIRED, "counters")


@dataclass(frozen=True)
class Watch:
    """Looks at hosts from outside and from inside."""

    gates: Gates
    collector: Collector
    workers: Workers
    clock: Callable[[], datetime]

    def answers(self, gate: ActiveGate, hosts: Iterable[Host]) -> tuple[Answer, ...]:
        """Return every host's answers, in the order in which they arrive."""
        found = self.workers.stream(partial(_ask, self.gates, gate), hosts)
        return tuple(answer for answers in found for answer in answers)

    def counters(self, hosts: Iterable[Host], *, ports: bool = False) -> dict[str, CounterReading | CountersUnread]:
        """Return every host's counters now, or why they could not be read, by its name.

        With `ports` also how many local ports are taken, which costs a walk over every socket.
        """
        asked = (port_use.KEYS, (*_SECTIONS, "sockets")) if ports else ((), _SECTIONS)
        found = self.collector.stream(hosts, *asked)
        return {one.host: reading(one, self.clock()) for one in found}

    def tried(self, gate: ActiveGate, hosts: Sequence[Host], before: Collection[Answer]) -> tuple[Counted, ...]:
        """Ask an active gate now and judge it beside the answers from before the change."""
        names = [host.name for host in hosts]
        return counted(gate, judge_answers(gate, names, before, self.answers(gate, hosts), at=self.clock()))


def compared(gate: CountersGate, changed: Iterable[Watched], others: Iterable[Watched]) -> tuple[Counted, ...]:
    """Judge the counters of changed hosts beside those of hosts not yet changed."""
    return counted(gate, judge_counters(gate, changed, others))


def _ask(gates: Gates, gate: ActiveGate, host: Host) -> tuple[Answer, ...]:
    return gates.ask(host, gate)
