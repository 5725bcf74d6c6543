"""Diagnose: two samples of each host -> causes. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from tcptune.detectors import NOTHING, judge
from tcptune.detectors.case import names_of
from tcptune.detectors.clues import Heard
from tcptune.detectors.verdict import of_files
from tcptune.domain.diagnosis import FleetDiagnosis, HostDiagnosis
from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.samples import HostSamples, Sampled
from tcptune.errors import FactsError

NOWHERE: Mapping[str, Sequence[str]] = {}
ONCE = "it is in one of the two samples only"


def diagnose(
    samples: Iterable[HostSamples], heard: Heard = NOTHING, known: Mapping[str, Sequence[str]] = NOWHERE
) -> FleetDiagnosis:
    """Return what is wrong with all hosts, by host name; and what files say that none of them shows.

    Of a single host all that files say is evidence. Of several nobody knows which host a file is of: there it supports
    what is found, and the rest of it is told apart; but what names one of them, or its address, is of that one.
    `known` are addresses by the name of the host, as the inventory has them.
    """
    coming = iter(samples)
    at_first = list(islice(coming, 2))
    single = len(at_first) == 1 and not isinstance(at_first[0], Unread)
    hosts: list[HostDiagnosis] = []
    unread: list[Unread] = []
    names: frozenset[str] = frozenset()
    for one in chain(at_first, coming):
        if isinstance(one, Unread):
            unread.append(one)
        else:
            also = known.get(one.host, ())
            own = names_of(one.second, also)
            hosts.append(judge(one, heard if single else heard.supporting(own), also))
            names |= own
    rest = heard.besides((cause.cause for host in hosts for cause in host.causes), names)
    told_already = single or heard is NOTHING or (hosts and rest == NOTHING)
    return FleetDiagnosis(
        hosts=tuple(sorted(hosts, key=lambda one: one.host)),
        unread=tuple(sorted(unread, key=lambda one: one.host)),
        elsewhere=None if told_already else of_files(rest.clues, rest.unexplained, rest.not_judged),
    )


def paired(before: Iterable[Collected], after: Iterable[Collected]) -> Iterator[HostSamples]:
    """Yield the hosts of two facts files as samples. A host that one of them lacks, or could not read, is Unread.

    Raises FactsError where a file holds two samples of a host: nobody knows which of the two is meant.
    """
    waiting = {one.host: one for one in _each_once(before, "first")}
    for second in _each_once(after, "second"):
        first = waiting.pop(second.host, None)
        if isinstance(second, Unread):
            yield second
        elif isinstance(first, HostFacts):
            yield Sampled(first=first, second=second)
        else:
            yield first if first is not None else Unread(host=second.host, error=ONCE)
    for rest in waiting.values():
        yield rest if isinstance(rest, Unread) else Unread(host=rest.host, error=ONCE)


def _each_once(collected: Iterable[Collected], which: str) -> Iterator[Collected]:
    read: set[str] = set()
    for one in collected:
        if one.host in read:
            raise FactsError(
                f"{one.host} is in the {which} facts file twice", hint="give what one `tcptune facts --evidence` wrote"
            )
        if isinstance(one, HostFacts):
            read.add(one.host)
        yield one
