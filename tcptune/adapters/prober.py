"""Try services stage by stage: name, connection, TLS, HTTP. Each stage has its time, or the class of its error.

Runs in this process, and as a program on a managed host that reads it from its standard input: Python 3.8 with its
standard library, and no import of ours. Certificates are verified, and no proxy stands between.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_ADDRESSES = 8
"""Of one name; what follows is counted and not tried."""
_MOST_BYTES = 1 << 20
"""Of an answer's body; what follows is not read."""
_SAID_MOST = 300
_TOTAL_RETRANS = 100
"""Where tcpi_total_retrans stands in struct tcp_info, include/uapi/linux/tcp.h; before any data it counts SYNs."""
_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "no-route",
    errno.ENETUNREACH: "no-route",
    errno.EADDRNOTAVAIL: "no-local-port",
    errno.EMFILE: "too-many-files",
    errno.ENFILE: "too-many-files",
    errno.EACCES: "not-allowed",
    errno.EPERM: "not-allowed",
}
# openssl/x509_vfy.h
_CERTIFICATE = {9: "not-yet-valid", 10: "expired", 62: "wrong-name", 64: "wrong-name"}
_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(\w+)")
# What has no address, or none of the family that is asked for.
_NO_NAME = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)}
_FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6, "any": socket.AF_UNSPEC}


class Failed(Exception):
    """A stage that did not work: the class of the error, and what was said."""

    def __init__(self, error: str, said: str) -> None:
        super().__init__(said)
        self.error = error
        self.said = said


