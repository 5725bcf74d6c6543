"""Laws of the counters gate, for hypothesis to look for exceptions."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.gate_rules import LevelRule
from tcptune.domain.gates import Cause, Verdict, Watched
from tcptune.knowledge.gates import built_in_rules
from tcptune.planning.counter_gate import judge_counters
from tests.unit.planning.watched import (
    BUSY,
    IN,
    OTHER_BOOT,
    OUT,
    OVERFLOWS,
    RATE,
    RETRANS,
    SHARE,
    S,
    busy,
    gate,
    one,
    watched,
)

_RULES = [rule for rule in built_in_rules() if not isinstance(rule, LevelRule)]
_EVENTS = sorted({name for rule in _RULES for name in rule.counters})
_TRAFFIC = sorted({name for rule in built_in_rules() for name in rule.traffic})
_BUILT_IN = gate(leave_out=["memory"])

events = st.fixed_dictionaries({name: st.integers(0, 100_000) for name in _EVENTS})
idle = st.fixed_dictionaries({name: st.integers(0, S // 2) for name in _TRAFFIC})
traffic = st.fixed_dictionaries({name: st.integers(0, 10_000_000) for name in _TRAFFIC})


@st.composite
def hosts(draw: st.DrawFn, prefix: str) -> list[Watched]:
    count = draw(st.integers(0, 5))
    return [
        watched(
            f"{prefix}{n}", draw(events) | draw(traffic), draw(events) | draw(traffic), boot=draw(st.just(OTHER_BOOT))
        )
        if draw(st.integers(0, 9)) == 0
        else watched(f"{prefix}{n}", draw(events) | draw(traffic), draw(events) | draw(traffic))
        for n in range(count)
    ]


@given(events, events, idle, idle, hosts("other"))
def test_noise_of_an_idle_host_neither_passes_nor_fails(
    before: Mapping[str, int],
    after: Mapping[str, int],
    quiet_before: Mapping[str, int],
    quiet_after: Mapping[str, int],
    others: list[Watched],
) -> None:
    host = watched("web1", {**before, **quiet_before}, {**after, **quiet_after})

    samples = judge_counters(_BUILT_IN, [host], others)

    assert {sample.cause for sample in samples} == {Cause.IDLE}


@given(
    st.integers(1000, 30_000),
    st.integers(60_000, 300_000),
    st.lists(st.tuples(st.integers(1000, 3000), st.integers(98, 102)), max_size=8),
)
def test_a_doubled_share_of_retransmissions_at_traffic_always_fails(
    lost: int, segments: int, steady: list[tuple[int, int]]
) -> None:
    lost = max(lost, math.ceil(segments * SHARE.tolerated_percent / 100))
    others = [busy(f"other{n}", events, events * percent // 100) for n, (events, percent) in enumerate(steady)]

    # The others vary by two per cent either way: 1.5 times that and three deviations of it are below 1.65. Chance is
    # given three deviations more, which 1,000 events that became 2,000 exceed, and 300 that became 600 may not.
    assert one(busy("web1", lost, 2 * lost, segments=segments), *others).verdict is Verdict.FAILED


@given(st.integers(1, 100), st.integers(0, 20_000), st.integers(0, 3000))
def test_what_doubles_or_worse_everywhere_fails_nowhere(times: int, before: int, spread: int) -> None:
    hosts = [busy(f"h{n}", before + spread * n, times * (before + spread * n), OVERFLOWS) for n in range(6)]

    # All were above what is tolerated, or all below: a factor from below that line is another factor.
    if all(before + spread * n >= 60 for n in range(6)):
        assert one(*hosts, rule=RATE).verdict is Verdict.PASSED


@given(hosts("web"), hosts("other"), st.randoms())
def test_the_order_of_hosts_does_not_matter(
    changed: list[Watched], others: list[Watched], chance: random.Random
) -> None:
    shuffled = (chance.sample(changed, len(changed)), chance.sample(others, len(others)))

    assert judge_counters(_BUILT_IN, *shuffled) == judge_counters(_BUILT_IN, changed, others)


@given(hosts("web"), hosts("other"), st.sampled_from(_EVENTS + _TRAFFIC))
def test_a_counter_that_is_missing_never_makes_a_sample_pass_or_fail(
    changed: list[Watched], others: list[Watched], missing: str
) -> None:
    def without(host: Watched) -> Watched:
        data = host.model_dump()
        for window in (data["before"], data["after"]):
            for end in window.values():
                end["counters"].pop(missing, None)
        return Watched.model_validate(data)

    needs = {rule.name for rule in _RULES if missing in (*rule.counters, *rule.traffic, *getattr(rule, "of", ()))}
    samples = judge_counters(_BUILT_IN, [without(host) for host in changed], others)

    assert needs
    for sample in samples:
        if sample.check in needs:
            assert sample.cause in {Cause.LACKING, Cause.REBOOTED}


@given(events, events, hosts("other"))
def test_a_reboot_is_never_a_rate(before: Mapping[str, int], after: Mapping[str, int], others: list[Watched]) -> None:
    host = watched("web1", {**before, **BUSY}, {**after, **BUSY}, boot=OTHER_BOOT)

    samples = judge_counters(_BUILT_IN, [host], others)

    assert {sample.cause for sample in samples} == {Cause.REBOOTED}
    assert {sample.after for sample in samples} == {None}


@given(
    st.integers(0, 5000),
    st.integers(0, 50_000),
    st.integers(0, 50_000),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=6),
)
def test_more_of_what_is_bad_is_never_better(
    before: int, after: int, more: int, elsewhere: list[tuple[int, int]]
) -> None:
    others = [busy(f"other{n}", a, b) for n, (a, b) in enumerate(elsewhere)]

    if one(busy("web1", before, after), *others).verdict is Verdict.FAILED:
        assert one(busy("web1", before, after + more), *others).verdict is Verdict.FAILED


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 2**62))
def test_only_what_happened_counts_and_not_where_the_counters_stood(before: int, after: int, since_boot: int) -> None:
    grew = ({**BUSY, RETRANS: before}, {**BUSY, RETRANS: after})

    assert one(watched("web1", *grew, since_boot=since_boot)) == one(watched("web1", *grew))


def test_chance_alone_fails_one_host_in_a_thousand_at_most() -> None:
    chance = random.Random(20260314)  # noqa: S311  # a repeatable draw, no secret
    failed = 0
    for _ in range(3000):
        mean = chance.choice([0.2, 1, 3, 10, 30, 100, 300])
        host = busy("web1", _poisson(chance, mean), _poisson(chance, mean), chance.choice([RETRANS, OVERFLOWS]))
        rule = SHARE if RETRANS in getattr(host.after.last, "counters", {}) else RATE
        failed += one(host, rule=rule).verdict is Verdict.FAILED

    assert failed <= 3


def _poisson(chance: random.Random, mean: float) -> int:
    """Return how many independent events happen in a window, where `mean` do on average."""
    count, waited = 0, chance.expovariate(1)
    while waited < mean:
        count += 1
        waited += chance.expovariate(1)
    return count


def test_the_names_in_these_laws_are_those_of_the_rules() -> None:
    assert {IN, OUT} <= set(_TRAFFIC)
    assert {RETRANS, OVERFLOWS} <= set(_EVENTS)
