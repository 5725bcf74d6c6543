"""Counters of changed hosts -> samples: compared with the host before, and with the hosts not yet changed. Pure.

A host fails where its number is worse than its own was, by a factor, and the others did not get worse likewise. So what
happens to a whole fleet fails no wave, and others that are quiet excuse nobody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.gate_rules import CounterRule
from tcptune.domain.gates import (
    Cause,
    CounterReading,
    CountersGate,
    CountersUnread,
    GateSample,
    Verdict,
    Watched,
    Window,
)
from tcptune.domain.port_use import most_taken
from tcptune.domain.quantities import spelled
from tcptune.domain.rates import NotMeasured, began_again
from tcptune.knowledge.gates import built_in_rules
from tcptune.planning.counter_rates import Measured, measure

PORTS_TAKEN = "sockets.ports_taken"
"""Name of a level beside the counters: the share of the local ports that the worst destination has, in percent."""

_NOISE = 3.0
"""Standard deviations of a count of independent events that are put down to chance: 1 in 700."""
_MAD_TO_DEVIATION = 1.4826
"""Median absolute deviation -> standard deviation, for a normal distribution."""
_SILENCE = 0.5
"""Traffic below this part of what it was has fallen silent; above it, it is merely near the least that counts."""


def reading(collected: Collected, at: datetime) -> CounterReading | CountersUnread:
    """Return the counters of one look at a host; `at` is for a host that could not be read and so tells no time."""
    if isinstance(collected, Unread):
        return CountersUnread(host=collected.host, at=at, why=collected.error)
    if collected.counters is None:
        why = collected.gaps.get("counters", "the facts hold no counters")
        return CountersUnread(host=collected.host, at=collected.collected_at, why=f"no counters: {why}")
    return CounterReading(
        host=collected.host,
        at=collected.collected_at,
        boot_id=collected.system.boot_id,
        counters=collected.counters | _levels(collected),
    )


def _levels(facts: HostFacts) -> dict[str, int]:
    """Return what is no counter of the kernel's and rises all the same; nothing where sockets were not asked for."""
    taken = most_taken(facts)
    return {} if taken is None else {PORTS_TAKEN: taken}


def rules_of(gate: CountersGate) -> tuple[CounterRule, ...]:
    """Return the rules that a gate asks: the built-in ones, then its own.

    Raises ValueError where it leaves out what is no built-in rule: a slip there would ask too little or too much.
    """
    built_in = {rule.name: rule for rule in built_in_rules()} if gate.built_in else {}
    if unknown := [name for name in gate.leave_out if name not in built_in]:
        raise ValueError(f"leave_out: {', '.join(unknown)}: no such built-in rule; there are {', '.join(built_in)}")
    own = {rule.name: rule for rule in gate.rules}
    return tuple(rule for name, rule in {**built_in, **own}.items() if name not in gate.leave_out)


def judge_counters(gate: CountersGate, changed: Iterable[Watched], others: Iterable[Watched]) -> tuple[GateSample, ...]:
    """Return a sample for each changed host and rule, by host and then in the order of the rules.

    `others` are hosts not yet changed, watched over the same times. The order of hosts does not matter.
    """
    hosts = sorted(changed, key=lambda one: one.host)
    names = {one.host for one in hosts}
    control = [one for one in others if one.host not in names]
    samples: dict[str, list[GateSample]] = {one.host: [] for one in hosts}
    for rule in rules_of(gate):
        meanwhile = _meanwhile(rule, gate, control)
        for one in hosts:
            samples[one.host].append(_sample(rule, gate, one, meanwhile))
    return tuple(sample for found in samples.values() for sample in found)


@dataclass(frozen=True)
class _Meanwhile:
    """What became of one number on the hosts not yet changed. None, both, where too few of them were at work."""

    hosts: int
    left_out: str
    """Of the others, the first that has no number, and why; empty where each has one."""
    growth: float | None
    """Median of after / before."""
    spread: float
    """Standard deviation of those, robustly."""
    traffic: float | None
    """Median of the traffic after / before; None where nobody had any."""


@dataclass(frozen=True)
class _Bound:
    """What a number may at most be, and why that."""

    value: float
    why: str


def _meanwhile(rule: CounterRule, gate: CountersGate, others: Sequence[Watched]) -> _Meanwhile:
    growths: list[float] = []
    traffic: list[float] = []
    left_out = ""
    for one in sorted(others, key=lambda other: other.host):
        before, after = _measured(rule, gate, one)
        if isinstance(before, NotMeasured):
            left_out = left_out or f"{one.host} has no number: {before.why}"
            continue
        if isinstance(after, NotMeasured):
            left_out = left_out or f"{one.host} has no number: {after.why}"
            continue
        if not before.busy(rule):
            continue
        if before.traffic_per_s > 0:
            traffic.append(after.traffic_per_s / before.traffic_per_s)
        if after.busy(rule):
            growths.append(max(after.value, rule.tolerated) / max(before.value, rule.tolerated))
    least = gate.min_others
    growth = median(growths) if len(growths) >= least else None
    return _Meanwhile(
        hosts=len(growths),
        left_out=left_out,
        growth=growth,
        spread=_MAD_TO_DEVIATION * median(abs(one - growth) for one in growths) if growth is not None else 0.0,
        traffic=median(traffic) if len(traffic) >= least else None,
    )


