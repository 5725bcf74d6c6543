"""Lines that are written whole: to a file at once, to a pipe or a terminal by a thread, whose reader may be slow.

Whatever becomes of them, the rollout goes on: that they cannot be written is told once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from tcptune.adapters.events.background import Background

_MOST_LINES = 10_000
DRAIN_S = 2.0


class Lines:
    """Writes to an open file descriptor. `warn` is told, once, that it does not work any more; it names `called`."""

    def __init__(self, descriptor: int, called: str, warn: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._called = called
        self._warn = warn
        self._broken = False
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._background: Background[bytes] | None = None
        if not self._regular:
            self._background = Background(f"lines to {called}", self._written, most=_MOST_LINES)

    @property
    def idle(self) -> bool:
        """Whether nothing is being written, and nothing will be any more once it is closed."""
        return self._background is None or self._background.idle

    def write(self, line: str) -> None:
        """Write a line, which ends with a newline. Raises nothing."""
        data = line.encode(errors="replace")
        if self._background is not None:
            self._background.put(data)
        else:
            self._written(data)

    def close(self) -> None:
        """Write what is left, for a short time. The descriptor stays open."""
        if self._background is None:
            return
        self._background.close(DRAIN_S)
        if self._background.undone and not self._broken:
            self._warn(f"{self._called}: {self._background.undone} lines were not written: nobody reads them in time")

    def _written(self, data: bytes) -> bool:
        if self._broken:
            return False
        begun = 0
        try:
            while begun < len(data):
                begun += os.write(self._descriptor, data[begun:])
        except OSError as problem:
            self._broken = True
            self._take_back(begun)
            self._warn(f"{self._called}: {problem.strerror}; nothing more is written there, and the rollout goes on")
            return False
        return True

    def _take_back(self, begun: int) -> None:
        """Remove the part of a line that a full disk still took, where nobody has written behind it."""
        if not begun or not self._regular:
            return
        size = os.fstat(self._descriptor).st_size
        # In append mode, what was written last ends where the descriptor stands.
        if os.lseek(self._descriptor, 0, os.SEEK_CUR) == size:
            os.ftruncate(self._descriptor, size - begun)
