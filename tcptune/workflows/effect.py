"""Measure what a run did to its hosts: their counters from before it beside those of now. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tcptune.domain.effects import HostEffect
from tcptune.domain.facts import Collected, HostFacts
from tcptune.domain.gates import Window
from tcptune.domain.hosts import Host
from tcptune.domain.runs import Run
from tcptune.errors import UsageError
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


def from_facts(first: Iterable[Collected], last: Iterable[Collected], run: Run) -> dict[str, Window]:
    """Return the windows of two facts files from before a run. A host that one of them lacks has none.

    Raises UsageError where they are from later, or in the wrong order: such numbers would be taken for those before.
    """
    begun = {one.host: one for one in first if isinstance(one, HostFacts)}
    found: dict[str, Window] = {}
    for one in last:
        if not isinstance(one, HostFacts) or one.host not in begun:
            continue
        before = begun[one.host]
        if one.collected_at <= before.collected_at:
            raise UsageError(
                f"--before: {one.host} is not older in the first file than in the second", hint="--before FIRST LAST"
            )
        if one.collected_at > run.started_at:
            raise UsageError(
                f"--before: {one.host} was read at {one.collected_at:%Y-%m-%d %H:%M:%S}Z, after run {run.run_id} began",
                hint="two files of tcptune facts from before the run",
            )
        found[one.host] = Window(first=reading(before, before.collected_at), last=reading(one, one.collected_at))
    return found


def measure(
    watch: Watch, hosts: Sequence[Host], before: Mapping[str, Window], window_s: float, sleep: Callable[[float], None]
) -> tuple[HostEffect, ...]:
    """Look at the counters of hosts twice, and return what became of each rate, by host name.

    A host of which nothing is known from before is not looked at: where all are such, nobody waits.
    """
    now: dict[str, Window] = {}
    if known := [host for host in hosts if host.name in before]:
        ports = any(map(tells_ports, before.values()))
        first = watch.counters(known, ports=ports)
        sleep(window_s)
        last = watch.counters(known, ports=ports)
        now = {host.name: Window(first=first[host.name], last=last[host.name]) for host in known}
    names = sorted(host.name for host in hosts)
    return tuple(effect(name, before.get(name), now.get(name)) for name in names)
