"""What is known of a rollout from its events: states, deadlines, the values nearest to their threshold."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.events import DeadlineExtended, Event, EventWave, Waiting, WaveBegan
from tcptune.domain.journal import WaveState
from tcptune.domain.runs import HostState
from tcptune.reports.rollout_view import RolloutView, failed_hosts
from tests.unit.reports.rollouts import RUN, at, began, failing, green, measured, moved, troubled, unread

APPLYING, HELD = HostState.APPLYING, HostState.HELD


def seen(events: list[Event]) -> RolloutView:
    view = RolloutView()
    for event in events:
        view.take(event)
    return view


def test_states_of_waves_and_hosts_are_those_that_were_told_last() -> None:
    view = seen(troubled())

    assert [wave.state for wave in view.waves.values()] == [
        WaveState.CONFIRMED,
        WaveState.PASSED,
        WaveState.ROLLED_BACK,
        WaveState.PLANNED,
    ]
    assert view.ended is not None
    assert dict(view.counts) == view.ended.counts
    assert failed_hosts(view, ("web3", "web4", "web13")) == ("web4",)


@given(st.integers(0, len(troubled())))
def test_every_host_is_counted_once_at_any_moment(length: int) -> None:
    view = seen([*troubled()[:1], *troubled()[1:length]])

    assert view.counts.total() == 40
    assert view.counts == Counter(view.states.values())


def test_a_rollout_that_is_taken_up_again_begins_where_its_hosts_stand() -> None:
    first = EventWave(number=1, hosts=("web1", "web2"), state=WaveState.CHANGING)
    again = began([]).model_copy(update={"waves": (first,), "states": {"web1": HELD}, "resumed": True})

    view = seen([*green(2, [1]), again])

    assert dict(view.counts) == {HELD: 1, HostState.PLANNED: 1}
    assert (view.ended, view.current, view.deadline) == (None, None, None)
    assert view.waves[1].state is WaveState.CHANGING


def test_the_first_deadline_is_that_of_the_hosts_that_still_hold_the_change() -> None:
    events = [began([["web1", "web2"]]), moved("web1", 1, APPLYING, HELD), moved("web2", 1, APPLYING, HELD, seconds=9)]
    longer = DeadlineExtended(at=at(10), run=RUN, hosts=("web1",), deadline=at(5000))

    assert seen(events).deadline == at(1200)
    assert seen([*events, longer]).deadline == at(1209)
    assert seen([*events, longer, moved("web2", 1, HELD, HostState.CONFIRMED)]).deadline == at(5000)


def test_checks_come_with_the_host_that_is_nearest_to_failing() -> None:
    login = {"gate": "ssh", "check": "login", "threshold": 100.0, "unit": "ms"}
    view = seen(
        [
            began([["web1", "web2", "web3"]]),
            measured(host="web1", after=1.0),
            measured(host="web2", after=3.0),
            measured(host="web3", after=90.0, **login),
            unread("web3", 1, 5),
        ]
    )

    assert [(one.sample.check, one.sample.host, one.hosts, one.used) for one in view.nearest] == [
        ("sent-resets", "web3", 3, None),
        ("login", "web3", 1, 0.9),
    ]
    view.take(measured(host="web3", after=2.0))
    assert [(one.sample.host, one.used) for one in view.nearest] == [("web3", 0.9), ("web2", 0.75)]
    view.take(failing("web1", 1, 6))
    assert (view.nearest[0].sample.host, view.nearest[0].used) == ("web1", 10.0)


def test_a_threshold_of_nothing_is_used_up_by_anything() -> None:
    assert seen([measured(after=0.0, threshold=0.0)]).nearest[0].used == 0.0
    assert seen([measured(after=0.1, threshold=0.0)]).nearest[0].used == float("inf")


def test_the_next_wave_begins_without_measurements() -> None:
    events = [began([["web1"], ["web2"]]), failing("web1", 1, 5)]

    assert seen([*events, WaveBegan(at=at(9), run=RUN, wave=2, hosts=("web2",))]).nearest == ()


def test_a_wait_is_over_with_the_next_event() -> None:
    wait = Waiting(at=at(5), run=RUN, waits_for="lease", why="the database is slow")

    assert seen([wait]).waiting == wait
    assert seen([wait, measured()]).waiting is None


def test_who_comes_late_sees_what_happens_from_then_on() -> None:
    view = seen([moved("web7", 3, APPLYING, HELD), *green(4, [1])[4:]])

    assert view.states["web7"] is HELD
    assert view.waves[3].counts[HELD] == 1
