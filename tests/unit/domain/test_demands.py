from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tcptune.domain.demands import AtLeast, AtMost, Between, Demand, Elements, Exactly, Leave, OneOf, Single, meets

TRIPLE = "4096 131072 6291456"

CASES: list[tuple[Demand, str, str]] = [
    (Exactly(value="4096"), "128", "4096"),
    (Exactly(value="4096"), "4096", "4096"),
    (Exactly(value=TRIPLE), "1 2 3", TRIPLE),
    (AtLeast(value="4096"), "128", "4096"),
    (AtLeast(value="4096"), "65535", "65535"),
    (AtLeast(value=TRIPLE), "8192 87380 33554432", "8192 131072 33554432"),
    (AtMost(value="300"), "7200", "300"),
    (AtMost(value="300"), "30", "30"),
    (Between(low="15", high="60"), "5", "15"),
    (Between(low="15", high="60"), "15", "15"),
    (Between(low="15", high="60"), "60", "60"),
    (Between(low="15", high="60"), "90", "60"),
    (Between(low="1024 60999", high="32768 65535"), "500 65536", "1024 65535"),
    (OneOf(values=("bbr", "cubic")), "reno", "bbr"),
    (OneOf(values=("bbr", "cubic")), "cubic", "cubic"),
    (Leave(), "anything", "anything"),
    (Elements(each=(AtMost(value="32768"), AtLeast(value="60999"))), "40000 50000", "32768 60999"),
    (Elements(each=(Leave(), Exactly(value="2"), Between(low="3", high="4"))), "9 9 9", "9 2 4"),
]


@pytest.mark.parametrize(("demand", "actual", "wanted"), CASES, ids=str)
def test_a_demand_says_which_value_would_meet_it(demand: Demand, actual: str, wanted: str) -> None:
    assert demand.settle(actual) == wanted
    assert meets(demand, actual) is (actual == wanted)


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        (Exactly(value="4096"), "4096"),
        (AtLeast(value="4096"), "at least 4096"),
        (AtMost(value="300"), "at most 300"),
        (Between(low="15", high="60"), "between 15 and 60"),
        (OneOf(values=("bbr", "cubic")), "one of bbr, cubic"),
        (Leave(), "left as it is"),
        (Elements(each=(Exactly(value="1"), AtLeast(value="2"), AtMost(value="3"))), "1 >=2 <=3"),
        (Elements(each=(Between(low="1", high="2"), OneOf(values=("1", "2")), Leave())), "1..2 1|2 any"),
    ],
)
def test_a_demand_is_written_as_a_reviewer_says_it(demand: Demand, text: str) -> None:
    assert str(demand) == text


def test_numbers_are_compared_as_numbers() -> None:
    assert meets(AtLeast(value="900"), "1000")
    assert not meets(AtMost(value="900"), "1000")


@pytest.mark.parametrize("demand", [AtLeast(value=TRIPLE), Between(low="1", high="2"), AtMost(value="3")])
@pytest.mark.parametrize("actual", ["1 2", "cubic", ""])
def test_a_value_of_another_shape_cannot_be_judged(demand: Demand, actual: str) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        meets(demand, actual)


@pytest.mark.parametrize("actual", ["1", "1 2 3"])
def test_elements_refuse_a_vector_of_another_length(actual: str) -> None:
    with pytest.raises(ValueError, match="zip"):
        Elements(each=(Leave(), Leave())).settle(actual)


@pytest.mark.parametrize(
    "raw",
    [
        {"operator": "exactly", "value": True},
        {"operator": "one_of", "values": []},
        {"operator": "elements", "each": [{"operator": "leave"}]},
        {"operator": "at_leat", "value": "1"},
        {"operator": "leave", "value": "1"},
    ],
)
def test_what_is_no_demand_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Demand).validate_python(raw)


NUMBER = st.integers(-(2**31), 2**31 - 1).map(str)


def vectors(width: int) -> st.SearchStrategy[str]:
    return st.lists(NUMBER, min_size=width, max_size=width).map(" ".join)


def singles(width: int) -> st.SearchStrategy[Single]:
    value = vectors(width)
    return st.one_of(
        st.builds(Exactly, value=value),
        st.builds(AtLeast, value=value),
        st.builds(AtMost, value=value),
        st.builds(Between, low=value, high=value),
        st.builds(OneOf, values=st.lists(value, min_size=1, max_size=3).map(tuple)),
        st.just(Leave()),
    )


def cases(width: int) -> st.SearchStrategy[tuple[Demand, str]]:
    demand: st.SearchStrategy[Demand] = singles(width)
    if width > 1:
        elements = st.lists(singles(1), min_size=width, max_size=width).map(tuple)
        demand = st.one_of(demand, st.builds(Elements, each=elements))
    return st.tuples(demand, vectors(width))


ANY_CASE = st.integers(1, 3).flatmap(cases)


@given(ANY_CASE)
def test_a_settled_value_meets_the_demand_and_settles_to_itself(case: tuple[Demand, str]) -> None:
    demand, actual = case
    settled = demand.settle(actual)

    assert meets(demand, settled)
    assert demand.settle(settled) == settled


@given(ANY_CASE)
def test_a_demand_survives_a_round_trip_through_json(case: tuple[Demand, str]) -> None:
    demand, _ = case
    adapter: TypeAdapter[Demand] = TypeAdapter(Demand)

    assert adapter.validate_json(adapter.dump_json(demand)) == demand
