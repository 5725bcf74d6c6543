"""Diagnose: two samples of each host -> causes. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tcptune.detectors import judge
from tcptune.domain.diagnosis import FleetDiagnosis, HostDiagnosis
from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.samples import HostSamples, Sampled

ONCE = "it is in one of the two samples only"


def diagnose(samples: Iterable[HostSamples]) -> FleetDiagnosis:
    """Return what is wrong with all hosts, by host name."""
    hosts: list[HostDiagnosis] = []
    unread: list[Unread] = []
    for one in samples:
        if isinstance(one, Unread):
            unread.append(one)
        else:
            hosts.append(judge(one))
    return FleetDiagnosis(
        hosts=tuple(sorted(hosts, key=lambda one: one.host)), unread=tuple(sorted(unread, key=lambda one: one.host))
    )


def paired(before: Iterable[Collected], after: Iterable[Collected]) -> Iterator[HostSamples]:
    """Yield the hosts of two facts files as samples. A host that one of them lacks, or could not read, is Unread."""
    waiting = {one.host: one for one in before}
    for second in after:
        first = waiting.pop(second.host, None)
        if isinstance(second, Unread):
            yield second
        elif isinstance(first, HostFacts):
            yield Sampled(first=first, second=second)
        else:
            yield first if first is not None else Unread(host=second.host, error=ONCE)
    for rest in waiting.values():
        yield rest if isinstance(rest, Unread) else Unread(host=rest.host, error=ONCE)
