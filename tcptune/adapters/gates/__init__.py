"""Family: a gate that tries something -> what it gave. None of them decides whether that is good enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tcptune.adapters.gates import command, http, ssh, tcp
from tcptune.domain.gates import ActiveGate, Answer, CommandGate, HttpGate, SshGate, TcpGate
from tcptune.domain.hosts import Host
from tcptune.ports import Transport


class Tries:
    """Asks hosts from this machine. Each ask ends in time; how many are under way is the workers' matter."""

    def __init__(self, transport: Transport, clock: Callable[[], datetime]) -> None:
        self._transport = transport
        self._clock = clock

    def ask(self, host: Host, gate: ActiveGate) -> tuple[Answer, ...]:
        """Return an answer for each check of the gate. Raises nothing for what a host or an endpoint does."""
        match gate:
            case SshGate():
                return ssh.ask(host, gate, self._clock(), self._transport)
            case TcpGate():
                return tcp.ask(host, gate, self._clock())
            case HttpGate():
                return http.ask(host, gate, self._clock())
            case CommandGate():
                return command.ask(host, gate, self._clock())
