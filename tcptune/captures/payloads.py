"""What the first bytes of a payload say: a TLS record, an HTTP message, or nothing that is known.

Sources: TLS records and alerts, RFC 8446 sections 5.1 and 6; HTTP/1.1 framing, RFC 9112 section 6.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"TRACE ")
_FIRST = frozenset(method[0] for method in _METHODS) | {0x15, 0x16, ord("H")}
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*\bchunked[ \t]*\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""RFC 8446 section 6.2 and appendix B.2. Others are shown by number."""


class Hello(NamedTuple):
    """A ClientHello: somebody wants to speak TLS."""


class Alert(NamedTuple):
    """A TLS alert that is not encrypted."""

    fatal: bool
    name: str


class Message(NamedTuple):
    """The head of an HTTP/1 message."""

    method: str
    """Empty for a response."""
    status: int
    """0 for a request."""
    length: int | None
    """Bytes from its first one to the end of its body, or None where the head does not say, or was not captured."""
    chunked: int | None = None
    """Bytes of its head, where chunks follow that alone say how long its body is."""


def peek(payload: bytes) -> Hello | Alert | Message | None:
    """Return what begins here, or None where that is not known."""
    if len(payload) < 6 or payload[0] not in _FIRST:
        return None
    if payload[0] == 0x16:
        return Hello() if payload[1] == 3 and payload[5] == 1 else None
    if payload[0] == 0x15:
        return _alert(payload)
    if payload.startswith(b"HTTP/1."):
        status = _STATUS.match(payload)
        return _message("", int(status[1]), payload) if status else None
    method = next((one for one in _METHODS if payload.startswith(one)), None)
    return _message(method.decode().strip(), 0, payload) if method else None


def _message(method: str, status: int, payload: bytes) -> Message:
    length = _extent(payload, status)
    end = payload.find(b"\r\n\r\n") + 4
    chunked = length is None and end > 3 and _CHUNKED.search(payload, 0, end) is not None
    return Message(method, status, length, end if chunked else None)


def _alert(payload: bytes) -> Alert | None:
    # An encrypted alert is longer than its two bytes, and says nothing to us.
    if payload[1] != 3 or payload[3:5] != b"\x00\x02" or len(payload) < 7:
        return None
    return Alert(payload[5] == 2, ALERTS.get(payload[6], f"alert {payload[6]}"))


def _extent(payload: bytes, status: int) -> int | None:
    end = payload.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = payload[: end + 4]
    if status in (204, 304) or 100 <= status < 200:
        return len(head)
    if _CODING.search(head):
        return None
    length = _LENGTH.search(head)
    if length:
        return len(head) + int(length[1])
    # A request without a length has no body; a response without one ends where the connection does.
    return None if status else len(head)
