"""The chunked body of an HTTP message, followed from chunk to chunk without keeping any (RFC 9112 section 7.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_LONGEST = 8192
"""No line of sizes or trailers is longer: whoever sends one is not followed."""


@dataclass(slots=True)
class Chunks:
    """How far a body has come."""

    next: int = 0
    """Sequence number of what comes next."""
    over: bool = False
    """The last chunk and its trailers were there."""
    lost: bool = False
    """It cannot be followed: something was not captured, or is no chunk."""
    _skip: int = 0
    _line: bytes = b""
    _trailers: bool = False

    @property
    def open(self) -> bool:
        """Whether more has to come."""
        return not self.over and not self.lost

    @property
    def within(self) -> bool:
        """Whether a chunk has begun and not ended."""
        return self._skip > 0 or bool(self._line)

    def follow(self, seq: int, captured: bytes, length: int) -> int | None:
        """Go on with a segment, and return the sequence number after the body, or None where that is not reached.

        Where a segment is missing, or overtook another, the body is followed no further.
        """
        known = (self.next - seq) & 0xFFFFFFFF
        if known > length:
            self.lost = True
            return None
        taken = self.take(captured[known:], length - known)
        self.next = (self.next + taken) & 0xFFFFFFFF
        return self.next if self.over else None

    def take(self, captured: bytes, length: int) -> int:
        """Take the next `length` bytes, of which the first ones were captured. Returns how many are of the body."""
        at = 0
        while self.open:
            step = min(self._skip, length - at)
            self._skip -= step
            at += step
            if at >= length:
                break
            end = captured.find(b"\n", at)
            if end < 0:
                self._line += captured[at:]
                self.lost = len(captured) < length or len(self._line) > _LONGEST
                return length
            line, self._line = self._line + captured[at : end + 1], b""
            at = end + 1
            self._read(line)
        return at

    def _read(self, line: bytes) -> None:
        if self._trailers:
            self.over = line in {b"\r\n", b"\n"}
            return
        size = _SIZE.fullmatch(line)
        if size is None or len(line) > _LONGEST:
            self.lost = True
        elif int(size[1], 16):
            self._skip = int(size[1], 16) + 2
        else:
            self._trailers = True
