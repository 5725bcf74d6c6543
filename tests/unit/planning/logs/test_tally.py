from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.logs import LogReport
from tcptune.knowledge.wording import wording
from tcptune.planning.logs.states import forms
from tcptune.planning.logs.tally import Tally

WRITTEN = datetime(2026, 12, 1, tzinfo=UTC)
UP = b'client: 10.1.2.3, server: , request: "GET / HTTP/1.1", upstream: "http://10.0.0.7:80/", host: "x"'


ACCESS = b'10.1.2.3 - - [21/Nov/2026:18:25:13 +0000] "GET %s HTTP/1.1" 200 9 "%s" "curl"'


@pytest.mark.parametrize(
    "line",
    [
        ACCESS % (b"/errors/ECONNRESET", b"-"),
        ACCESS % (b"/", b"https://docs.example/?about=ECONNREFUSED"),
        b"2026-11-21 18:25:13 INFO fetched https://docs.example/EPIPE.html",
        b"2026-11-21 18:25:13 INFO read timeout 30s, connect timeout 5s",
        b"2026-11-21 18:25:13 INFO connection timeout=30000",
    ],
)
def test_what_is_no_error(line: bytes) -> None:
    assert counted(line).lines == 0


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        (b"GET /errors/ECONNRESET failed: ECONNRESET", "any.reset"),
        (b"/srv/app/net.js: ECONNRESET", "any.reset"),
        (b'level=error code=ECONNRESET url="https://x/"', "any.reset"),
        (b"(Caused by X: Connection to x timed out. (connect timeout=5))", "any.deadline"),
        (b'[2026-11-21T18:25:13Z] "GET / HTTP/1.1" 503 URX,UF 0 9', "envoy.retries"),
        (b'[2026-11-21T18:25:13Z] "GET / HTTP/2" 503 UR 0 9', "envoy.stream_reset"),
    ],
)
def test_what_looks_alike_and_is(line: bytes, phrase: str) -> None:
    assert [one.id for error in counted(line).errors for one in error.phrases] == [phrase]


def counted(*lines: bytes, export: bool = False, **options: Any) -> LogReport:
    tally = Tally(wording(), **options)
    tally.begin(written=WRITTEN, export=export)
    for line in lines:
        tally.add(line)
    return tally.report([])


