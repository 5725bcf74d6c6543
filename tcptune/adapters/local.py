"""This machine itself, without SSH: `localhost` and `ansible_connection: local`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tcptune.adapters import become
from tcptune.domain.hosts import Host
from tcptune.errors import HostUnreachable
from tcptune.ports import Output


class LocalTransport:
    """Runs commands on this machine."""

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        """Return what the command said."""
        line, before = become.wrapped(host, command)
        try:
            done = subprocess.run(  # noqa: S603  # an argument list, constant but for the user to become
                line,
                input=(before + stdin).encode(errors="surrogateescape"),
                capture_output=True,
                timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError as problem:
            raise HostUnreachable(f"{host.name}: there is no {problem.filename} here") from None
        except subprocess.TimeoutExpired:
            raise HostUnreachable(f"{host.name}: no answer within {timeout_s:g} s") from None
        output = Output(done.returncode, _text(done.stdout), _text(done.stderr))
        become.check(host, output)
        return output


def _text(said: bytes) -> str:
    return said.decode(errors="replace")
