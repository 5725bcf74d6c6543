"""The process that works on a run: what tells it from any other, and whether it is still there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_UNKNOWN = "-"


def me() -> str:
    """Return this process as five words: machine, boot, PID namespace, process id and when it began."""
    return " ".join((*_here(), str(os.getpid()), _began(os.getpid())))


def pid(process: str) -> str:
    """Return the process id in what `me` returned."""
    return process.split(" ")[3]


def alive(process: str) -> bool | None:
    """Return whether what `me` returned is still there; None where that cannot be seen from here."""
    machine, boot, namespace, number, began = process.split(" ")
    here = _here()
    if machine != here[0]:
        return None
    if boot != here[1]:
        return False
    if namespace != here[2]:
        return None
    return _exists(int(number)) and _began(int(number)) == began


def _here() -> tuple[str, str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        boot = namespace = _UNKNOWN
    return (socket.gethostname().replace(" ", "_") or _UNKNOWN, boot, namespace)


def _exists(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _began(number: int) -> str:
    """Return when a process began, in ticks since the boot: its id is given again, but never both."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _UNKNOWN
    # The name in front can hold anything, so count from the last bracket.
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] in ("Z", "X") else fields[19]
