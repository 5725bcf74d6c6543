from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.planning.logs.stamps import HEAD_BYTES, stamp

WRITTEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(line: bytes) -> str | None:
    found = stamp(line, WRITTEN)
    return None if found is None else f"{datetime.fromtimestamp(found.epoch_s, UTC):%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"2026-02-03T04:05:06.789Z ERROR x", "2026-02-03T04:05:06"),
        (b"2026-02-03T04:05:06+02:00 x", "2026-02-03T02:05:06"),
        (b"2026-02-03T04:05:06-0130 x", "2026-02-03T05:35:06"),
        (b"2026-02-03 04:05:06,789 ERROR [main] x", "2026-02-03T04:05:06"),
        (b"2026/02/03 04:05:06 [error] 12#12: *7 x", "2026-02-03T04:05:06"),
        (b'10.0.0.1 - - [03/Feb/2026:04:05:06 +0100] "GET / HTTP/1.1" 502 1', "2026-02-03T03:05:06"),
        (b"haproxy[1]: 10.0.0.1:4000 [03/Feb/2026:04:05:06.789] fe be/s1", "2026-02-03T04:05:06"),
        (b"Feb  3 04:05:06 web1 app[1]: x", "2026-02-03T04:05:06"),
        (b"Dec 31 23:59:59 web1 app[1]: x", "2025-12-31T23:59:59"),
        (b"Feb 29 00:00:01 web1 app[1]: x", "2024-02-29T00:00:01"),
        (b"E0203 04:05:06.123456   1 x.go:1] x", "2026-02-03T04:05:06"),
        (b'{"level":"error","ts":1770091506.5,"msg":"x"}', "2026-02-03T04:05:06"),
        (b'{"time":1770091506500,"msg":"x"}', "2026-02-03T04:05:06"),
        (b"__REALTIME_TIMESTAMP=1770091506000000", "2026-02-03T04:05:06"),
        (b'{"MESSAGE":"x","__REALTIME_TIMESTAMP":"1770091506000000"}', "2026-02-03T04:05:06"),
        (b'{"log":"' + b"x" * HEAD_BYTES + b'","time":"2026-02-03T04:05:06.1Z"}', "2026-02-03T04:05:06"),
        (b"2026-02-03 04:05:06.789 UTC [9] LOG:  x", "2026-02-03T04:05:06"),
        (b"2026-02-03 04:05:06.789+01 x", "2026-02-03T03:05:06"),
        (b"2026-02-03 04:05:06.789 Zoe reset it", "2026-02-03T04:05:06"),
        (b"2026-02-03T04:05:60Z a leap second", "2026-02-03T04:05:59"),
        (b"20260203T040506Z x", "2026-02-03T04:05:06"),
        (b"20260203T040506.7+0100 x", "2026-02-03T03:05:06"),
        (b"03-Feb-2026 04:05:06.789 SEVERE [http-nio-8080-exec-1] x", "2026-02-03T04:05:06"),
        (b"[03-Feb-2026 04:05:06] WARNING: [pool www] x", "2026-02-03T04:05:06"),
        (b'[03/Feb/2026 04:05:06] "GET / HTTP/1.1" 502 1', "2026-02-03T04:05:06"),
        (b"[Tue Feb 03 04:05:06.789012 2025] [proxy:error] x", "2025-02-03T04:05:06"),
        (b"[Tue Feb  3 04:05:06 2025] x", "2025-02-03T04:05:06"),
        (b"1770091506.500    234 10.1.2.3 TCP_MISS/502 x", "2026-02-03T04:05:06"),
        (b"[12345.678901] TCP: x", None),
        (b"1770091506 bytes", None),
        (b"ts=1770091506.5 caller=x level=error x", "2026-02-03T04:05:06"),
        (b'{"ts":1770091506500000000,"msg":"x"}', "2026-02-03T04:05:06"),
        (b'{"timestamp":"1770091506500000"}', "2026-02-03T04:05:06"),
        (b"2026-13-03T04:05:06Z no such month", None),
        (b"0000-01-01T00:00:00Z no such year", None),
        (b"Feb 30 00:00:00 no such day", None),
        (b"12:00:00 no day at all", None),
        (b"", None),
    ],
)
def test_the_time_of_a_line(line: bytes, said: str | None) -> None:
    assert at(line) == said


@pytest.mark.parametrize("line", [b"2026-02-03 04:05:06 UTC x", b"2026-02-03 04:05:06+01 x", b"20260203T040506Z x"])
def test_a_zone_in_a_rarer_form_is_one(line: bytes) -> None:
    found = stamp(line, WRITTEN)

    assert found is not None
    assert found.zoned


def test_a_time_without_a_zone_is_told_from_one_with() -> None:
    zoned, naive = stamp(b"2026-02-03T04:05:06Z", WRITTEN), stamp(b"2026-02-03 04:05:06", WRITTEN)

    assert zoned is not None
    assert naive is not None
    assert (zoned.zoned, naive.zoned) == (True, False)
    assert zoned.epoch_s == naive.epoch_s


@given(st.binary(max_size=2000))
def test_any_bytes_have_a_time_or_none(line: bytes) -> None:
    found = stamp(line, WRITTEN)

    assert found is None or datetime.fromtimestamp(found.epoch_s, UTC)


@given(
    st.from_regex(rb"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{4})?", fullmatch=True)
)
def test_what_looks_like_a_time_is_one_or_is_none(line: bytes) -> None:
    found = stamp(line, WRITTEN)

    assert found is None or datetime.fromtimestamp(found.epoch_s, UTC)
