from __future__ import annotations

import pytest

from tcptune.domain.runs import CHANGED_STATES, FAILED_STATES, MOVES, HostState
from tests.unit.builders import result, run

TERMINAL = {
    HostState.ROLLED_BACK,
    HostState.REVERTED,
    HostState.LOST,
    HostState.STALE,
    HostState.UNREACHABLE,
    HostState.FAILED,
}


def test_every_state_stands_in_the_table() -> None:
    assert set(MOVES) == set(HostState)


def test_every_state_can_be_reached_from_the_first() -> None:
    reached, waiting = {HostState.PLANNED}, [HostState.PLANNED]
    while waiting:
        new = MOVES[waiting.pop()] - reached
        reached |= new
        waiting += new

    assert reached == set(HostState)


def test_where_nothing_of_the_run_is_left_the_story_ends() -> None:
    assert {state for state, after in MOVES.items() if not after} == TERMINAL


def test_nothing_becomes_planned_again() -> None:
    assert all(HostState.PLANNED not in after for after in MOVES.values())


@pytest.mark.parametrize("state", sorted(CHANGED_STATES))
def test_a_host_that_may_hold_a_change_has_a_way_back(state: HostState) -> None:
    assert HostState.ROLLED_BACK in MOVES[state]


@pytest.mark.parametrize("state", sorted(set(HostState) - CHANGED_STATES - {HostState.PLANNED}))
def test_a_host_that_holds_no_change_is_done_with(state: HostState) -> None:
    assert state in TERMINAL


def test_only_a_held_host_can_be_confirmed() -> None:
    assert [state for state, after in MOVES.items() if HostState.CONFIRMED in after] == [HostState.HELD]


def test_a_host_is_held_only_after_it_was_worked_on() -> None:
    assert [state for state, after in MOVES.items() if HostState.HELD in after] == [HostState.APPLYING]


def test_what_may_be_half_done_counts_as_failed() -> None:
    assert {HostState.BROKEN, HostState.PARTLY_BACK} <= FAILED_STATES
    assert not FAILED_STATES & {HostState.HELD, HostState.CONFIRMED, HostState.ROLLED_BACK, HostState.STALE}


def test_a_run_answers_for_its_hosts() -> None:
    found = run(result("a"), result("b", HostState.FAILED), result("c"))

    assert found.result("b").state is HostState.FAILED
    assert (found.count(HostState.HELD), found.count(HostState.STALE)) == (2, 0)
    with pytest.raises(KeyError):
        found.result("d")
