"""A program on this machine that says whether a host is well. An argument list: no shell sees a host's name."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from datetime import datetime

from tcptune.adapters.gates.endpoint import Endpoint, endpoint, one_line
from tcptune.domain.gates import Answer, CommandGate
from tcptune.domain.hosts import Host
from tcptune.errors import HostError

_KEPT_BYTES = 4096
"""Of what a program prints, from its end."""
_TICK_S = 0.05


def ask(host: Host, gate: CommandGate, at: datetime) -> tuple[Answer, ...]:
    """Return the program's exit status. What it started and left running in its process group is ended, too."""
    try:
        to = endpoint(host)
        words = _words(to, gate)
        status, printed = _run(words, to, gate.within_s)
    except HostError as problem:
        return (_answer(host, gate, at, works=None, said=str(problem)),)
    except OSError as problem:
        told = f"{gate.command[0]} cannot be started: {problem.strerror or problem}"
        return (_answer(host, gate, at, works=None, said=told),)
    last = one_line((printed.decode(errors="replace").strip().splitlines() or [""])[-1])
    if status is None:
        told = f"not done within {gate.within_s:g} s"
        return (_answer(host, gate, at, works=False, said=f"{told}; it said: {last}" if last else told),)
    works = status in gate.exit_status
    ended = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    said = last if works else f"{ended}; it said: {last}" if last else ended
    return (_answer(host, gate, at, works=works, value=float(status), said=said),)


def _words(to: Endpoint, gate: CommandGate) -> list[str]:
    """Return the argument list. Raises OSError where a host's name would be taken for an option."""
    if any(name.startswith("-") or "\0" in name for name in (to.host, to.address)):
        raise OSError(f"the host is called {to.host!r}, which a program would take for an option")
    return [gate.command[0], *(to.filled(word) for word in gate.command[1:])]


def _run(words: list[str], to: Endpoint, within_s: float) -> tuple[int | None, bytes]:
    """Return the exit status, None where the time was up, and the end of what was printed."""
    deadline = time.monotonic() + within_s
    process = subprocess.Popen(  # noqa: S603  # an argument list; the policy's author chose the program
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TCPTUNE_HOST": to.host, "TCPTUNE_ADDRESS": to.address},
        start_new_session=True,
    )
    try:
        printed = _listened(process, deadline)
        in_time = _ended(process)
    finally:
        # Before the program is waited for: until then nobody else can be given its number, or that of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return status if in_time else None, printed


def _listened(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return the end of what a program prints until it ends, or until the time is up.

    A child that it leaves behind may keep the pipe open for ever, so the end of the program is what counts.
    """
    pipe = process.stdout
    assert pipe is not None  # noqa: S101  # it was asked for
    printed, listening = b"", True
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            ended = _ended(process)
            if listening and selector.select(0 if ended else _TICK_S):
                part = os.read(pipe.fileno(), 65536)
                printed = (printed + part)[-_KEPT_BYTES:]
                if not part:
                    selector.unregister(pipe)
                    listening = False
            elif ended:
                break
            elif not listening:
                time.sleep(_TICK_S)
    return printed


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Say whether a program has ended, without waiting for it or taking its status."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _answer(
    host: Host, gate: CommandGate, at: datetime, *, works: bool | None, value: float | None = None, said: str = ""
) -> Answer:
    [check] = gate.checks
    said = one_line(said)
    return Answer(
        host=host.name, gate="command", check=check, at=at, works=works, value=value, unit="exit status", said=said
    )
