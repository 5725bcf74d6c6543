"""The transport of a whole fleet: each host by the kind of connection its inventory names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from tcptune.domain.hosts import Host
from tcptune.ports import Output, Transport


class FleetTransport:
    """Picks local or SSH per host. With `keeping`, an SSH connection serves two commands: `close` ends what is left."""

    def __init__(self, *, keeping: bool = False) -> None:
        self._keeping = keeping
        self._closes: list[Callable[[], None]] = []

    @cached_property
    def _local(self) -> Transport:
        from tcptune.adapters.local import LocalTransport

        return LocalTransport()

    @cached_property
    def _ssh(self) -> Transport:
        # paramiko costs 150 ms to import: not for a fleet of one local host.
        from tcptune.adapters.ssh import KeptSsh, SshTransport

        if not self._keeping:
            return SshTransport()
        kept = KeptSsh()
        self._closes.append(kept.close)
        return kept

    def close(self) -> None:
        """Close connections that were kept and not used again."""
        for close in self._closes:
            close()

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        """Return what the command said."""
        transport = self._local if host.connection.kind == "local" else self._ssh
        return transport.run(host, command, stdin, timeout_s=timeout_s)