def run(request: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> None:
    """Try every target in rounds, and tell each try as it is done.

    `request`: targets (host, port, tls, server_name, path), count, interval_s, timeout_s of each stage, at_once, family
    (4, 6 or any), ca_file, agent. Raises OSError where the CA file cannot be read.
    """
    context = ssl.create_default_context(cafile=request["ca_file"])
    lock = threading.Lock()

    def told(one: dict[str, Any]) -> None:
        with lock:
            emit(one)

    begin = time.monotonic()
    with ThreadPoolExecutor(request["at_once"], thread_name_prefix="probe") as pool:
        for number in range(request["count"]):
            time.sleep(max(0.0, begin + number * request["interval_s"] - time.monotonic()))
            found = pool.map(lambda pair: (pair[0], resolve(pair[1], request)), enumerate(request["targets"]))
            tries = []
            for at, (stage, addresses) in found:
                where = {"target": at, "round": number}
                left_off = max(0, len(addresses) - MOST_ADDRESSES)
                told({**where, "stages": [stage], "addresses": len(addresses), "left_off": left_off})
                tries += [(where, one) for one in addresses[:MOST_ADDRESSES]]
            for one in pool.map(lambda pair: {**pair[0], **attempt(request, context, pair)}, tries):
                told(one)


def resolve(target: dict[str, Any], request: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the stage of the name, and its addresses: family and what connect() takes."""
    start = time.monotonic()
    found: list[Any] = []
    problems: list[Failed] = []

    def ask() -> None:
        # Addresses of a kind that this machine has none of would only be told as unreachable.
        flags = socket.AI_ADDRCONFIG if request["family"] == "any" else 0
        family = _FAMILIES[request["family"]]
        try:
            rows = socket.getaddrinfo(target["host"], target["port"], family, socket.SOCK_STREAM, 0, flags)
            found.extend(dict.fromkeys((row[0], row[4]) for row in rows))
        except UnicodeError:
            problems.append(Failed("name-not-found", "this is no host name"))
        except socket.gaierror as problem:
            problems.append(
                Failed(
                    "name-not-found" if problem.errno in _NO_NAME else "name-server", one_line(problem.strerror or "")
                )
            )
        except OSError as problem:
            problems.append(_failed(problem, request["timeout_s"]))

    # The resolver takes no timeout, and waits half a minute for a name server that does not answer.
    worker = threading.Thread(target=ask, name="resolver", daemon=True)
    worker.start()
    worker.join(request["timeout_s"])
    if worker.is_alive():
        problems, found = [Failed("timeout", f"no answer within {request['timeout_s']:g} s")], []
    if problems:
        return _stage("dns", start, problems[0]), []
    return _stage("dns", start), list(found)


def attempt(request: dict[str, Any], context: ssl.SSLContext, pair: tuple[dict[str, Any], Any]) -> dict[str, Any]:
    """Return one try of one address: its stages up to the first that fails."""
    where, (family, place) = pair
    target, within_s = request["targets"][where["target"]], request["timeout_s"]
    said: dict[str, Any] = {"address": place[0], "stages": [], "syn_retransmits": None, "status": None}
    with contextlib.ExitStack() as stack:

        def stage(name: str, work: Callable[[], Any]) -> Any:
            start = time.monotonic()
            try:
                result = work()
            except Failed as problem:
                said["stages"].append(_stage(name, start, problem))
                raise
            except (OSError, http.client.HTTPException, ValueError) as problem:
                failed = _failed(problem, within_s)
                said["stages"].append(_stage(name, start, failed))
                raise failed from None
            said["stages"].append(_stage(name, start))
            return result

        with contextlib.suppress(Failed):
            plain = stage("connect", lambda: _connect(stack, family, place, within_s))
            said["syn_retransmits"] = _retransmits(plain)
            secured = plain
            if target["tls"]:
                secured = stage("tls", lambda: _secure(stack, plain, context, target, within_s))
            if target["path"] is not None:
                stage("http", lambda: _ask(said, plain, secured, request, target))
    return said


def _connect(stack: contextlib.ExitStack, family: int, place: Any, within_s: float) -> socket.socket:
    connection = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    connection.settimeout(within_s)
    try:
        connection.connect(place)
    except OSError as problem:
        if problem.errno == errno.EADDRNOTAVAIL and not _has_address(family, place):
            raise Failed("no-route", "this machine has no address of its own from which it could be reached") from None
        raise
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _has_address(family: int, place: Any) -> bool:
    """Say whether an own address leads there: the same error tells that there is none, and that no port is left.

    UDP has ports of its own, and connecting it sends nothing.
    """
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        try:
            other.connect(place)
        except OSError as problem:
            return problem.errno != errno.EADDRNOTAVAIL
    return True


def _retransmits(connection: socket.socket) -> int | None:
    """Return how many segments the kernel sent again, None where it does not tell."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, option, _TOTAL_RETRANS + 4)
    except OSError:
        return None
    return struct.unpack_from("=I", info, _TOTAL_RETRANS)[0] if len(info) >= _TOTAL_RETRANS + 4 else None


def _secure(
    stack: contextlib.ExitStack, plain: socket.socket, context: ssl.SSLContext, target: dict[str, Any], within_s: float
) -> ssl.SSLSocket:
    plain.settimeout(within_s)
    # No name in a certificate ends in the dot that makes a full name of it.
    name = target["server_name"] or target["host"].rstrip(".")
    return stack.enter_context(context.wrap_socket(plain.dup(), server_hostname=name))


def _ask(
    said: dict[str, Any],
    plain: socket.socket,
    connection: socket.socket,
    request: dict[str, Any],
    target: dict[str, Any],
) -> None:
    within_s = request["timeout_s"]
    deadline = time.monotonic() + within_s
    connection.settimeout(within_s)
    client = http.client.HTTPConnection(target["server_name"] or target["host"], target["port"])
    client.default_port = 443 if target["tls"] else 80
    client.sock = connection
    headers = {"User-Agent": request["agent"], "Accept": "*/*", "Connection": "close"}
    # Each read is bounded, and a service that sends a byte a second would still never end.
    with _cut(plain, within_s):
        try:
            _send(client, connection, target["path"], headers)
            response = client.getresponse()
            said["status"] = response.status
            more = _MOST_BYTES
            while more > 0:
                part = response.read(min(more, 65536))
                if not part:
                    break
                more -= len(part)
            _check_whole(response, more)
        except (OSError, http.client.HTTPException, ValueError, Failed):
            if time.monotonic() >= deadline:
                raise Failed("timeout", f"no whole answer within {within_s:g} s") from None
            raise
    if time.monotonic() >= deadline:
        raise Failed("timeout", f"no whole answer within {within_s:g} s")
    if not 200 <= response.status < 400:
        raise Failed("status", str(response.status))


def _send(client: http.client.HTTPConnection, connection: socket.socket, path: str, headers: dict[str, str]) -> None:
    try:
        client.request("GET", path, headers=headers)
    except (BrokenPipeError, ssl.SSLEOFError):
        # Who refuses a client's certificate under TLS 1.3 says why, and closes: what it said is there to be read.
        connection.recv(1)
        raise


def _check_whole(response: http.client.HTTPResponse, more: int) -> None:
    # read() with a number takes an early end for the end.
    if more > 0 and response.length:
        raise Failed("truncated", f"the body ends {response.length} bytes early")


@contextlib.contextmanager
def _cut(connection: socket.socket, within_s: float) -> Iterator[None]:
    """Shut the connection down after so many seconds, whatever is being read from it then."""

    def cut() -> None:
        # Nothing to do where the other side was first.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(within_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _failed(problem: Exception, within_s: float) -> Failed:
    """Return what went wrong as a class of error and a short text."""
    # Before Python 3.10 a socket's timeout is not TimeoutError.
    if isinstance(problem, socket.timeout) and problem.errno is None:
        return Failed("timeout", f"no answer within {within_s:g} s")
    if isinstance(problem, ssl.SSLError):
        return _tls(problem)
    if isinstance(problem, http.client.RemoteDisconnected):
        return Failed("eof", "closed without an answer")
    if isinstance(problem, http.client.IncompleteRead):
        return Failed("truncated", f"the body ends after {len(problem.partial)} bytes of a part")
    if isinstance(problem, OSError):
        return Failed(_ERRNO.get(problem.errno or 0, "other"), one_line(problem.strerror or str(problem)))
    return Failed("protocol", one_line(f"{type(problem).__name__}: {problem}"))


def _tls(problem: ssl.SSLError) -> Failed:
    if isinstance(problem, ssl.SSLCertVerificationError):
        kind = _CERTIFICATE.get(problem.verify_code, "untrusted")
        return Failed(f"certificate-{kind}", one_line(problem.verify_message))
    reason = problem.reason or ""
    alert = _ALERT.fullmatch(reason)
    if alert:
        return Failed("tls-alert", alert[1].lower())
    if isinstance(problem, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or "UNEXPECTED_EOF" in reason:
        return Failed("eof", "closed during TLS")
    return Failed("protocol", one_line(reason.lower().replace("_", " ") or str(problem)))


def _stage(name: str, start: float, problem: Failed | None = None) -> dict[str, Any]:
    ms = round((time.monotonic() - start) * 1000, 2)
    said = problem.said if problem else ""
    return {"stage": name, "ms": ms, "error": problem.error if problem else None, "said": said}


def one_line(text: str) -> str:
    """Return what another machine said as one short line without control characters."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else "\ufffd" for c in words)[:_SAID_MOST]


def main(request: dict[str, Any]) -> None:
    """Run as a program: a line of JSON for each try, and one at the end."""

    def emit(one: dict[str, Any]) -> None:
        # At once: where nobody listens any more, that is how it is noticed, and nothing more is tried.
        sys.stdout.write(json.dumps(one) + "\n")
        sys.stdout.flush()

    try:
        run(request, emit)
    except BrokenPipeError:
        raise SystemExit(1) from None
    except OSError as problem:
        emit({"problem": one_line(f"{problem.filename or 'ca_file'}: {problem.strerror or problem}")})
    emit({"end": True})
