"""Two samples of a host -> how much each counter grew, and how fast. Pure: no clock, no network.

A counter that is less than before began again, and one that only one sample has is no zero in the other: both are
named and neither has a number. Levels, such as the connections that are open now, grow by nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tcptune.domain.facts import HostFacts
from tcptune.domain.gates import Cause, CounterReading
from tcptune.domain.samples import Sampled

_LEVELS = frozenset(
    {
        "Ip.Forwarding",
        "Ip.DefaultTTL",
        "Tcp.RtoAlgorithm",
        "Tcp.RtoMin",
        "Tcp.RtoMax",
        "Tcp.MaxConn",
        "Tcp.CurrEstab",
    }
)
_LEVELS_OF = "sockstat"
"""sockstat.TCP.inuse and its like, of both families."""
_MEMORY = ("swapped_in_pages", "swapped_out_pages", "oom_kills", "neighbours_refused")
"""What of `Pressure` only grows."""


_WITNESSES = tuple(
    f"Tcp.{name}"
    for name in ("InSegs", "OutSegs", "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "OutRsts", "InErrs")
)
"""Counters that every kernel has and that only ever grow: one that is less than before tells of a new beginning."""


_WRAP = 1 << 32


@dataclass(frozen=True)
class NotMeasured:
    """Why a rule has no number over a window."""

    cause: Cause
    why: str


@dataclass(frozen=True)
class Growth:
    """One counter over the time between two samples."""

    before: int
    after: int
    seconds: float

    @property
    def grew(self) -> int:
        """Return how much it grew."""
        return self.after - self.before

    @property
    def per_s(self) -> float:
        """Return how much it grew a second."""
        return self.grew / self.seconds


@dataclass(frozen=True)
class Rates:
    """What grew on a host between two samples."""

    seconds: float
    """Between the samples, by the host's own clock where it told it, else by the controller's, to a second."""
    counters: Mapping[str, Growth]
    """By the names of `HostFacts.counters`, and beside them cpu.N.NAME for a processor's row of softnet_stat,
    link.IF.NAME for an interface, and memory.NAME for what memory and the neighbour table ran out of. One that stood
    still is here with 0."""
    fell: tuple[str, ...] = ()
    """Less than before: they began again, or passed the end of their 32 bits. They have no number."""
    one_sided: tuple[str, ...] = ()
    """In one of the samples alone: an interface came or went, or a module was loaded in between."""

    def grew(self, *names: str) -> int | None:
        """Return the growth of several counters together; None where one of them has no number."""
        found = [self.counters.get(name) for name in names]
        known = [one.grew for one in found if one is not None]
        return sum(known) if len(known) == len(found) else None

    def per_s(self, *names: str) -> float | None:
        """Return the same a second."""
        grew = self.grew(*names)
        return None if grew is None else grew / self.seconds

    def share(self, part: str, *whole: str) -> float | None:
        """Return which part the growth of one counter is of the growth of others; None where nothing grew there."""
        of, all_of = self.grew(part), self.grew(*whole)
        return None if of is None or not all_of else of / all_of


def rates(sampled: Sampled) -> Rates | NotMeasured:
    """Return what grew between the samples, or why they cannot be compared: a boot, or a new network namespace."""
    first, second = sampled.first, sampled.second
    if unfit := began_again(reading(first), reading(second)):
        return unfit
    seconds = seconds_between(first, second)
    if seconds <= 0:
        return NotMeasured(Cause.UNREAD, "no time lies between the samples, or the second is older than the first")
    before, after = dict(_counted(first)), dict(_counted(second))
    both = [name for name in after if name in before]
    return Rates(
        seconds=seconds,
        counters={name: Growth(before[name], after[name], seconds) for name in both if after[name] >= before[name]},
        fell=tuple(name for name in both if after[name] < before[name]),
        one_sided=tuple(sorted(before.keys() ^ after.keys())),
    )


def began_again(first: CounterReading, last: CounterReading) -> NotMeasured | None:
    """Return why two readings of a host cannot be compared: it was booted, or its counters ran backwards."""
    if first.boot_id != last.boot_id:
        return NotMeasured(Cause.REBOOTED, f"it was booted between {first.at:%H:%M:%S} and {last.at:%H:%M:%S}")
    known = [name for name in _WITNESSES if name in first.counters and name in last.counters]
    return backwards(known, first, last)


def backwards(names: Sequence[str], first: CounterReading, last: CounterReading) -> NotMeasured | None:
    """Return which of the counters began again between two readings; None where none of them did."""
    # Each alone: where two are added up, the growth of one could hide that the other began again.
    return next((_backwards(name, first, last) for name in names if last.counters[name] < first.counters[name]), None)


def _backwards(name: str, first: CounterReading, last: CounterReading) -> NotMeasured:
    why = "its network namespace was made anew"
    if not first.boot_id:
        why = f"it was booted, or {why}"
    # On a machine of 32 bits the kernel's counters have no more.
    if _WRAP // 2 <= first.counters[name] < _WRAP:
        why += ", or it has 32 bits and began again at 0"
    return NotMeasured(Cause.REBOOTED, f"{name} went backwards, {first.counters[name]} to {last.counters[name]}: {why}")


def reading(facts: HostFacts) -> CounterReading:
    """Return the counters of facts, as gates look at them."""
    return CounterReading(
        host=facts.host, at=facts.collected_at, boot_id=facts.system.boot_id, counters=facts.counters or {}
    )


def seconds_between(first: HostFacts, second: HostFacts) -> float:
    """Return the time between two samples, by the host's own clock where it told it."""
    if first.pressure is not None and second.pressure is not None:
        return round(second.pressure.uptime_s - first.pressure.uptime_s, 2)
    return (second.collected_at - first.collected_at).total_seconds()


def _counted(facts: HostFacts) -> Iterator[tuple[str, int]]:
    for name, value in (facts.counters or {}).items():
        if name not in _LEVELS and not name.startswith(_LEVELS_OF):
            yield name, value
    if drops := facts.drops:
        for cpu in drops.softnet:
            numbers = cpu.model_dump(exclude={"cpu"}, exclude_none=True)
            yield from ((f"cpu.{cpu.cpu}.{name}", value) for name, value in numbers.items())
        for link in drops.links:
            yield from ((f"link.{link.name}.{name}", value) for name, value in link.counts.items())
    if pressure := facts.pressure:
        for name in _MEMORY:
            value = getattr(pressure, name)
            if value is not None:
                yield f"memory.{name}", value
