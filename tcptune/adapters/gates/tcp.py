"""Connect to ports of a host, one after another, and say nothing to what listens there."""

from __future__ import annotations

import time
from datetime import datetime

from tcptune.adapters.gates.endpoint import Endpoint, connect, endpoint, milliseconds_since, one_line, reason
from tcptune.domain.gates import Answer, TcpGate
from tcptune.domain.hosts import Host
from tcptune.errors import HostError


def ask(host: Host, gate: TcpGate, at: datetime) -> tuple[Answer, ...]:
    """Return how long each port took to accept a connection."""
    try:
        to = endpoint(host, gate.address)
    except HostError as problem:
        return tuple(
            Answer(host=host.name, gate="tcp", check=check, at=at, works=None, said=one_line(str(problem)))
            for check in gate.checks
        )
    return tuple(_port(to, port, check, gate.within_s, at) for port, check in zip(gate.ports, gate.checks, strict=True))


def _port(to: Endpoint, port: int, check: str, within_s: float, at: datetime) -> Answer:
    start = time.monotonic()
    try:
        connect(to.address, port, start + within_s).close()
    except OSError as problem:
        said = f"{to.address}:{port}: {reason(problem, within_s)}{to.note}"
        return Answer(host=to.host, gate="tcp", check=check, at=at, works=False, said=said)
    took_ms = milliseconds_since(start)
    return Answer(host=to.host, gate="tcp", check=check, at=at, works=True, value=took_ms)
