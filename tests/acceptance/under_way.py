"""A rollout while it goes on: what it has told so far, and what is done to its hosts meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.command import TRACEBACK, Said, Tcptune

Event = dict[str, Any]

PATIENCE_S = 400.0
"""How long anything may take on a machine that has other work. Nothing is proved by being faster."""


class UnderWay:
    """A command about a rollout that was started, and what its events say."""

    def __init__(self, process: subprocess.Popen[str], events: Path, said: tuple[Path, Path]) -> None:
        self.process = process
        self._events = events
        self._said = said

    def told(self) -> list[Event]:
        """Give the events so far; of a line that is being written, nothing."""
        text = self._events.read_text() if self._events.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def until(self, there: Callable[[], object]) -> None:
        """Wait for something. It has to come while the command runs."""
        end = time.monotonic() + PATIENCE_S
        while not there():
            assert self.process.poll() is None, f"it was through before: {self._so_far()}"
            assert time.monotonic() < end, f"it never came: {self._so_far()}"
            time.sleep(0.05)

    def until_told(self, event: str, **fields: object) -> None:
        """Wait for an event with these fields."""
        self.until(lambda: any(one["event"] == event and fields.items() <= one.items() for one in self.told()))

    def ended(self, expect: int) -> Said:
        """Wait for the end. It must exit with `expect`, and never show a traceback."""
        self.process.wait(PATIENCE_S)
        said = self._so_far()
        assert TRACEBACK not in said.stdout + said.stderr, said
        assert said.status == expect, f"not exit {expect}: {said}"
        return said

    def _so_far(self) -> Said:
        status = self.process.poll()
        return Said(-1 if status is None else status, *(path.read_text() for path in self._said))


@contextmanager
def begun(tcptune: Tcptune, *arguments: str | Path) -> Iterator[UnderWay]:
    """Start a command about a rollout. It is dead afterwards."""
    events, said = tcptune.file("under-way.jsonl"), (tcptune.file("stdout.txt"), tcptune.file("stderr.txt"))
    events.unlink(missing_ok=True)
    with said[0].open("w") as stdout, said[1].open("w") as stderr:
        process = subprocess.Popen(
            tcptune.argv([*arguments, "--events", str(events)]),
            cwd=tcptune.work,
            env=tcptune.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )
    with process:
        try:
            yield UnderWay(process, events, said)
        finally:
            process.kill()
