"""Several demands are solved to one that is met exactly by what meets them all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.demands import (
    AtLeast,
    AtMost,
    Between,
    Demand,
    Elements,
    Exactly,
    Includes,
    Leave,
    OneOf,
    Unset,
    meets,
)
from tcptune.domain.merging import Clash, solve

small = st.integers(0, 12).map(str)
singles = st.one_of(
    st.builds(Exactly, value=small),
    st.builds(AtLeast, value=small),
    st.builds(AtMost, value=small),
    st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda p: Between(low=str(min(p)), high=str(max(p)))),
    st.builds(OneOf, values=st.lists(small, min_size=1, max_size=4).map(tuple)),
    st.just(Leave()),
)
pairs = st.one_of(
    st.tuples(singles, singles).map(lambda each: Elements(each=each)),
    st.tuples(small, small).map(lambda p: AtLeast(value=" ".join(p))),
    st.tuples(small, small).map(lambda p: AtMost(value=" ".join(p))),
    st.tuples(small, small).map(lambda p: Exactly(value=" ".join(p))),
    st.just(Leave()),
)


@given(st.lists(singles, min_size=1, max_size=4), st.integers(0, 12))
def test_the_solution_is_met_by_what_meets_every_demand_and_by_nothing_else(demands: list[Demand], value: int) -> None:
    everything = all(meets(demand, str(value)) for demand in demands)
    try:
        assert meets(solve(demands), str(value)) == everything
    except Clash:
        assert not everything


@given(st.lists(pairs, min_size=1, max_size=3), st.integers(0, 12), st.integers(0, 12))
def test_the_same_goes_for_vectors(demands: list[Demand], first: int, second: int) -> None:
    value = f"{first} {second}"
    everything = all(meets(demand, value) for demand in demands)
    try:
        assert meets(solve(demands), value) == everything
    except Clash:
        assert not everything


@pytest.mark.parametrize(
    ("demands", "solution"),
    [
        ((AtLeast(value="4096"), AtLeast(value="8192")), AtLeast(value="8192")),
        ((AtLeast(value="10"), AtMost(value="20")), Between(low="10", high="20")),
        ((OneOf(values=("cubic", "bbr")), Exactly(value="bbr")), Exactly(value="bbr")),
        ((Leave(), Exactly(value="1")), Exactly(value="1")),
        ((Includes(value="80,443"), Includes(value="81")), Includes(value="80-81,443")),
        ((Unset(), Leave()), Unset()),
        (
            (AtLeast(value="1 2 3"), Elements(each=(Leave(), AtMost(value="9"), AtLeast(value="7")))),
            Elements(each=(AtLeast(value="1"), Between(low="2", high="9"), AtLeast(value="7"))),
        ),
    ],
)
def test_demands_that_can_be_met_together_become_one(demands: tuple[Demand, ...], solution: Demand) -> None:
    assert solve(demands) == solution


@pytest.mark.parametrize(
    "demands",
    [
        (AtLeast(value="20"), AtMost(value="10")),
        (Exactly(value="bbr"), Exactly(value="cubic")),
        (Exactly(value="1"), Unset()),
        (AtLeast(value="1 2"), AtLeast(value="1 2 3")),
        (Includes(value="80"), AtLeast(value="3")),
    ],
)
def test_demands_that_cannot_be_met_together_clash(demands: tuple[Demand, ...]) -> None:
    with pytest.raises(Clash):
        solve(demands)


def test_ports_that_are_there_stay_and_those_that_lack_are_added() -> None:
    demand = Includes(value="8080-8081")

    assert demand.settle("22,8081") == "22,8080-8081"
    assert demand.settle("8079-8082") == "8079-8082"
    assert demand.settle("") == "8080-8081"
