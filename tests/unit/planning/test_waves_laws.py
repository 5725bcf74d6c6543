"""What holds for the waves of every fleet, whatever its racks, cohorts and policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tcptune.domain.changes import Plan
from tcptune.domain.hosts import Declared
from tcptune.domain.rollout import Policy, Waves, share
from tcptune.errors import PolicyError
from tcptune.planning.waves import cut_waves
from tests.unit.builders import change, cohort, declared, plan, policy

CHANGES = [(change(after=str(at)),) for at in range(5)]


class Fleet(NamedTuple):
    plan: Plan
    declared: dict[str, Declared]


@st.composite
def fleets(draw: st.DrawFn, most: int = 40) -> Fleet:
    number = draw(st.integers(1, most))
    names = draw(st.permutations([f"web{at}" for at in range(number)]))
    cohorts = draw(st.integers(1, min(4, number)))
    members = [names[at::cohorts] for at in range(cohorts)]
    racks = draw(st.lists(st.sampled_from(["r1", "r2", "r3", "r4", "r5"]), min_size=number, max_size=number))
    stages = draw(st.lists(st.sampled_from(["canary", "later"]), min_size=number, max_size=number))
    made = [
        cohort(*hosts, changes=(change(after=str(at)),), name=f"cohort{at}")
        for at, hosts in enumerate(members, start=1)
    ]
    said = zip(names, racks, stages, strict=True)
    return Fleet(plan(*made), {host: Declared(labels={"rack": rack, "stage": stage}) for host, rack, stage in said})


COUNTS = st.integers(1, 9)
SHARES = st.decimals(1, 49, places=1).map(lambda number: f"{number}%")
SIZES = st.lists(COUNTS | SHARES, min_size=0, max_size=2).flatmap(
    lambda some: st.sampled_from([[*some, "100%"], [1, *some], [*some, 2]])
)
ORDERS: st.SearchStrategy[Any] = st.sampled_from(
    ["name", "plan", "shuffled", {"by": "shuffled", "seed": 5}, {"first": [{"labels": {"stage": "canary"}}]}]
)


def policies(
    domains: tuple[str | None, ...] = (None, "rack"),
    cohorts: tuple[str, ...] = ("any", "each", "spread", "spread"),
    sizes: st.SearchStrategy[list[Any]] = SIZES,
) -> st.SearchStrategy[Policy]:
    return st.builds(
        lambda waves, domain, rule, order: policy(waves=waves, failure_domain=domain, cohorts=rule, order=order),
        sizes,
        st.sampled_from(domains),
        st.sampled_from(cohorts),
        ORDERS,
    )


POLICIES = policies()


def cut(fleet: Fleet, rule: Policy) -> Waves:
    """Return the waves; what cannot be met is another test's matter."""
    try:
        return cut_waves(fleet.plan, rule, fleet.declared)
    except PolicyError:
        assume(False)
        raise


def racks(fleet: Fleet, hosts: Sequence[str]) -> Counter[str]:
    return Counter(fleet.declared[host].labels["rack"] for host in hosts)


@given(fleets(), POLICIES)
def test_every_host_is_in_one_wave_and_no_other_host_in_any(fleet: Fleet, rule: Policy) -> None:
    assert sorted(cut(fleet, rule).hosts) == sorted(fleet.plan.hosts)


@given(fleets(), POLICIES)
def test_no_wave_is_empty_or_larger_than_asked(fleet: Fleet, rule: Policy) -> None:
    waves = cut(fleet, rule).waves
    total = len(fleet.plan.hosts)

    assert [wave.number for wave in waves] == list(range(1, len(waves) + 1))
    for wave in waves:
        asked = rule.waves[min(wave.number, len(rule.waves)) - 1]
        assert wave.asked == asked
        assert 1 <= len(wave.hosts) <= max(share(asked, total), 1)
        # Only the last one may be smaller.
        assert len(wave.hosts) == max(share(asked, total), 1) or wave is waves[-1]


@given(fleets(), policies(domains=("rack",), cohorts=("any", "spread"), sizes=st.lists(st.integers(1, 4), min_size=1)))
def test_the_canary_never_holds_two_hosts_of_one_rack(fleet: Fleet, rule: Policy) -> None:
    assert max(racks(fleet, cut(fleet, rule).waves[0].hosts).values()) == 1


