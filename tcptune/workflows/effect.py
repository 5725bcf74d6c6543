"""Measure what a run did to its hosts: their counters from before it beside those of now. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tcptune.domain.effects import HostEffect
from tcptune.domain.facts import Collected, HostFacts
from tcptune.domain.gates import Window
from tcptune.domain.hosts import Host
from tcptune.domain.runs import Run
from tcptune.planning.counter_gate import reading
from tcptune.planning.effect import effect, tells_ports
from tcptune.ports import Rollouts
from tcptune.workflows.gates import Watch


def kept(rollouts: Rollouts, run: Run) -> dict[str, Window]:
    """Return what the journal knows of each host's counters from before its change: nothing where no gate asked."""
    rollout = rollouts.rollout(run.run_id)
    found: dict[str, Window] = {}
    for wave in rollout.waves if rollout is not None else ():
        baseline = rollouts.baseline(run.run_id, wave.number)
        if baseline is not None:
            found |= {host: window for host, window in baseline.windows.items() if host in wave.hosts}
    return found


def from_facts(first: Iterable[Collected], last: Iterable[Collected]) -> dict[str, Window]:
    """Return the windows of two facts files. A host that one of them lacks has none."""
    begun = {one.host: one for one in first if isinstance(one, HostFacts)}
    return {
        one.host: Window(
            first=reading(begun[one.host], begun[one.host].collected_at), last=reading(one, one.collected_at)
        )
        for one in last
        if isinstance(one, HostFacts) and one.host in begun
    }


def measure(
    watch: Watch, hosts: Sequence[Host], before: Mapping[str, Window], window_s: float, sleep: Callable[[float], None]
) -> tuple[HostEffect, ...]:
    """Look at the counters of hosts twice, and return what became of each rate, by host name."""
    ports = any(map(tells_ports, before.values()))
    first = watch.counters(hosts, ports=ports)
    sleep(window_s)
    last = watch.counters(hosts, ports=ports)
    names = sorted(host.name for host in hosts)
    return tuple(effect(name, before.get(name), Window(first=first[name], last=last[name])) for name in names)
