"""A host's counters before a change and after it -> what became of each rate. Pure.

A difference counts only where chance does not explain it, and only where there is traffic: no errors without requests
prove nothing.
"""

from __future__ import annotations

import math

from tcptune.domain.effects import HostEffect, Outcome, Quiet, RateEffect, too_quiet
from tcptune.domain.gate_rules import CounterRule, LevelRule, ShareRule
from tcptune.domain.gates import CounterReading, Window
from tcptune.domain.quantities import spelled
from tcptune.domain.rates import NotMeasured
from tcptune.knowledge.gates import built_in_rules
from tcptune.planning.counter_gate import PORTS_TAKEN
from tcptune.planning.counter_rates import Measured, measure

LOCAL_PORTS = LevelRule(
    name="local-ports",
    counters=(PORTS_TAKEN,),
    unit="percent",
    tolerated_level=80,
    times_before=1.2,
    min_traffic_per_s=1,
    why="one destination takes the local ports, and connect() fails without them",
    source="net/ipv4/inet_hashtables.c, __inet_hash_connect: no counter rises where it finds no port",
)
"""Asked only of hosts whose sockets were looked at before the run."""

_NOISE = 3.0
"""Standard deviations of a count of independent events that are put down to chance: 1 in 700."""
_CHANCE = 1 / 700
_MANY = 500
"""From so many events on a binomial distribution is a normal one."""
_SHORTEST_S = 5.0
_PART = 0.5
"""Traffic below this part of what it was proves no repair; a number below this part of what it was is better."""


def effect(host: str, before: Window | None, after: Window | None) -> HostEffect:
    """Return what became of every rate of the built-in rules of the counters gate.

    Nothing is compared where one of the two is None: of a host of which nothing is known from before nobody asks now.
    """
    if before is None or after is None:
        return HostEffect(host=host, why="nothing is known of its counters from before the run")
    rules = (*built_in_rules(), *((LOCAL_PORTS,) if tells_ports(before) else ()))
    return HostEffect(host=host, rates=tuple(_rate(rule, before, after) for rule in rules))


def tells_ports(before: Window) -> bool:
    """Say whether the local ports that were taken are known from before."""
    return isinstance(before.last, CounterReading) and PORTS_TAKEN in before.last.counters


def _rate(rule: CounterRule, before: Window, after: Window) -> RateEffect:
    was, now = measure(rule, before, _SHORTEST_S), measure(rule, after, _SHORTEST_S)
    outcome, why = _outcome(rule, was, now)
    return RateEffect(
        rule=rule.name,
        outcome=outcome,
        before=was.value if isinstance(was, Measured) else None,
        after=now.value if isinstance(now, Measured) else None,
        unit=rule.unit,
        tolerated=rule.tolerated,
        why=too_quiet([why]) if isinstance(why, Quiet) else why,
        quiet=why if isinstance(why, Quiet) else None,
    )


def _outcome(
    rule: CounterRule, was: Measured | NotMeasured, now: Measured | NotMeasured
) -> tuple[Outcome, str | Quiet]:
    if isinstance(was, NotMeasured):
        return Outcome.NOT_JUDGED, f"before: {was.why}"
    if isinstance(now, NotMeasured):
        return Outcome.NOT_JUDGED, now.why
    if not was.busy(rule) and not _exceeds(was, rule.tolerated, None):
        # Errors without requests prove nothing, and errors prove that somebody asked.
        return Outcome.NOT_JUDGED, Quiet(before_per_s=was.traffic_per_s)
    return _compared(rule, was, now)


def _compared(rule: CounterRule, was: Measured, now: Measured) -> tuple[Outcome, str | Quiet]:
    bound = max(was.value, rule.tolerated) * rule.times_before * _more_load(rule, was, now)
    if _exceeds(now, bound, was):
        return Outcome.WORSE, ""
    was_bad = _exceeds(was, rule.tolerated, None)
    if not now.busy(rule) or (was_bad and now.traffic_per_s < _PART * was.traffic_per_s):
        return Outcome.NOT_JUDGED, Quiet(before_per_s=was.traffic_per_s, now_per_s=now.traffic_per_s)
    better = now.value <= rule.tolerated or now.value <= _PART * was.value
    if not was_bad or not better:
        return Outcome.UNCHANGED, ""
    if now.exposure is not None and was.exposure is not None and not _fell(was, was.exposure, now, now.exposure):
        expected = spelled(was.value * now.exposure)
        return Outcome.NOT_JUDGED, f"too short to tell: {expected} would have come as before; look for longer"
    return (Outcome.FIXED if now.value <= rule.tolerated else Outcome.BETTER), ""


def _more_load(rule: CounterRule, was: Measured, now: Measured) -> float:
    """Return how many times the traffic is more than it was, at least 1. Shares and levels do not grow with it."""
    if isinstance(rule, ShareRule | LevelRule) or was.traffic_per_s <= 0:
        return 1.0
    return max(1.0, now.traffic_per_s / was.traffic_per_s)


def _fell(was: Measured, was_of: float, now: Measured, now_of: float) -> bool:
    """Say whether chance does not explain that there are so few events now.

    Were both rates the same, each event of the two windows would fall into the second with its part of them: how many
    do is binomial.
    """
    seen, in_all = round(now.value * now_of), round(now.value * now_of) + round(was.value * was_of)
    part = now_of / (now_of + was_of)
    if in_all > _MANY:
        return seen < in_all * part - _NOISE * math.sqrt(in_all * part * (1 - part))
    return sum(_binomial(number, in_all, part) for number in range(seen + 1)) < _CHANCE


def _binomial(number: int, of: int, part: float) -> float:
    return math.comb(of, number) * part**number * (1 - part) ** (of - number)


def _exceeds(one: Measured, bound: float, other: Measured | None) -> bool:
    """Say whether a number is above a bound by more than chance; a bound that was measured has chance in it, too."""
    if one.exposure is None:
        return one.value > bound
    events = bound * one.exposure
    scale = one.exposure / other.exposure if other is not None and other.exposure else 0.0
    return one.value * one.exposure > events + _NOISE * math.sqrt(events * (1 + scale))