@given(fleets(), policies(cohorts=("each",), sizes=st.sampled_from([[5], [4, 2], [3, "20%"]])))
def test_the_canary_holds_each_cohort_where_that_is_asked(fleet: Fleet, rule: Policy) -> None:
    canary = set(cut(fleet, rule).waves[0].hosts)

    assert all(canary.intersection(one.hosts) for one in fleet.plan.cohorts)


@given(fleets(most=8), POLICIES)
def test_a_policy_is_refused_only_where_no_choice_of_a_canary_meets_it(fleet: Fleet, rule: Policy) -> None:
    total = len(fleet.plan.hosts)
    size = min(max(share(rule.waves[0], total), 1), total)

    def meets(canary: Sequence[str]) -> bool:
        apart = rule.failure_domain is None or max(racks(fleet, canary).values()) == 1
        each = all(set(canary).intersection(one.hosts) for one in fleet.plan.cohorts)
        return apart and (each or rule.cohorts != "each")

    if any(meets(canary) for canary in combinations(fleet.plan.hosts, size)):
        assert meets(cut_waves(fleet.plan, rule, fleet.declared).waves[0].hosts)
    else:
        with pytest.raises(PolicyError, match=r"web\d|cohort\d"):
            cut_waves(fleet.plan, rule, fleet.declared)


@given(fleets(), POLICIES, st.randoms(use_true_random=False))
def test_the_same_hosts_give_the_same_waves_however_the_inventory_is_ordered(
    fleet: Fleet, rule: Policy, luck: Any
) -> None:
    shuffled = list(fleet.declared.items())
    luck.shuffle(shuffled)

    assert cut(fleet._replace(declared=dict(shuffled)), rule) == cut(fleet, rule)


@given(fleets(), POLICIES)
def test_what_is_said_of_a_wave_is_so(fleet: Fleet, rule: Policy) -> None:
    total = racks(fleet, list(fleet.plan.hosts))
    tried: set[str] = set()
    for wave in cut(fleet, rule).waves:
        cohorts = {fleet.plan.cohort_of(host).name for host in wave.hosts}
        assert set(wave.tries) == cohorts - tried
        tried |= cohorts
        inside = racks(fleet, wave.hosts)
        whole = {rack for rack in inside if inside[rack] == total[rack] > 1}
        assert set(wave.whole_domains) == (whole if rule.failure_domain else set())


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=7),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(1, 3),
)
def test_no_other_choice_takes_fewer_whole_racks(hosts_racks: list[str], sizes: list[int], cohorts: int) -> None:
    said = declared(**{f"web{at}": rack for at, rack in enumerate(hosts_racks)})
    members = [list(said)[at::cohorts] for at in range(min(cohorts, len(said)))]
    made = [cohort(*hosts, changes=CHANGES[at], name=f"cohort{at + 1}") for at, hosts in enumerate(members)]
    fleet = Fleet(plan(*made), said)
    rule = policy(waves=sizes, failure_domain="rack", cohorts="spread" if cohorts == 1 else "any")
    waves = cut(fleet, rule).waves

    assert sum(len(wave.whole_domains) for wave in waves) == _fewest(hosts_racks, [len(wave.hosts) for wave in waves])


def _fewest(hosts_racks: Sequence[str], sizes: Sequence[int]) -> int:
    """Try every way to fill waves of these sizes, and return the fewest racks of two and more that one wave takes."""
    fewest = len(hosts_racks)
    left = list(sizes)

    def fill(taken: list[int]) -> None:
        nonlocal fewest
        at = len(taken)
        if at == len(hosts_racks):
            waves_of: dict[str, list[int]] = {}
            for rack, wave in zip(hosts_racks, taken, strict=True):
                waves_of.setdefault(rack, []).append(wave)
            fewest = min(fewest, sum(len(waves) > 1 == len(set(waves)) for waves in waves_of.values()))
            return
        for wave in range(len(left)):
            canary_has = wave == 0 and any(
                taken[other] == 0 and hosts_racks[other] == hosts_racks[at] for other in range(at)
            )
            if left[wave] and not canary_has:
                left[wave] -= 1
                fill([*taken, wave])
                left[wave] += 1

    fill([])
    return fewest
