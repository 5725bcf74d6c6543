from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.planning.logs.peers import peer

NGINX = (
    b"2026/11/21 18:25:13 [error] 4376#4376: *3 recv() failed (104: Connection reset by peer) while reading response "
    b'header from upstream, client: 10.1.2.3, server: , request: "GET /rst HTTP/1.1", '
    b'upstream: "http://10.0.0.7:8080/rst", host: "shop"'
)
HAPROXY = (
    b'h haproxy[9]: 10.1.2.3:51000 [03/Feb/2026:04:05:06.789] fe be/s1 0/0/1/-1/9 504 9 - - sH-- 1/1/1/1/0 0/0 "G"'
)
ENVOY = b'[2026-02-03T04:05:06Z] "GET / HTTP/1.1" 503 UF 0 91 9 - "-" "curl" "id" "shop" "10.0.0.7:8080"'


@pytest.mark.parametrize(
    ("line", "meant", "said"),
    [
        (NGINX, "upstream", "10.0.0.7:8080"),
        (NGINX, "client", "10.1.2.3"),
        (b'upstream: "fastcgi://unix:/run/php.sock:", host', "upstream", "unix:"),
        (b'upstream: "http://bob:secret@10.0.0.7:80/", host', "upstream", "10.0.0.7:80"),
        (HAPROXY, "upstream", "be/s1"),
        (HAPROXY, "client", "10.1.2.3"),
        (ENVOY, "upstream", "10.0.0.7:8080"),
        (b'10.1.2.3 - - [03/Feb/2026:04:05:06 +0000] "GET / HTTP/1.1" 499 0', "client", "10.1.2.3"),
        (b"read tcp 10.0.0.1:41000->10.0.0.9:5432: read: connection reset by peer", "any", "10.0.0.9:5432"),
        (b"read tcp 10.0.0.9:80->10.1.2.3:51000: read: connection reset by peer", "any", "10.1.2.3:*"),
        (b"read tcp [::1]:41000->[2001:db8::9]:5432: read: x", "any", "[2001:db8::9]:5432"),
        (b"dial tcp db.internal:5432: connect: connection refused", "any", "db.internal:5432"),
        (b"dial tcp [::1]:5432: connect: connection refused", "any", "[::1]:5432"),
        (b"HTTPConnectionPool(host='api.shop', port=8080): Max retries exceeded", "any", "api.shop:8080"),
        (b"Connect to api.shop:443 [api.shop/10.0.0.9] failed: Connection refused", "any", "api.shop:443"),
        (b"Error: connect ECONNREFUSED 127.0.0.1:3306", "any", "127.0.0.1:3306"),
        (b"Error: connect ECONNREFUSED ::1:3306", "any", "::1:3306"),
        (b"lost connection to db-1.shop.internal:6379: Connection reset by peer", "any", "db-1.shop.internal:6379"),
        (b"dial tcp [2001:db8::9]:8443: connect: connection refused", "any", "[2001:db8::9]:8443"),
        (b"Error: connect ECONNREFUSED 2001:db8::9:6379", "any", "2001:db8::9:6379"),
        (b'{"msg":"connect ECONNREFUSED 10.0.0.5:6379","code":"x:1"}', "any", "10.0.0.5:6379"),
        (b'Get "https://api.shop/v1?at=10": EOF', "any", "api.shop"),
        (b'Get "https://bob:secret@api.shop/v1": EOF', "any", "api.shop"),
        (
            b'connection to server at "db.internal" (10.0.0.5), port 5432 failed: Connection refused',
            "any",
            "db.internal:5432",
        ),
        (
            b'Connection refused Is the server running on host "db" (10.0.0.5) and accepting TCP/IP on port 5432?',
            "any",
            "db:5432",
        ),
        (b"Connection reset by peer", "any", None),
        (b"at 12:30:45 nothing", "any", None),
    ],
)
def test_with_whom(line: bytes, meant: str, said: str | None) -> None:
    assert peer(line, meant) == said


@given(st.binary(max_size=5000), st.sampled_from(["any", "upstream", "client"]))
def test_any_bytes_name_a_short_peer_or_none(line: bytes, meant: str) -> None:
    found = peer(line, meant)

    assert found is None or len(found) <= 400
