"""Bodies in chunks: whole, broken off, cut by the capture, and spread over segments in any way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.captures.chunks import Chunks
from tcptune.domain.causes import Confidence
from tests.unit.captures.talk import Talk, only, report

GET = b"GET / HTTP/1.1\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"4;name=value\r\nWiki\r\n1A \r\nHTTP/1.1 200 OK\r\n\r\n6\r\nabcd\r\n0\r\nDigest: x\r\n\r\n"
SERVER = "10.0.0.2:80"


def spread(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({*(cut % (len(body) + 1) for cut in cuts), 0, len(body)})
    return [body[start:end] for start, end in pairwise(ends)]


@given(st.lists(st.integers(min_value=0)), st.integers(min_value=0, max_value=len(BODY)))
def test_a_body_is_over_with_its_last_byte_and_not_before(cuts: list[int], known: int) -> None:
    chunks = Chunks()
    taken = sum(chunks.take(part, len(part)) for part in spread(BODY[:known], cuts))

    assert (chunks.over, chunks.lost, taken) == (known == len(BODY), False, known)


def test_what_comes_after_the_body_is_not_of_it() -> None:
    chunks = Chunks()

    assert chunks.take(b"0\r\n\r\nHTTP/1.1 200", 17) == 5
    assert chunks.over


@pytest.mark.parametrize(
    "body", [b"no size\r\n", b"fffffffff\r\n", b"-1\r\n", b"\r\n", b"4" * 9000, b"1" + b";" * 9000]
)
def test_what_is_no_chunk_is_not_followed(body: bytes) -> None:
    chunks = Chunks()
    chunks.take(body, len(body))

    assert (chunks.lost, chunks.open) == (True, False)


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=300))
def test_no_bytes_break_it(captured: bytes, more: int) -> None:
    chunks = Chunks()
    length = len(captured) + more

    assert 0 <= chunks.take(captured, length) <= length
    assert not (chunks.over and chunks.lost)


def answered(*parts: bytes, ask: bytes = GET) -> Talk:
    talk = Talk().handshake().ask(ask)
    for part in parts:
        talk.answer(part)
    return talk


@pytest.mark.parametrize("parts", [(HEAD + BODY,), (HEAD, BODY), (HEAD + BODY[:7], BODY[7:25], BODY[25:])])
def test_a_whole_body_in_chunks_is_no_finding(parts: tuple[bytes, ...]) -> None:
    talk = answered(*parts)

    assert report(talk.fin(talk.server)).findings == ()


@pytest.mark.parametrize(
    ("body", "where"),
    [(BODY[:17], "within a chunk"), (b"4\r\nWiki\r\n", "before its last chunk")],
    ids=["in", "between"],
)
def test_a_body_that_its_sender_broke_off_is_one(body: bytes, where: str) -> None:
    talk = answered(HEAD + body)
    found = only(report(talk.fin(talk.server)))

    assert (found.cause, found.confidence, found.by) == ("eof.truncated_response", Confidence.HIGH, SERVER)
    assert found.what == f"a response in chunks ended {where} when its sender ended it"


def test_a_stream_that_its_reader_ended_is_possibly_one() -> None:
    talk = answered(HEAD, b"4\r\nWiki\r\n")
    found = only(report(talk.fin(talk.client)))

    assert (found.cause, found.confidence) == ("eof.truncated_response", Confidence.POSSIBLE)
    assert "a reader that ends a stream" in found.signs[0]


def test_a_request_in_chunks_that_was_broken_off_is_one() -> None:
    talk = Talk().handshake().ask(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWi")
    found = only(report(talk.fin(talk.client)))

    assert (found.cause, found.confidence) == ("eof.client_gone_reading_body", Confidence.HIGH)


def test_an_answer_to_head_has_no_chunks() -> None:
    talk = answered(HEAD, ask=b"HEAD / HTTP/1.1\r\n\r\n")

    assert report(talk.fin(talk.server)).findings == ()


def test_the_next_answer_on_the_connection_is_judged_by_itself() -> None:
    talk = answered(HEAD + BODY).ask(GET).answer(HEAD + BODY[:9])
    found = only(report(talk.fin(talk.server)))

    assert found.cause == "eof.truncated_response"
    both = answered(HEAD + BODY).ask(GET).answer(HEAD + BODY)
    assert report(both.fin(both.server)).findings == ()


def test_where_a_segment_was_not_captured_nothing_is_said_of_the_body() -> None:
    talk = answered(HEAD + BODY[:9])
    talk.server.seq += 40
    talk.answer(b"rest")

    assert "eof.truncated_response" not in {one.cause for one in report(talk.fin(talk.server)).findings}


def test_a_large_segment_is_followed_to_its_end() -> None:
    large = b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(9))
    talk = answered(HEAD + large + b"0\r\n\r\n")

    assert report(talk.fin(talk.server)).findings == ()
    cut = answered(HEAD + large)
    assert only(report(cut.fin(cut.server))).cause == "eof.truncated_response"
