"""A host's counters before a change and after it -> what became of each rate. Pure.

A difference counts only where chance does not explain it, and only where there is traffic: no errors without requests
prove nothing.
"""

from __future__ import annotations

import math

from tcptune.domain.effects import HostEffect, Outcome, RateEffect
from tcptune.domain.gate_rules import CounterRule
from tcptune.domain.gates import Window
from tcptune.domain.quantities import spelled
from tcptune.domain.rates import NotMeasured
from tcptune.knowledge.gates import built_in_rules
from tcptune.planning.counter_rates import Measured, measure

_NOISE = 3.0
"""Standard deviations of a count of independent events that are put down to chance: 1 in 700."""
_SHORTEST_S = 5.0
_PART = 0.5
"""Traffic below this part of what it was proves no repair; a number below this part of what it was is better."""


def effect(host: str, before: Window | None, after: Window | None) -> HostEffect:
    """Return what became of every rate of the built-in rules of the counters gate.

    Nothing is compared where one of the two is None: of a host of which nothing is known from before nobody asks now.
    """
    if before is None or after is None:
        return HostEffect(host=host, why="nothing is known of its counters from before the run")
    return HostEffect(host=host, rates=tuple(_rate(rule, before, after) for rule in built_in_rules()))


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
        why=why,
    )


def _outcome(rule: CounterRule, was: Measured | NotMeasured, now: Measured | NotMeasured) -> tuple[Outcome, str]:
    if isinstance(was, NotMeasured):
        return Outcome.NOT_JUDGED, f"before: {was.why}"
    if isinstance(now, NotMeasured):
        return Outcome.NOT_JUDGED, now.why
    if not was.busy(rule):
        return Outcome.NOT_JUDGED, f"idle before: {spelled(was.traffic_per_s)} per second"
    return _compared(rule, was, now)


def _compared(rule: CounterRule, was: Measured, now: Measured) -> tuple[Outcome, str]:
    if _exceeds(now, max(was.value, rule.tolerated) * rule.times_before, was):
        return Outcome.WORSE, ""
    was_bad = _exceeds(was, rule.tolerated, None)
    if not now.busy(rule) or (was_bad and now.traffic_per_s < _PART * was.traffic_per_s):
        traffic = f"{spelled(now.traffic_per_s)} per second now, {spelled(was.traffic_per_s)} before"
        return Outcome.NOT_JUDGED, f"too little traffic to tell: {traffic}"
    if was_bad and now.value <= rule.tolerated:
        return Outcome.FIXED, ""
    if was_bad and now.value <= _PART * was.value:
        return Outcome.BETTER, ""
    return Outcome.UNCHANGED, ""


def _exceeds(one: Measured, bound: float, other: Measured | None) -> bool:
    """Say whether a number is above a bound by more than chance; a bound that was measured has chance in it, too."""
    if one.exposure is None:
        return one.value > bound
    events = bound * one.exposure
    scale = one.exposure / other.exposure if other is not None and other.exposure else 0.0
    return one.value * one.exposure > events + _NOISE * math.sqrt(events * (1 + scale))
