"""Events as JSON lines, in a file or on standard output."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from collections.abc import Callable

from tcptune.adapters.events.stream import Lines
from tcptune.domain.events import Event
from tcptune.errors import TcptuneError
from tcptune.reports.events import line

STDOUT = "-"


class EventsFile:
    """Writes a line for each event. `warn` is told what a person has to know of it."""

    def __init__(self, name: str, warn: Callable[[str], None]) -> None:
        """Open the file, `-` being standard output. A new one is for its owner alone, to one that is there it appends.

        Raises TcptuneError where it cannot be opened.
        """
        self._own: int | None = None
        if name == STDOUT:
            sys.stdout.flush()
            self._lines = Lines(sys.stdout.fileno(), "standard output", warn)
            return
        self._own = _opened(name)
        self._lines = Lines(self._own, name, warn)
        found = os.fstat(self._own)
        if stat.S_ISREG(found.st_mode) and found.st_size:
            warn(f"{name}: there are events in it already; new ones are appended")
            if not _ends_with_newline(name):
                self._lines.write("\n")

    def tell(self, event: Event) -> None:
        """Write an event. Raises nothing."""
        self._lines.write(line(event))

    def close(self) -> None:
        """Write what is left."""
        self._lines.close()
        # A thread that waits for a reader still uses it; then it stays open until the program ends.
        if self._own is not None and self._lines.idle:
            os.close(self._own)
        self._own = None


def _opened(name: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
    try:
        # A named pipe without a reader would keep everything waiting.
        descriptor = os.open(name, flags | os.O_NONBLOCK, 0o600)
    except OSError as problem:
        why = "nobody reads from this pipe" if problem.errno == errno.ENXIO else problem.strerror
        raise TcptuneError(f"{name}: {why}", hint="name another place with --events") from None
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    return descriptor


def _ends_with_newline(name: str) -> bool:
    try:
        with open(name, "rb") as file:  # noqa: PTH123  # seeks from the end
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        # It may be appended to and not be read: then a newline is written to be safe.
        return False
