"""One POST to an address that may be a secret: nothing that is said of it holds any part of the address.

Certificates are verified, a redirection is not followed, and it ends in time whatever the other side does.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from tcptune import __version__
from tcptune.adapters.gates.endpoint import connect, cut_at, left, one_line

_PORTS = {"http": 80, "https": 443}
_MISMATCH = {62, 63, 64}
"""OpenSSL's codes for a certificate of another name; its text names the host."""
_ANSWER_MOST_BYTES = 65536


@dataclass(frozen=True, repr=False)
class Address:
    """Where to post. Its parts are not shown."""

    scheme: str
    host: str
    port: int
    target: str
    context: ssl.SSLContext | None


@dataclass(frozen=True)
class Reply:
    """What the other side answered."""

    status: int
    retry_after_s: float | None


class NotPosted(Exception):
    """No whole answer came. Its text says why, `again` whether another try may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


def address(url: str, ca_file: Path | None = None) -> Address:
    """Return where a URL leads. Raises ValueError, without the URL, for what is none; OSError for `ca_file`."""
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("this is no URL: it has spaces, or characters that are not ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("this is no URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("this is no URL that begins with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or a password in it is not supported")
    if ca_file is not None and parts.scheme != "https":
        raise ValueError("ca_file has no meaning for http://")
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target, context)


def post(to: Address, body: bytes, headers: dict[str, str], within_s: float) -> Reply:
    """Send a JSON body, and return the answer. Raises NotPosted where none comes within `within_s`."""
    deadline = time.monotonic() + within_s
    try:
        with connect(to.host, to.port, deadline) as plain, cut_at(plain, deadline):
            plain.settimeout(left(deadline))
            with _secured(plain, to) as connection:
                return _asked(connection, to, body, headers)
    except ssl.SSLCertVerificationError as problem:
        why = "it is for another name" if problem.verify_code in _MISMATCH else one_line(problem.verify_message)
        raise NotPosted(f"its certificate is refused: {why}", again=False) from None
    except (OSError, http.client.HTTPException, ValueError) as problem:
        if time.monotonic() >= deadline:
            raise NotPosted(f"no whole answer within {within_s:.3g} s", again=True) from None
        raise NotPosted(_reason(problem), again=True) from None


def _asked(connection: socket.socket, to: Address, body: bytes, headers: dict[str, str]) -> Reply:
    client = http.client.HTTPConnection(to.host, to.port)
    # The name of the host goes without the port that its scheme has anyway.
    client.default_port = _PORTS[to.scheme]
    client.sock = connection
    fixed = {
        "Content-Type": "application/json",
        "User-Agent": f"tcptune/{__version__}",
        "Accept": "*/*",
        "Connection": "close",
    }
    client.request("POST", to.target, body=body, headers={**fixed, **headers})
    with client.getresponse() as response:
        response.read(_ANSWER_MOST_BYTES)
        return Reply(response.status, _retry_after_s(response.headers.get("Retry-After")))


def _secured(plain: socket.socket, to: Address) -> socket.socket:
    return plain if to.context is None else to.context.wrap_socket(plain, server_hostname=to.host)


def _reason(problem: Exception) -> str:
    """Return why in few words, and never with an address: what libraries say may hold one."""
    match problem:
        case socket.gaierror():
            return "its name has no address"
        case ssl.SSLError():
            return f"TLS fails: {one_line(problem.reason or 'no reason is known')}"
        case http.client.RemoteDisconnected():
            return "it hung up without an answer"
        case OSError(strerror=str(said)):
            return one_line(said)
        case _:
            return "no answer that makes sense"


def _retry_after_s(text: str | None) -> float | None:
    """Return what a Retry-After header asks for: seconds, or until a date. None where it asks for nothing."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
