from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.planning.logs.masking import LONGEST, example, masked

SECRET = "s3cr3t-Value99"


@pytest.mark.parametrize(
    "line",
    [
        f"GET /reset?token={SECRET}&x=1 HTTP/1.1",
        f"GET /reset?anything={SECRET}",
        f"postgres://shop:{SECRET}@db:5432/shop refused",
        f"redis://:{SECRET}@cache:6379",
        f"Authorization: Bearer {SECRET}",
        f"proxy-authorization: Basic {SECRET}=",
        f'"authorization":"Bearer {SECRET}"',
        rf"{{\"authorization\":\"{SECRET}\"}}",
        f"Cookie: a=b; session={SECRET}; c=d",
        f"Set-Cookie: sid={SECRET}",
        f"X-Api-Key: {SECRET}",
        f"password={SECRET} refused",
        f"db_password = '{SECRET}'",
        f'"client_secret": "{SECRET}"',
        f"api_key={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"sent Bearer {SECRET} and was reset",
    ],
)
def test_a_secret_is_not_shown(line: str) -> None:
    assert SECRET not in masked(line)
    assert SECRET not in example(line.encode())


@pytest.mark.parametrize(
    "line",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123",
        "key AKIAIOSFODNN7EXAMPLE was refused",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
        "session 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c",
    ],
)
def test_what_has_the_form_of_a_key_is_not_shown(line: str) -> None:
    assert "***" in masked(line)


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-21T18:00:01.123Z ERROR dial tcp 10.0.0.9:5432: connect: connection refused",
        "java.net.SocketException: Connection reset at sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:328)",
        'upstream prematurely closed connection, upstream: "http://10.0.0.7:8080/items"',
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert masked(line) == line


def test_an_example_is_short_and_shows_what_was_found() -> None:
    line = b"a" * 100_000 + b" connection reset by peer " + b"b" * 100_000

    shown = example(line, line.index(b"connection"))

    assert len(shown) <= LONGEST


def test_a_secret_that_begins_before_the_window_is_not_shown() -> None:
    line = b"x " * 3000 + b"token=" + b"A1" * 2000 + b" connection reset"

    assert "A1A1" not in example(line, line.index(b"connection"))


@given(st.binary(max_size=6000), st.integers(0, 6000))
def test_any_bytes_can_be_shown(line: bytes, at: int) -> None:
    assert len(example(line, at)) <= LONGEST