@pytest.mark.parametrize(
    ("line", "phrase", "error", "cause"),
    [
        (
            b"2026/11/21 18:25:13 [error] 1#1: *3 recv() failed (104: Connection reset by peer) while reading response "
            b"header from upstream, " + UP,
            "nginx.upstream_reset",
            "ECONNRESET",
            "reset.keepalive_race",
        ),
        (
            b"*3 upstream timed out (110: Connection timed out) while reading response header from upstream, " + UP,
            "nginx.read_timed_out",
            "DEADLINE",
            "proxy.timeout",
        ),
        (
            b"*3 upstream timed out (110: Connection timed out) while connecting to upstream, " + UP,
            "nginx.connect_timed_out",
            "ETIMEDOUT",
            "connect_timeout.drop",
        ),
        (
            b"*3 connect() to 10.0.0.7:80 failed (99: Cannot assign requested address) while connecting to upstream, ",
            "nginx.no_ports",
            "EADDRNOTAVAIL",
            "port_exhaustion",
        ),
        (b"*3 no live upstreams while connecting to upstream, " + UP, "nginx.no_live", "UPSTREAM", None),
        (b'10.1.2.3 - - [21/Nov/2026:18:25:13 +0000] "GET / HTTP/1.1" 499 0 "-" "c"', "access.499", "CANCELLED", None),
        (b'10.1.2.3 - - [21/Nov/2026:18:25:13 +0000] "GET / HTTP/1.1" 504 0 "-" "c"', "access.504", "DEADLINE", None),
        (b'[2026-11-21T18:25:13Z] "GET / HTTP/1.1" 503 UF 0 91 9 - "-" "c"', "envoy.UF", "UPSTREAM", None),
        (b'[2026-11-21T18:25:13Z] "GET / HTTP/1.1" 0 DC 0 0 9 - "-" "c"', "envoy.DC", "CANCELLED", None),
        (b"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
         "envoy.connection_termination", "EOF", "reset.keepalive_race"),
        (b'haproxy[9]: 10.1.2.3:51000 [21/Nov/2026:18:25:13.1] f b/s 0/0/-1/-1/9 503 9 - - SC-- 1/1/1/1/3 0/0 "G"',
         "haproxy.SC", "ECONNREFUSED", "refused.closed_port"),
        (b"dial tcp 10.0.0.9:80: connect: cannot assign requested address", "go.port_exhaustion", "EADDRNOTAVAIL",
         "port_exhaustion"),
        (b"dial tcp 10.0.0.9:80: i/o timeout", "go.io_timeout", "DEADLINE", "connect_timeout.drop"),
        (b'Post "http://x/": EOF', "go.eof", "EOF", "eof.idle_reuse"),
        (b"http: Accept error: accept tcp [::]:80: accept4: too many open files; retrying in 5ms", "go.accept_files",
         "EMFILE", "limit.emfile"),
        (b"http: TLS handshake error from 10.1.2.3:51000: EOF", "go.tls_eof", "TLS", "reset.tls_before_ready"),
        (b"java.net.SocketTimeoutException: Read timed out", "java.read_timed_out", "DEADLINE", "proxy.timeout"),
        (b"HikariPool-1 - Connection is not available, request timed out after 30000ms.", "java.pool_hikari", "POOL",
         "limit.db_pool"),
        (b"ConnectionResetError: [Errno 104] Connection reset by peer", "python.reset", "ECONNRESET", None),
        (b"Error: socket hang up", "node.hang_up", "EOF", "reset.keepalive_race"),
        (b"Error: connect ECONNREFUSED 127.0.0.1:3306", "node.refused", "ECONNREFUSED", "refused.closed_port"),
        (b"client-app ERROR - Connection refused (111)", "any.refused", "ECONNREFUSED", "refused.closed_port"),
        (b"kernel: nf_conntrack: nf_conntrack: table full, dropping packet", "kernel.conntrack_full", "KERNEL",
         "drop.conntrack_full"),
        (b"accept() failed: Too many open files in system", "any.files_of_all", "ENFILE", "limit.enfile"),
    ],
)  # fmt: skip
def test_what_a_line_says(line: bytes, phrase: str, error: str, cause: str | None) -> None:
    report = counted(line)

    assert [(e.name, [p.id for p in e.phrases]) for e in report.errors] == [(error, [phrase])]
    assert cause is None or report.errors[0].phrases[0].causes[0] == cause


@pytest.mark.parametrize(
    "line",
    [
        b'10.1.2.3 - - [21/Nov/2026:18:25:13 +0000] "GET /timeouts HTTP/1.1" 200 502 "-" "c"',
        b"connection refunded",
        b"set read_timeout to 30s",
        b"",
        b"\x00\xff\xfe",
    ],
)
def test_a_line_without_an_error_counts_nothing(line: bytes) -> None:
    assert counted(line).lines == 0


def test_a_line_counts_once_by_its_first_phrase() -> None:
    assert counted(b"recv() failed (104: Connection reset by peer): write: broken pipe, upstream timed out").lines == 1


def test_times_give_first_last_and_buckets() -> None:
    report = counted(
        b"2026-11-21T18:00:59Z connection refused",
        b"2026-11-21T18:00:01Z connection refused",
        b"2026-11-21T18:07:00Z broken pipe",
        b"no time: connection refused",
    )

    refused = report.errors[0]
    assert (refused.lines, refused.untimed) == (3, 1)
    assert (refused.first, refused.last) == (
        datetime(2026, 11, 21, 18, 0, 1, tzinfo=UTC),
        datetime(2026, 11, 21, 18, 0, 59, tzinfo=UTC),
    )
    assert [(f"{b.start:%H:%M}", b.errors) for b in report.buckets] == [
        ("18:00", {"ECONNREFUSED": 2}),
        ("18:07", {"EPIPE": 1}),
    ]


