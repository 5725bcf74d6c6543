"""Look at hosts twice, some seconds apart: what a diagnosis judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.hosts import Host
from tcptune.domain.samples import HostSamples, Sampled
from tcptune.probes import EVIDENCE, PROBES
from tcptune.workflows.collect import Collector

SECTIONS = (*PROBES, *EVIDENCE)
"""All of the facts, and what a diagnosis needs beside them."""
_AGAIN = ("system", "sysctl", "sysctl_files", "counters", "links", "listeners", "conntrack", *EVIDENCE)
"""What can have changed within a minute."""
_AT_ONCE = 1000


@dataclass(frozen=True)
class Sampler:
    """Takes two samples of many hosts.

    Where the transport keeps a connection from the first look for the second, no login of ours is among what the
    counters count.
    """

    collector: Collector
    elapsed: Callable[[], float]
    """Seconds of a clock that nobody can set."""
    sleep: Callable[[float], None]
    release: Callable[[], None] | None = None
    """Closes connections that were kept and are not needed any more."""

    def stream(
        self,
        hosts: Iterable[Host],
        keys: Sequence[str],
        window_s: float,
        noted: Callable[[Collected], None] | None = None,
    ) -> Iterator[HostSamples]:
        """Yield each host's two samples, at least `window_s` apart, or why one of them could not be taken.

        `noted` is told of each first sample as it comes in. Of more than 1,000 hosts, the next thousand begins when the
        last one is done: the first samples of a whole fleet would not fit in memory.
        """
        waiting = iter(hosts)
        try:
            while some := list(islice(waiting, _AT_ONCE)):
                yield from self._window(some, keys, window_s, noted)
        finally:
            if self.release is not None:
                self.release()

    def _window(
        self,
        hosts: Sequence[Host],
        keys: Sequence[str],
        window_s: float,
        noted: Callable[[Collected], None] | None,
    ) -> Iterator[HostSamples]:
        firsts: dict[str, HostFacts] = {}
        due: dict[str, float] = {}
        for one in self.collector.stream(hosts, keys, SECTIONS):
            if noted is not None:
                noted(one)
            if isinstance(one, Unread):
                yield one
                continue
            firsts[one.host] = one
            due[one.host] = self.elapsed() + window_s
        if not firsts:
            return
        # Here and not in the workers, so that somebody who gives up is not waited for.
        self._wait_for(min(due.values()))
        by_name = {host.name: host for host in hosts}
        # In the order of the first look: nobody waits behind a host whose time comes later.
        again = [by_name[name] for name in firsts]
        for one in self.collector.stream(again, keys, _AGAIN, lambda host: self._wait_for(due[host.name])):
            yield _both(firsts.pop(one.host), one, window_s)

    def _wait_for(self, moment: float) -> None:
        left = moment - self.elapsed()
        if left > 0:
            self.sleep(left)


def _both(first: HostFacts, second: Collected, window_s: float) -> HostSamples:
    if isinstance(second, HostFacts):
        return Sampled(first=first, second=second)
    why = f"it was read once, and not again {window_s:g} s later: {second.error}"
    return Unread(host=second.host, error=why, hint=second.hint)
