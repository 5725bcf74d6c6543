"""A whole capture: what is counted, and what is told when more passes than is remembered."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.captures import sides
from tcptune.captures.analysis import EXAMPLES, Analysis
from tcptune.captures.packets import Segment
from tcptune.captures.table import FlowTable
from tcptune.domain.causes import Confidence
from tcptune.knowledge import captures as knowledge
from tcptune.knowledge.captures import capture_causes, gap_like, known_gaps
from tests.fuzz.examples import fuzz

from .talk import SECOND, Talk, report


def test_the_examples_in_the_docstrings_are_right() -> None:
    assert doctest.testmod(sides).failed == 0
    assert doctest.testmod(knowledge).failed == 0


def test_more_flows_than_the_table_holds_are_told() -> None:
    talks = [Talk(sport=port).handshake() for port in range(40000, 40020)]

    found = report(*talks, flows=5)

    assert found.flows.evicted > 0
    assert any("dropped from the table" in note for note in found.notes)


def syns(number: int, *, answered: bool) -> list[Talk]:
    talks = []
    for place in range(number):
        talk = Talk(client=f"10.{place // 250}.7.{place % 250 + 1}")
        talk.at += place * 0.003
        talk.say(talk.client, "S", keep=False)
        if answered:
            talk.say(talk.server, "SA", keep=False)
        talks.append(talk)
    return talks


@pytest.mark.parametrize("answered", [False, True])
def test_a_flood_of_syns_is_seen_even_where_no_flow_of_it_could_be_judged(answered: bool) -> None:
    found = report(*syns(1200, answered=answered), flows=100)

    assert [one.cause for one in found.findings] == ["listen.syn_queue_full"]
    assert found.findings[0].what == "1200 of 1200 handshakes with 10.0.0.2:80 were never finished"
    assert found.findings[0].confidence is (Confidence.LIKELY if answered else Confidence.POSSIBLE)


def test_a_few_handshakes_that_are_not_finished_are_no_flood() -> None:
    found = report(*syns(300, answered=True), flows=100)

    assert found.findings == ()
    assert not found.judged


def test_what_has_ended_makes_room_before_what_is_under_way() -> None:
    lasting = Talk(sport=39999).handshake()
    short = []
    for number in range(20):
        talk = Talk(sport=40000 + number).wait(1 + number).handshake()
        talk.fin(talk.client).fin(talk.server)
        short.append(talk)

    found = report(lasting, *short, flows=3)

    assert (found.flows.evicted, found.flows.total, found.flows.open) == (0, 21, 1)


def test_ports_that_are_used_again_are_another_connection() -> None:
    first = Talk().handshake()
    first.fin(first.client).fin(first.server)
    second = Talk().wait(10)
    second.client.isn = second.client.seq = 12345
    second.handshake()

    assert report(first, second).flows.total == 2


def test_all_are_counted_and_some_are_shown() -> None:
    talks = []
    for number in range(EXAMPLES + 30):
        talk = Talk(sport=10000 + number).wait(number).handshake().ask()
        talks.append(talk.abort(talk.server))

    found = report(*talks)

    assert found.causes[0].flows == EXAMPLES + 30
    assert len(found.findings) == EXAMPLES
    assert found.causes[0].by == (("10.0.0.2:80", EXAMPLES + 30),)


def test_a_flow_whose_beginning_was_not_captured_is_judged_for_what_is_there() -> None:
    talk = Talk().handshake().ask()
    talk.abort(talk.server)
    del talk.packets[:3]

    found = report(talk)

    assert found.flows.unseen_start == 1
    assert found.findings[0].flow == "10.0.0.1:40000 > 10.0.0.2:80"
    assert found.findings[0].cause == "reset.unread_data_on_close"


def test_every_cause_says_its_source_and_how_it_was_checked() -> None:
    for cause in capture_causes().values():
        assert cause.source
        assert cause.verified in {"experiment", "source"}
        assert cause.tell_apart


@pytest.mark.parametrize("known", known_gaps(), ids=lambda known: str(known.seconds))
def test_a_silence_is_known_from_its_length_on_and_not_long_after(known: knowledge.KnownGap) -> None:
    assert gap_like(known.seconds + 0.05) == known
    assert gap_like(known.seconds * 0.9) is not known
    assert gap_like(known.seconds * 1.1 + 1) is not known


def segment(client: bool, flags: int, seq: int, ack: int, length: int, host: int) -> Segment:
    ends = (b"\x0a\0\0\1", b"\x0a\0\0\2")
    ports = (40000 + host, 80)
    src, dst = ends if client else ends[::-1]
    sport, dport = ports if client else ports[::-1]
    made = Segment(src, dst, 64, 1, (sport, dport, seq, ack, 0x50, flags, 500))
    made.length = length
    return made


SEGMENTS = st.lists(
    st.tuples(
        st.builds(
            segment,
            st.booleans(),
            st.integers(0, 63),
            st.sampled_from([0, 1, 2, 100, 101, 2**31, 2**32 - 1]),
            st.sampled_from([0, 1, 2, 100, 101, 2**31, 2**32 - 1]),
            st.sampled_from([0, 1, 100, 1448]),
            st.integers(0, 8),
        ),
        st.integers(-SECOND, 400 * SECOND),
    ),
    max_size=60,
)


@given(SEGMENTS)
def test_every_flow_leaves_the_table_once_and_no_more_stay_than_fit(arrivals: list[tuple[Segment, int]]) -> None:
    table = FlowTable(4)
    left = []
    now = 10**18
    for number, (one, pause) in enumerate(arrivals):
        now += pause
        one.number, one.time_ns = number + 1, now
        left += list(table.take(one))
        assert len(table._alive) + len(table._ended) <= 4
    left += list(table.drain())

    assert len({id(flow) for flow in left}) == len(left)
    assert sum(side.segments + side.resets_seen for flow in left for side in (flow.client, flow.server)) + (
        table.duplicates
    ) == len(arrivals)


@fuzz(100)
@given(SEGMENTS)
def test_nothing_that_segments_say_breaks_the_judgement(arrivals: list[tuple[Segment, int]]) -> None:
    analysis = Analysis(flows=4)
    now = 10**18
    for number, (one, pause) in enumerate(arrivals):
        now += pause
        one.number, one.time_ns = number + 1, now
        for flow in analysis._table.take(one):
            analysis._judge(flow)
    found = analysis.report(())

    assert found.model_validate_json(found.model_dump_json()) == found