def test_stretches_grow_where_the_log_is_long() -> None:
    report = counted(*(b"%d-01-01T00:00:00Z connection refused" % year for year in range(1971, 2026)))

    assert len(report.buckets) == 55
    assert sum(b.errors["ECONNREFUSED"] for b in report.buckets) == 55


def test_buckets_have_a_limit_and_lose_no_line() -> None:
    hours = product(range(10, 26), range(1, 13), range(1, 29, 3), range(0, 24, 3))

    report = counted(*(b"20%02d-%02d-%02dT%02d:00:00Z connection refused" % hour for hour in hours))

    assert len(report.buckets) <= 30
    assert sum(b.errors["ECONNREFUSED"] for b in report.buckets) == 16 * 12 * 10 * 8


def test_the_table_of_peers_has_a_limit_and_others_have_a_row() -> None:
    lines = [b"dial tcp 10.0.%d.%d:80: connect: connection refused" % (n // 250, n % 250) for n in range(1000)]
    late = [b"dial tcp 192.0.2.1:80: connect: connection refused"] * 500

    report = counted(*lines, *late, most_peers=100)

    assert report.peers[0].peer == "192.0.2.1:80"
    assert report.peers[0].lines == 500
    assert sum(peer.lines for peer in report.peers) + report.other_peers == 1500


def test_examples_are_few() -> None:
    report = counted(*(b"connection refused %d" % n for n in range(100)))

    assert report.errors[0].phrases[0].examples == tuple(f"connection refused {n}" for n in range(3))


def test_the_journals_export_gives_an_entry_its_time_and_counts_messages_alone() -> None:
    report = counted(
        b"__REALTIME_TIMESTAMP=1770091506000000",
        b"_CMDLINE=logger connection refused",
        b"MESSAGE=dial tcp 10.0.0.9:80: connect: connection refused",
        b"__REALTIME_TIMESTAMP=1770091566000000",
        b"second line of a message: connection refused",
        export=True,
    )

    assert report.lines == 2
    assert [f"{b.start:%H:%M}" for b in report.buckets] == ["04:05", "04:06"]


def test_the_journals_json_counts_messages_alone() -> None:
    report = counted(
        b'{"__REALTIME_TIMESTAMP":"1770091506000000","_CMDLINE":"x connection refused","MESSAGE":"all is well"}',
        b'{"MESSAGE":"read: \\"connection reset by peer\\"","__REALTIME_TIMESTAMP":"1770091506000000"}',
    )

    assert [error.name for error in report.errors] == ["ECONNRESET"]
    assert report.errors[0].first is not None


def test_json_is_read_without_its_quoting() -> None:
    report = counted(b'{"log":"recv() failed (104: x), upstream: \\"http://10.0.0.7:80/\\", connection reset by peer"}')

    assert report.peers[0].peer == "10.0.0.7:80"


PLAIN = [(phrase, text.encode()) for phrase in wording().phrases for text, sure in forms(phrase) if sure is None]
WORDS = st.sampled_from([phrase.beside.encode() + text for phrase, text in PLAIN])


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.builds(lambda a, w, b: a + w + b, st.binary(), WORDS, st.binary())),
        max_size=20,
    ),
    st.booleans(),
)
def test_any_bytes_are_counted_and_reported(lines: list[bytes], export: bool) -> None:
    report = counted(*lines, export=export)

    assert report.lines <= len(lines)
    assert LogReport.model_validate_json(report.model_dump_json()) == report


