"""A fresh SSH connection: the transport opens one for each command and keeps none."""

from __future__ import annotations

import time
from datetime import datetime

from tcptune.adapters.gates.endpoint import milliseconds_since, one_line
from tcptune.domain.gates import Answer, SshGate
from tcptune.domain.hosts import Host
from tcptune.errors import HostError
from tcptune.ports import Transport


def ask(host: Host, gate: SshGate, at: datetime, transport: Transport) -> tuple[Answer, ...]:
    """Return how long it took to log in and run a command that does nothing. Nobody becomes another user for it."""
    connection = host.connection
    waits_s = min(connection.timeout_s, gate.within_s)
    plain = host.model_copy(
        update={"connection": connection.model_copy(update={"become": False, "timeout_s": waits_s})}
    )
    start = time.monotonic()
    try:
        output = transport.run(plain, ["true"], "", timeout_s=gate.within_s)
    except HostError as problem:
        return (_answer(host, gate, at, works=False, said=str(problem).removeprefix(f"{host.name}: ")),)
    took_ms = milliseconds_since(start)
    if output.status != 0:
        said = one_line(output.stderr) or "nothing"
        told = f"logged in, but `true` ended with {output.status} and said {said}"
        return (_answer(host, gate, at, works=False, value=took_ms, said=told),)
    return (_answer(host, gate, at, works=True, value=took_ms),)


def _answer(
    host: Host, gate: SshGate, at: datetime, *, works: bool, value: float | None = None, said: str = ""
) -> Answer:
    [check] = gate.checks
    return Answer(host=host.name, gate="ssh", check=check, at=at, works=works, value=value, said=one_line(said))
