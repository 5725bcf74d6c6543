"""Lines that HAProxy 2.6.12 wrote when each of these was done to it, and what they are counted as."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tcptune.domain.logs import LogReport
from tcptune.knowledge.wording import wording
from tcptune.planning.logs.tally import Tally

HTTP = '127.0.0.1:56154 [22/Nov/2026:02:58:54.449] web app/%s "GET / HTTP/1.1"'
TCP = "127.0.0.1:43216 [22/Nov/2026:02:58:54.455] raw app/%s"
SERVER, CLIENT = "app/s", "127.0.0.1"


def counted(line: str) -> LogReport:
    tally = Tally(wording())
    tally.begin(written=datetime(2026, 12, 1, tzinfo=UTC))
    # Twice: the second time its shape is known.
    tally.add(line.encode())
    tally.add(line.encode())
    return tally.report([])


@pytest.mark.parametrize(
    "line",
    [
        HTTP % "s 0/0/0/3/3 200 52 - - ---- 26/1/0/0/0 0/0",
        HTTP % "s 0/0/0/58/58 200 52 - - --NI 38/1/0/0/0 0/0",
        HTTP % "s 0/0/0/0/0 200 52 - - --VN 22/1/0/0/0 0/0",
        HTTP % "s 0/0/0/0/0 200 52 - - --II 7/1/0/0/0 0/0",
        # The first server refused, another one answered.
        HTTP % "s 0/0/0/5/5 200 52 - - --DI 24/1/0/0/+1 0/0",
        HTTP % "<NOSRV> 0/-1/-1/-1/0 302 83 - - LR-- 3/1/0/0/0 0/0",
        TCP % "s 1/0/53 0 -- 40/1/0/0/0 0/0",
        "2026-11-22 02:58:54 INFO burnt to CD 12 times, to SD 3/4, web - SHUTDOWN at 5/5/5/5/5",
    ],
)
def test_what_ended_well_is_no_error(line: str) -> None:
    assert counted(line).lines == 0


@pytest.mark.parametrize(
    ("line", "phrase", "error", "peer"),
    [
        (HTTP % "s 0/0/-1/-1/0 503 217 - - SC-- 11/1/0/0/0 0/0", "SC", "ECONNREFUSED", SERVER),
        (HTTP % "s 0/0/-1/-1/0 503 217 - - SCNN 42/1/0/0/0 0/0", "SC", "ECONNREFUSED", SERVER),
        (HTTP % "a 0/0/-1/-1/2108 503 217 - - SC-- 5/1/0/0/3 0/0", "SC", "ECONNREFUSED", "app/a"),
        (HTTP % "s 0/0/-1/-1/9 503 217 - - SCDN 5/1/0/0/+3 0/0", "SC", "ECONNREFUSED", SERVER),
        (HTTP % "<NOSRV> 0/-1/-1/-1/0 503 217 - - SC-- 14/1/0/0/0 0/0", "no_server", "UPSTREAM", "app/<NOSRV>"),
        (HTTP % "s 0/0/-1/-1/707 503 217 - - sC-- 15/1/0/0/0 0/0", "sC", "DEADLINE", SERVER),
        (HTTP % "s 0/0/0/-1/6 502 209 - - SH-- 30/1/0/0/0 0/0", "SH", "EOF", SERVER),
        (HTTP % "s 0/0/0/-1/58 502 209 - - SHNN 37/1/0/0/0 0/0", "SH", "EOF", SERVER),
        (HTTP % "s2 0/0/0/-1/12 502 209 - - SHDN 37/1/0/0/0 0/0", "SH", "EOF", "app/s2"),
        (HTTP % "s 0/0/0/-1/11 502 209 SRV=one - SHVN 34/1/0/0/0 0/0", "SH", "EOF", SERVER),
        (HTTP % "s 0/0/0/58/58 200 53 - - SDNI 38/1/0/0/0 0/0", "SH", "EOF", SERVER),
        (HTTP % "s 0/0/0/10/10 200 53 - - SDVU 32/1/0/0/0 0/0", "SH", "EOF", SERVER),
        (HTTP % "s 0/0/0/-1/702 504 198 - - sHNN 11/1/0/0/0 0/0", "sH", "DEADLINE", SERVER),
        (HTTP % "s 0/0/0/3/709 200 53 - - sD-- 15/1/0/0/0 0/0", "sH", "DEADLINE", SERVER),
        (HTTP % "<NOSRV> 0/403/-1/-1/403 503 217 - - sQ-- 18/2/1/0/0 0/1", "sQ", "DEADLINE", "app/<NOSRV>"),
        (HTTP % "<NOSRV> 0/100/-1/-1/100 -1 0 - - CQ-- 39/2/1/0/0 0/1", "client", "CANCELLED", CLIENT),
        (HTTP % "s 0/0/-1/-1/150 -1 0 - - CC-- 35/1/0/0/0 0/0", "client", "CANCELLED", CLIENT),
        (HTTP % "s 0/0/0/-1/103 400 206 - - CH-- 36/1/0/0/0 0/0", "client", "CANCELLED", CLIENT),
        (HTTP % "s 0/0/0/52/58 200 132696 - - CDNI 39/1/0/0/0 0/0", "client", "CANCELLED", CLIENT),
        (HTTP % "<NOSRV> -1/-1/-1/-1/101 400 0 - - CR-- 36/1/0/0/0 0/0", "client", "CANCELLED", CLIENT),
        (HTTP % "<NOSRV> -1/-1/-1/-1/501 408 0 - - cR-- 22/1/0/0/0 0/0", "client_slow", "DEADLINE", CLIENT),
        (HTTP % "s 0/0/0/2/754 200 4025824 - - cD-- 8/1/0/0/0 0/0", "client_slow", "DEADLINE", CLIENT),
        (HTTP % "<NOSRV> 0/-1/-1/-1/0 403 192 - - PR-- 3/1/0/0/0 0/0", "PR", "PROXY", CLIENT),
        (HTTP % "<NOSRV> 0/-1/-1/-1/0 403 192 - - PRVN 20/1/0/0/0 0/0", "PR", "PROXY", CLIENT),
        (HTTP % "<NOSRV> -1/301/-1/-1/300 500 208 - - PT-- 39/1/0/0/0 0/0", "PR", "PROXY", CLIENT),
        (HTTP % "s 0/0/0/-1/2 502 209 - - PH-- 26/1/0/0/0 0/0", "PH", "PROXY", SERVER),
        (HTTP % "s 0/0/1/-1/9 502 209 - - PHVN 32/1/0/0/0 0/0", "PH", "PROXY", SERVER),
        (HTTP % "s 0/0/0/-1/197 502 209 - - DH-- 38/1/0/0/0 0/0", "server_down", "UPSTREAM", SERVER),
        (HTTP % "s 0/0/0/-1/200 502 209 - - KH-- 37/1/0/0/0 0/0", "ended", "PROXY", SERVER),
        (TCP % "s 1/-1/0 0 SC 30/1/0/0/0 0/0", "SC", "ECONNREFUSED", SERVER),
        (TCP % "<NOSRV> -1/-1/0 0 SC 35/1/0/0/0 0/0", "no_server", "UPSTREAM", "app/<NOSRV>"),
        (TCP % "s 1/-1/702 0 sC 11/1/0/0/0 0/0", "sC", "DEADLINE", SERVER),
        (TCP % "s 1/0/51 0 SD 41/1/0/0/0 0/0", "server_reset", "ECONNRESET", SERVER),
        (TCP % "s 1/0/901 0 sD 10/1/0/0/0 0/0", "sH", "DEADLINE", SERVER),
        (TCP % "<NOSRV> 403/-1/402 0 sQ 18/2/1/0/0 0/1", "sQ", "DEADLINE", "app/<NOSRV>"),
        (TCP % "s 1/-1/152 0 CC 36/1/0/0/0 0/0", "client", "CANCELLED", CLIENT),
        (TCP % "s 1/0/16 1242829 CD 37/1/0/0/0 0/0", "client", "CANCELLED", CLIENT),
        (TCP % "<NOSRV> 101/-1/100 0 CQ 36/2/1/0/0 0/1", "client", "CANCELLED", CLIENT),
        (TCP % "s 1/0/753 41 cD 9/1/0/0/0 0/0", "client_slow", "DEADLINE", CLIENT),
        (TCP % "<NOSRV> -1/-1/0 0 PR 30/1/0/0/0 0/0", "PR", "PROXY", CLIENT),
        (TCP % "s 1/0/200 0 D- 40/1/0/0/0 0/0", "server_down", "UPSTREAM", SERVER),
        (TCP % "s 1/0/200 0 K- 41/1/0/0/0 0/0", "ended", "PROXY", SERVER),
        ("127.0.0.1:50252 [22/Nov/2026:03:12:35.271] web/1: SSL handshake failure", "tls", "TLS", CLIENT),
        ("127.0.0.1:50252 [22/Nov/2026:03:12:35.115] web/1: Timeout during SSL handshake", "tls", "TLS", CLIENT),
        ("::1:50252 [22/Nov/2026:03:12:35.115] web/1: Connection closed during SSL handshake", "tls", "TLS", "::1"),
        ("Connect() failed for backend app: no free ports.", "no_ports", "EADDRNOTAVAIL", None),
        (
            "Server app/s is DOWN, reason: Layer4 timeout, check duration: 303ms. 0 active and 0 backup servers left.",
            "check_timeout",
            "DEADLINE",
            None,
        ),
        ("proxy app has no server available!", "backend_down", "UPSTREAM", None),
    ],
)
def test_a_line_says_why_a_session_ended(line: str, phrase: str, error: str, peer: str | None) -> None:
    report = counted(line)

    assert [(e.name, p.id, p.lines) for e in report.errors for p in e.phrases] == [(error, f"haproxy.{phrase}", 2)]
    assert [one.peer for one in report.peers] == ([] if peer is None else [peer])


@pytest.mark.parametrize(
    "before",
    [
        "<6>",
        "<134>",
        "<134>Nov 22 03:12:35 haproxy[22900]: ",
        "<134>Nov 22 03:12:35 localhost haproxy[22900]: ",
        "<134>1 2026-11-22T03:12:35.117943+00:00 - haproxy 22900 - - ",
        "2026-11-22T03:12:35.119401+00:00 ",
        '{"log":"',
    ],
)
def test_whoever_keeps_the_log_the_client_is_found(before: str) -> None:
    [client] = counted(before + TCP % "s 1/0/16 1242829 CD 37/1/0/0/0 0/0").peers
    [server] = counted(before + TCP % "s 1/-1/0 0 SC 30/1/0/0/0 0/0").peers

    assert (client.peer, server.peer) == (CLIENT, SERVER)
