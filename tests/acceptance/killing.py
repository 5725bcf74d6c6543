"""Kill a command that works on a rollout, at a moment that the journal's log and a clock tell."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.command import Tcptune, processes

PATIENCE_S = 400
"""A machine that has much else to do may need so long for one command."""


@dataclass(frozen=True)
class Moment:
    """When a command is killed: so many lines after the journal's log as it found it, and then so much later."""

    lines: int
    later_s: float
    children: bool
    """Whether what it has started dies with it."""

    def __str__(self) -> str:
        whom = "with" if self.children else "without"
        return f"{self.later_s:.2f} s after line {self.lines}, {whom} its children"


def asked(tcptune: Tcptune, sql: str, *values: object) -> int:
    """Give the number that a query of the journal gives; 0 where there is none yet."""
    if not tcptune.journal.exists():
        return 0
    with closing(sqlite3.connect(f"file:{tcptune.journal}?mode=ro", uri=True, timeout=5)) as journal:
        try:
            row = journal.execute(sql, values).fetchone()
        except sqlite3.OperationalError:
            return 0  # there are no tables yet
    return int(row[0]) if row else 0


def lines(tcptune: Tcptune) -> int:
    """Give how many lines the log of all runs has."""
    return asked(tcptune, "SELECT count(*) FROM log")


def begun(tcptune: Tcptune, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command that nobody listens to, in a session of its own. What it complains of is in `complaints`."""
    with complaints(tcptune).open("wb") as file:
        return subprocess.Popen(
            tcptune.argv(arguments),
            cwd=tcptune.work,
            env=tcptune.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )


def complaints(tcptune: Tcptune) -> Path:
    """Give the file with what the last command that was begun wrote to stderr."""
    return tcptune.folder / "complaints.txt"


def until(process: subprocess.Popen[bytes], due: Callable[[], bool]) -> bool:
    """Wait until it is time. Return False where the command has ended before."""
    began = time.monotonic()
    while process.poll() is None and not due():
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.01)
    return process.poll() is None


def kill(tcptune: Tcptune, process: subprocess.Popen[bytes], *, children: bool) -> None:
    """Kill a command as kill -9 does, with all that it has started, or without."""
    process.kill()
    if children:
        for pid, line in processes({"HOME": str(tcptune.home)}).items():
            # The ssh connections that wait for the next command belong to none.
            if "[mux]" not in line:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    process.wait()


def killed_at(tcptune: Tcptune, moment: Moment, *arguments: str) -> bool:
    """Run a command and kill it at a moment. Return False where it was through before."""
    found = lines(tcptune)
    process = begun(tcptune, *arguments)
    was_there = until(process, lambda: lines(tcptune) >= found + moment.lines)
    later = time.monotonic() + moment.later_s
    was_there = was_there and until(process, lambda: time.monotonic() >= later)
    kill(tcptune, process, children=moment.children)
    return was_there


def killed_when(tcptune: Tcptune, what: str, after: str, *arguments: str, children: bool) -> None:
    """Run a command and kill it once the journal's log has a new line: of a `wave` or a `host` that came to a state."""
    sql = f"SELECT count(*) FROM log WHERE {what} IS NOT NULL AND after = ?"  # noqa: S608
    found = asked(tcptune, sql, after)
    process = begun(tcptune, *arguments)
    assert until(process, lambda: asked(tcptune, sql, after) > found), "it was through before it was killed"
    kill(tcptune, process, children=children)


def timeline(tcptune: Tcptune, *arguments: str) -> tuple[int, list[float]]:
    """Run a command to its end. Give its exit status, and when its lines of the log came: in seconds, then the end."""
    found, began, came = lines(tcptune), time.monotonic(), list[float]()

    def noted() -> bool:
        came.extend([time.monotonic() - began] * (lines(tcptune) - found - len(came)))
        return False

    process = begun(tcptune, *arguments)
    until(process, noted)
    noted()
    return process.wait(), [*came, time.monotonic() - began]
