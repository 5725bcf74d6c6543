"""Find the few lines of a log that may hold an error, as fast as the machine reads.

GNU grep does it where there is one: it looks for all anchors at once, many times faster than Python can, and gives the
lines that hold one. Without it Python looks for one anchor after the other and finds the same lines. Nothing but the
package's own constants is on grep's command line; what is in the log only ever comes back as lines.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from threading import Thread
from typing import IO

BLOCK_BYTES = 512 * 1024
LONGEST_LINE_BYTES = 1024 * 1024
"""A longer line is cut: grep would hold all of it in memory, and nobody writes such a line for people."""
_GLANCE_BYTES = 4096
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ = 1031
_DONE = frozenset({0, 1})
"""grep's exit codes for lines found, and for none."""


class Search:
    """Looks for lines that hold an anchor. `cut` counts the long lines that the last search cut.

    `offset` is where the line begins that was yielded last, in bytes of what was searched.
    """

    def __init__(self, anchors: Iterable[str], *, grep: str | None = "") -> None:
        """Take the texts to look for. `grep` is the program; None for Python alone; by default what is installed."""
        self._anchors = tuple(anchor.encode() for anchor in anchors)
        self._grep = installed_grep() if grep == "" else grep
        self.cut = 0
        self.offset = 0

    def in_file(self, handle: int, more: Sequence[bytes] = ()) -> Iterator[bytes]:
        """Yield the lines of a regular file, from its start, that hold an anchor or one of `more`.

        For files of which `has_short_lines` is true. Raises OSError where it cannot be read.
        """
        self.cut = 0
        os.lseek(handle, 0, os.SEEK_SET)
        if self._grep is None:
            return self._by_python(_blocks(handle), more)
        return self._by_grep(handle, None, more)

    def in_blocks(self, blocks: Iterable[bytes], more: Sequence[bytes] = ()) -> Iterator[bytes]:
        """Yield the lines of a stream that hold an anchor or one of `more`. What the stream raises is raised."""
        self.cut = 0
        short = self._cut(blocks)
        return self._by_python(short, more) if self._grep is None else self._by_grep(subprocess.PIPE, short, more)

    def _cut(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the blocks, with an end of line wherever there was none for too long."""
        open_bytes = 0
        for block in blocks:
            if block.find(b"\n", 0, LONGEST_LINE_BYTES) < 0:
                open_bytes += len(block)
                if open_bytes > LONGEST_LINE_BYTES:
                    self.cut += 1
                    open_bytes = len(block)
                    yield b"\n"
            else:
                open_bytes = len(block) - block.rfind(b"\n") - 1
            yield block

    def _by_grep(self, stdin: int, blocks: Iterable[bytes] | None, more: Sequence[bytes]) -> Iterator[bytes]:
        patterns = [part for anchor in (*self._anchors, *more) for part in (b"-e", anchor)]
        process = subprocess.Popen(  # noqa: S603  # a program found by its name, and constants
            [self._grep or "grep", "-a", "-b", "-F", *patterns],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C"},
        )
        pump = None
        if blocks is not None and process.stdin is not None:
            pump = _Pump(blocks, process.stdin)
            pump.start()
        ended = False
        try:
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            for numbered in process.stdout:
                number, _, line = numbered.partition(b":")
                self.offset = int(number)
                yield line
            ended = True
        finally:
            if not ended:
                process.kill()
            said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            code = process.wait()
            if pump is not None and ended and code in _DONE:
                # Else it may wait for input that never comes, and ends with this process.
                pump.join()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        if pump is not None and pump.problem is not None:
            raise pump.problem
        if code not in _DONE:
            raise OSError(said or f"grep ended with {code}")

    def _by_python(self, blocks: Iterable[bytes], more: Sequence[bytes]) -> Iterator[bytes]:
        anchors = (*self._anchors, *more)
        rest, passed = b"", 0
        for block in blocks:
            whole, end, begun = (rest + block).rpartition(b"\n")
            yield from self._holding(whole, anchors, passed)
            rest = begun if end else whole + begun
            passed += len(whole) + len(end) if end else 0
        yield from self._holding(rest, anchors, passed)

    def _holding(self, text: bytes, anchors: Sequence[bytes], passed: int) -> Iterator[bytes]:
        """Yield the lines of a text that hold one of the anchors, in their order."""
        found: dict[int, int] = {}
        for anchor in anchors:
            at = text.find(anchor)
            while at >= 0:
                end = text.find(b"\n", at)
                end = len(text) if end < 0 else end
                found[text.rfind(b"\n", 0, at) + 1] = end
                at = text.find(anchor, end)
        for start in sorted(found):
            self.offset = passed + start
            yield text[start : found[start]]


class _Pump(Thread):
    """Writes blocks to a program while its answers are read."""

    def __init__(self, blocks: Iterable[bytes], into: IO[bytes]) -> None:
        super().__init__(name="log", daemon=True)
        self._blocks, self._into = blocks, into
        self.problem: Exception | None = None
        """What ended it early, for the reader to raise."""

    def run(self) -> None:
        """Write all blocks, and close the pipe whatever happens: the program waits for its end."""
        _widen(self._into.fileno())
        try:
            for block in self._blocks:
                self._into.write(block)
        except BrokenPipeError:
            pass  # the program ended: its exit code, or who stopped it, says why
        except Exception as problem:  # it is raised where the lines are read
            self.problem = problem
        finally:
            _close(self._into)


def has_short_lines(handle: int, size_bytes: int) -> bool:
    """Say whether no line of a regular file can be longer than twice the longest. Reads a small part of it."""
    for start in range(0, size_bytes - LONGEST_LINE_BYTES, LONGEST_LINE_BYTES):
        if b"\n" in os.pread(handle, _GLANCE_BYTES, start):
            continue
        if b"\n" not in os.pread(handle, LONGEST_LINE_BYTES, start):
            return False
    return True


@cache
def installed_grep() -> str | None:
    """Return GNU grep's path, or None where there is none: others know no -a, or hold on to each byte differently."""
    path = shutil.which("grep")
    if path is None:
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return path if b"GNU grep" in said.stdout else None


def _blocks(handle: int) -> Iterator[bytes]:
    while block := os.read(handle, BLOCK_BYTES):
        yield block


def _widen(pipe: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:
        return  # it is slower so, no more


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # what was buffered has nobody to read it
