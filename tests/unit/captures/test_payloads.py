"""What the first bytes of a payload say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.captures.payloads import Alert, Hello, Message, peek
from tests.fuzz.examples import fuzz


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (bytes.fromhex("16030100c801"), Hello()),
        (bytes.fromhex("16030100c802"), None),
        (bytes.fromhex("15030300020228"), Alert(True, "handshake_failure")),
        (bytes.fromhex("150303000202c8"), Alert(True, "alert 200")),
        (bytes.fromhex("15030300020100"), Alert(False, "close_notify")),
        (bytes.fromhex("1503030020") + bytes(32), None),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Message("GET", 0, 27)),
        (b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", Message("POST", 0, 45)),
        (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  7 \r\n\r\n", Message("", 200, 47)),
        (b"HTTP/1.1 200 OK\r\n\r\n", Message("", 200, None)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Message("", 304, 48)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Message("", 200, None, 47)),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n4", Message("", 200, None, 53)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Message("", 200, None)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Message("", 200, None)),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Message("PUT", 0, None, 46)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9", Message("", 200, None)),
        (b"HTTP/1.1 junk\r\n\r\n", None),
        (b"GETTING", None),
        (b"", None),
    ],
)
def test_what_begins_here(payload: bytes, what: object) -> None:
    assert peek(payload) == what


@fuzz(100)
@given(st.sampled_from([b"", b"HTTP/1.1 ", b"GET ", b"\x15\x03", b"\x16\x03"]), st.binary(max_size=300))
def test_no_bytes_break_it(start: bytes, rest: bytes) -> None:
    found = peek(start + rest)

    assert not isinstance(found, Message) or found.length is None or found.length >= 0
