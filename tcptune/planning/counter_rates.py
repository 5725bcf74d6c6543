"""Two readings of a host's counters -> one number for a rule, or why there is none. Pure: no clock, no network.

A difference is a number only where both readings are of one boot and one network namespace, and where both have the
counter: what this kernel lacks is not a zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tcptune.domain.gate_rules import CounterRule, LevelRule, ShareRule
from tcptune.domain.gates import Cause, CounterReading, CountersUnread, Window
from tcptune.domain.rates import NotMeasured, backwards, began_again

_CLOCK_S = 1.0
"""Facts carry whole seconds, so two of them are apart by a second less or more than they say."""


@dataclass(frozen=True)
class Measured:
    """A rule's number over one window."""

    value: float
    """In the unit of the rule."""
    exposure: float | None
    """What `value` times this is a number of events: seconds, or hundreds of what a share is of. None for a level."""
    traffic_per_s: float

    def busy(self, rule: CounterRule) -> bool:
        """Say whether there was traffic enough for the number to mean something."""
        return self.traffic_per_s >= rule.min_traffic_per_s and self.exposure != 0


def measure(rule: CounterRule, window: Window, least_s: float) -> Measured | NotMeasured:
    """Return the number of `rule` over a window of at least `least_s` seconds, or why there is none."""
    first, last = window.first, window.last
    if isinstance(first, CountersUnread):
        return NotMeasured(Cause.UNREAD, first.why)
    if isinstance(last, CountersUnread):
        return NotMeasured(Cause.UNREAD, last.why)
    share_of = rule.of if isinstance(rule, ShareRule) else ()
    elapsed_s = (last.at - first.at).total_seconds()
    level = isinstance(rule, LevelRule)
    if unfit := (
        began_again(first, last)
        or _too_short(elapsed_s, least_s)
        or _lacking((*rule.counters, *share_of, *rule.traffic), first, last)
        or backwards((*(() if level else rule.counters), *share_of, *rule.traffic), first, last)
    ):
        return unfit
    traffic_per_s = _sum_of(rule.traffic, first, last) / elapsed_s
    if level:
        highest = max(_level(rule.counters, one.counters) for one in (first, last))
        return Measured(float(highest), None, traffic_per_s)
    events = _sum_of(rule.counters, first, last)
    exposure = _sum_of(share_of, first, last) / 100 if share_of else elapsed_s
    return Measured(events / exposure if exposure else 0.0, exposure, traffic_per_s)


def _too_short(elapsed_s: float, least_s: float) -> NotMeasured | None:
    if elapsed_s > 0 and elapsed_s >= least_s - _CLOCK_S:
        return None
    return NotMeasured(Cause.UNREAD, f"{elapsed_s:g} s lie between its readings, {least_s:g} s are asked for")


def _lacking(names: Sequence[str], first: CounterReading, last: CounterReading) -> NotMeasured | None:
    missing = [name for name in names if name not in first.counters or name not in last.counters]
    if not missing:
        return None
    why = f"{missing[0]} is not among its counters: an older kernel, or what counts it is not loaded"
    return NotMeasured(Cause.LACKING, why)


def _sum_of(names: Sequence[str], first: CounterReading, last: CounterReading) -> int:
    return _level(names, last.counters) - _level(names, first.counters)


def _level(names: Sequence[str], counters: Mapping[str, int]) -> int:
    return sum(counters[name] for name in names)