TIMED = b"2026-11-21 18:25:13 ERROR request failed: java.net.ConnectException: Connection refused\n"
UNTIMED = b"java.net.ConnectException: Connection refused\n"
DEEPER = b"Caused by: java.net.ConnectException: Connection refused: /10.0.0.7:80\n"
OTHER = b"Caused by: java.net.SocketException: Connection reset\n"


def one_behind_another(*lines: bytes) -> LogReport:
    """Count lines as they stand in a file; those in which nothing is found are not handed over."""
    tally, offset = Tally(wording()), 0
    tally.begin(written=WRITTEN)
    for line in lines:
        if line.strip(b"\n\tat x"):
            tally.add(line, offset)
        offset += len(line)
    return tally.report([])


@pytest.mark.parametrize(
    ("lines", "errors", "traced"),
    [
        ([TIMED, UNTIMED, b"\tat x\n" * 50, DEEPER], {"ECONNREFUSED": 1}, 2),
        ([UNTIMED, b"\tat x\n" * 50, DEEPER, b"\tat x\n", DEEPER], {"ECONNREFUSED": 1}, 2),
        ([UNTIMED, UNTIMED, UNTIMED], {"ECONNREFUSED": 3}, 0),
        ([TIMED, TIMED], {"ECONNREFUSED": 2}, 0),
        ([TIMED, b"\tat x\n" * 2000, DEEPER], {"ECONNREFUSED": 2}, 0),
        ([TIMED, OTHER], {"ECONNREFUSED": 1, "ECONNRESET": 1}, 0),
        ([DEEPER], {"ECONNREFUSED": 1}, 0),
    ],
)
def test_a_trace_is_one_error(lines: list[bytes], errors: dict[str, int], traced: int) -> None:
    report = one_behind_another(*lines)

    assert {error.name: error.lines for error in report.errors} == errors
    assert report.traced == traced


def test_the_peer_may_stand_deeper_in_a_trace() -> None:
    report = one_behind_another(TIMED, DEEPER)

    assert [(peer.peer, peer.lines) for peer in report.peers] == [("10.0.0.7:80", 1)]
    assert report.no_peer == 0


def test_a_source_does_not_go_on_with_the_one_before() -> None:
    tally = Tally(wording())
    for _ in range(2):
        tally.begin(written=WRITTEN)
        tally.add(DEEPER, 0)

    assert tally.report([]).lines == 2


@given(st.binary(max_size=100).filter(lambda b: not b.startswith(b"{")), WORDS)
def test_a_line_with_a_known_text_is_never_missed(before: bytes, text: bytes) -> None:
    # One word behind others without a blank may be part of a URL.
    assert counted(before + (b"" if b" " in text else b" ") + text).lines == 1


def test_a_line_of_a_known_shape_is_still_read_for_its_numbers() -> None:
    report = counted(
        b'10.1.2.3 - - [21/Nov/2026:18:25:13 +0000] "GET / HTTP/1.1" 502 0',
        b'10.1.2.3 - - [21/Nov/2026:18:25:14 +0000] "GET / HTTP/1.1" 504 0',
        b'10.1.2.3 - - [21/Nov/2026:18:25:15 +0000] "GET / HTTP/1.1" 200 0',
    )

    assert {error.name: error.lines for error in report.errors} == {"UPSTREAM": 1, "DEADLINE": 1}


@given(st.lists(WORDS, max_size=4), st.lists(st.text("0123456789 (:", max_size=6).map(str.encode), max_size=4))
def test_the_first_phrase_that_a_line_holds_is_what_it_says(words: list[bytes], between: list[bytes]) -> None:
    line = b"".join(part for pair in zip(words, [*between, *[b" "] * 4], strict=False) for part in pair)
    first = next((p.id for p, text in PLAIN if text in line and p.beside.encode() in line), None)

    # Twice: the second time its shape is known.
    for said in counted(line, line).errors:
        assert [(p.id, p.lines) for p in said.phrases] == [(first, 2)]
    assert counted(line).lines == (first is not None)
