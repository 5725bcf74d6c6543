"""HTTP requests to a host: what status, and how soon. Certificates are verified, and no proxy stands between.

http.client bounds each read, not the whole: an endpoint that sends a byte a second would never end. So a timer cuts the
connection when the time is up.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from datetime import datetime
from statistics import median

from tcptune import __version__
from tcptune.adapters.gates.endpoint import (
    Endpoint,
    connect,
    cut_at,
    endpoint,
    left,
    milliseconds_since,
    one_line,
    reason,
)
from tcptune.domain.gates import DEFAULT_PORTS, Answer, HttpGate
from tcptune.domain.hosts import Host
from tcptune.errors import HostError

_MOST_BYTES = 1 << 20
"""Of an answer's body; what follows is not read."""


class _Wrong(Exception):
    """An answer that is not as it should be. Its text says how."""


def ask(host: Host, gate: HttpGate, at: datetime) -> tuple[Answer, ...]:
    """Return the median time of the requests. The first that goes wrong ends it: what hangs is not waited for again."""
    try:
        to = endpoint(host, gate.address)
        context = _context(gate)
    except (HostError, OSError) as problem:
        return (_answer(host, gate, at, works=None, said=_why_not(gate, problem)),)
    took_ms: list[float] = []
    for number in range(1, gate.requests + 1):
        try:
            took_ms.append(_request(to, gate, context))
        except _Wrong as problem:
            which = f"request {number} of {gate.requests}: " if gate.requests > 1 else ""
            return (_answer(host, gate, at, works=False, said=f"{which}{problem}{to.note}"),)
    return (_answer(host, gate, at, works=True, value=round(median(took_ms), 2)),)


def _why_not(gate: HttpGate, problem: HostError | OSError) -> str:
    if isinstance(problem, HostError):
        return str(problem)
    return f"ca_file {gate.ca_file}: {problem.strerror or problem}"


def _context(gate: HttpGate) -> ssl.SSLContext | None:
    if gate.scheme == "http":
        return None
    return ssl.create_default_context(cafile=None if gate.ca_file is None else str(gate.ca_file))


def _request(to: Endpoint, gate: HttpGate, context: ssl.SSLContext | None) -> float:
    """Return how long one request took, in ms. Raises _Wrong."""
    start = time.monotonic()
    deadline = start + gate.within_s
    name = to.address if gate.server_name is None else to.filled(gate.server_name)
    try:
        with (
            connect(to.address, gate.settled_port, deadline) as plain,
            cut_at(plain, deadline),
            _secured(plain, context, name) as connection,
        ):
            status = _status(connection, gate, name, deadline)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        if time.monotonic() >= deadline:
            raise _Wrong(f"no whole answer within {gate.within_s:g} s") from None
        raise _Wrong(_explained(problem, gate)) from None
    took_ms = milliseconds_since(start)
    if status not in gate.status:
        wanted = " or ".join(str(code) for code in gate.status)
        raise _Wrong(f"status {status}, not {wanted}")
    if time.monotonic() >= deadline:
        raise _Wrong(f"no whole answer within {gate.within_s:g} s")
    return took_ms


def _secured(plain: socket.socket, context: ssl.SSLContext | None, name: str) -> socket.socket:
    return plain if context is None else context.wrap_socket(plain, server_hostname=name)


def _status(connection: socket.socket, gate: HttpGate, name: str, deadline: float) -> int:
    """Return the status, once the body has arrived."""
    connection.settimeout(left(deadline))
    # HTTPSConnection would load the system's certificates again for a connection that is there already.
    client = http.client.HTTPConnection(name, gate.settled_port)
    client.default_port = DEFAULT_PORTS[gate.scheme]
    client.sock = connection
    agent = {"User-Agent": f"tcptune/{__version__}", "Accept": "*/*", "Connection": "close"}
    client.request(gate.method, gate.path, headers=agent)
    with client.getresponse() as response:
        more = _MOST_BYTES
        while more > 0 and (part := response.read(min(more, 65536))):
            more -= len(part)
        return response.status


def _explained(problem: Exception, gate: HttpGate) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {one_line(problem.verify_message)}"
    if isinstance(problem, ssl.SSLError):
        return f"TLS fails: {one_line(problem.reason or str(problem))}"
    if isinstance(problem, OSError) and not isinstance(problem, http.client.RemoteDisconnected):
        return reason(problem, gate.within_s)
    return f"no answer that makes sense: {one_line(str(problem)) or type(problem).__name__}"


def _answer(
    host: Host, gate: HttpGate, at: datetime, *, works: bool | None, value: float | None = None, said: str = ""
) -> Answer:
    [check] = gate.checks
    return Answer(host=host.name, gate="http", check=check, at=at, works=works, value=value, said=one_line(said))