def _measured(
    rule: CounterRule, gate: CountersGate, one: Watched
) -> tuple[Measured | NotMeasured, Measured | NotMeasured]:
    """Return a host's number before and after."""
    after = measure(rule, one.after, gate.window_s)
    if one.before is None:
        return NotMeasured(Cause.NO_BASELINE, "nobody looked at it before the change"), after
    if again := _between(one.before, one.after):
        after = again
    return measure(rule, one.before, gate.window_s), after


def _between(before: Window, after: Window) -> NotMeasured | None:
    """Return why the two windows are not of one boot; None where they are, or where that cannot be told."""
    known = [one for one in (before.last, after.first, after.last) if isinstance(one, CounterReading)]
    if not isinstance(before.last, CounterReading):
        return None
    return next((again for one in known[1:] if (again := began_again(before.last, one))), None)


def _sample(rule: CounterRule, gate: CountersGate, one: Watched, meanwhile: _Meanwhile) -> GateSample:
    before, after = _measured(rule, gate, one)
    verdict, cause, threshold, why = _verdict(rule, gate, before, after, meanwhile)
    return GateSample(
        host=one.host,
        gate="counters",
        check=rule.name,
        at=one.after.last.at,
        before=before.value if isinstance(before, Measured) else None,
        after=after.value if isinstance(after, Measured) else None,
        unit=rule.unit,
        threshold=threshold,
        verdict=verdict,
        cause=cause,
        why=why,
    )


def _verdict(
    rule: CounterRule,
    gate: CountersGate,
    before: Measured | NotMeasured,
    after: Measured | NotMeasured,
    meanwhile: _Meanwhile,
) -> tuple[Verdict, Cause | None, float | None, str]:
    """Return verdict, cause, threshold and the sentence."""
    if isinstance(after, NotMeasured):
        return Verdict.UNDECIDED, after.cause, None, after.why
    if not after.busy(rule):
        return Verdict.UNDECIDED, *_idle(rule, before, after, meanwhile)
    if rule.at_most is not None and after.value > rule.at_most:
        why = f"more than the {spelled(rule.at_most)} {rule.unit} that are ever allowed: {rule.why}"
        return Verdict.FAILED, None, rule.at_most, why
    if isinstance(before, NotMeasured):
        return Verdict.UNDECIDED, Cause.NO_BASELINE, None, f"no number from before the change: {before.why}"
    if not before.busy(rule):
        return Verdict.UNDECIDED, Cause.IDLE, None, f"idle before the change: {_traffic(rule, before)}"
    return _compared(rule, _bound(rule, gate, before, after, meanwhile), before, after)


def _compared(rule: CounterRule, bound: _Bound, before: Measured, after: Measured) -> tuple[Verdict, None, float, str]:
    """Return the verdict on two numbers of a host at work."""
    times = max(after.value, rule.tolerated) / max(before.value, rule.tolerated)
    # What it was counts as `tolerated` at least: 400 is not 400 times 0.
    base = "what it was" if before.value >= rule.tolerated else f"the {spelled(rule.tolerated)} that is tolerated"
    told = f"{spelled(times)} times {base}" if after.value > rule.tolerated else "no more than is tolerated"
    if after.value > bound.value:
        return Verdict.FAILED, None, bound.value, f"{told}; {bound.why}: {rule.why}"
    return Verdict.PASSED, None, bound.value, f"{told}; {bound.why}"


def _idle(
    rule: CounterRule, before: Measured | NotMeasured, after: Measured, meanwhile: _Meanwhile
) -> tuple[Cause, None, str]:
    was = before.traffic_per_s if isinstance(before, Measured) and before.busy(rule) else 0.0
    fell = after.traffic_per_s < _SILENCE * was
    if fell and (meanwhile.traffic is None or meanwhile.traffic >= _SILENCE):
        others = "" if meanwhile.traffic is None else "; the hosts not yet changed did not fall silent"
        return Cause.FELL_SILENT, None, f"{_traffic(rule, after)}, {spelled(was)} before the change{others}"
    return Cause.IDLE, None, f"idle: {_traffic(rule, after)}, {spelled(rule.min_traffic_per_s)} are asked for"


def _bound(rule: CounterRule, gate: CountersGate, before: Measured, after: Measured, meanwhile: _Meanwhile) -> _Bound:
    base = max(before.value, rule.tolerated)
    factor, why = rule.times_before, ""
    if meanwhile.growth is None:
        why = (
            f"compared with itself alone: {meanwhile.hosts} of the hosts not yet changed were at work, "
            f"{gate.min_others} are asked for"
        )
        if meanwhile.left_out:
            why = f"{why} ({meanwhile.left_out})"
    else:
        elsewhere = rule.times_others * meanwhile.growth + _NOISE * meanwhile.spread
        why = f"{spelled(meanwhile.growth)} times on the {meanwhile.hosts} hosts not yet changed"
        factor = max(factor, elsewhere)
    limit = base * factor
    if after.exposure is not None and before.exposure:
        # Counts of few events differ by chance: in what is seen now, and in what was seen before and scaled up.
        events = limit * after.exposure
        scale = factor * after.exposure / before.exposure
        limit += _NOISE * math.sqrt(events * (1 + scale)) / after.exposure
    return _Bound(limit if rule.at_most is None else min(limit, rule.at_most), why)


def _traffic(rule: CounterRule, number: Measured) -> str:
    return f"{' + '.join(rule.traffic)} {spelled(number.traffic_per_s)} a second"
