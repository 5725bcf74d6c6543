"""Counters are complete, and what judges hosts knows them by the same names."""

from __future__ import annotations

import re

import pytest

from tcptune.domain.counters import Counter
from tcptune.domain.parameters import Verified
from tcptune.knowledge.causes import causes
from tcptune.knowledge.counters import counters
from tcptune.knowledge.gates import built_in_rules
from tests.unit.knowledge.known_counters import MEASURED, READ_IN_A_SOURCE, SAY_OF_RESETS

CAMEL = re.compile(
    r"\b(?:TCP|Listen|Syncookies|Embryonic|PAWS|Attempt|Estab|Out|In|Retrans|IPReverse|Prune)\w*[a-z]\w*"
)


def test_nothing_of_the_counters_is_left_out() -> None:
    by = {one.name: one.verified for one in counters().values()}

    assert sorted(by) == sorted([*MEASURED, *READ_IN_A_SOURCE])
    assert {name for name, verified in by.items() if verified is Verified.EXPERIMENT} == set(MEASURED)
    assert {name for name, verified in by.items() if verified is Verified.SOURCE} == set(READ_IN_A_SOURCE)
    assert sum(bool(one.resets) for one in counters().values()) == SAY_OF_RESETS


def test_each_name_stands_for_one_counter() -> None:
    names = [name for one in counters().values() for name in one.names]

    assert len(names) == len(set(names))


def test_counters_that_signs_of_causes_name_are_known() -> None:
    named = {
        name
        for cause in causes().values()
        for sign in cause.evidence
        if sign.kind == "counter"
        for name in CAMEL.findall(sign.match)
    }

    assert "ListenOverflows" in named
    assert named <= {one.short for one in counters().values()}


def test_counters_that_gates_look_at_are_known() -> None:
    named = {name for rule in built_in_rules() for name in rule.counters}

    assert named <= set(counters())


@pytest.mark.parametrize("one", counters().values(), ids=counters())
def test_a_counter_says_where_it_is(one: Counter) -> None:
    assert one.file.startswith(("/proc/", "/sys/", "ethtool "))
    assert not one.meaning.endswith(".")
