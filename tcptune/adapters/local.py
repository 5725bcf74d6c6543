"""This machine itself, without SSH: `localhost` and `ansible_connection: local`."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Sequence

from tcptune.adapters import become
from tcptune.domain.hosts import Host
from tcptune.errors import HostUnreachable
from tcptune.ports import Output

_CHUNK = 65536


class LocalTransport:
    """Runs commands on this machine."""

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        """Return what the command said."""
        line = become.wrapped(host, command)
        deadline = time.monotonic() + timeout_s
        pipe = subprocess.PIPE
        try:
            # An argument list, constant but for the user to become.
            process = subprocess.Popen(line, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603
            try:
                output = _talk(host, process, stdin, deadline)
            finally:
                _end(process)
        except FileNotFoundError as problem:
            raise HostUnreachable(f"{host.name}: there is no {problem.filename} here") from None
        except subprocess.TimeoutExpired:
            raise HostUnreachable(f"{host.name}: no answer within {timeout_s:g} s") from None
        become.check(host, output)
        return output


def _talk(host: Host, process: subprocess.Popen[bytes], stdin: str, deadline: float) -> Output:
    begun, heard = True, b""
    if become.talks(host):
        begun, heard = _enter(host, process, deadline)
    given = stdin.encode(errors="surrogateescape") if begun else b""
    stdout, stderr = process.communicate(given, timeout=max(0.0, deadline - time.monotonic()))
    return Output(process.returncode, _text(stdout), _text(heard + stderr))


def _enter(host: Host, process: subprocess.Popen[bytes], deadline: float) -> tuple[bool, bytes]:
    assert process.stdin is not None  # noqa: S101  # both were asked for as pipes
    assert process.stderr is not None  # noqa: S101
    stderr = process.stderr.fileno()

    def hear() -> bytes:
        if not select.select([stderr], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        return os.read(stderr, _CHUNK)

    return become.enter(host, hear, process.stdin.write)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind. What sudo runs cannot be killed from here; it ends when its pipes are closed."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(PermissionError):
        process.kill()
        process.wait()


def _text(said: bytes) -> str:
    return said.decode(errors="replace")
