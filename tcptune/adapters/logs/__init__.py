"""Read logs of any size: files, rotated sets, packed ones, standard input. Memory does not grow with them."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tcptune.adapters.logs.journal import is_export, lines_of
from tcptune.adapters.logs.packed import Form, Packed, blocks_of, form_of
from tcptune.adapters.logs.search import BLOCK_BYTES, Search, has_short_lines
from tcptune.domain.logs import LogReport, LogSource
from tcptune.errors import InputError
from tcptune.knowledge.wording import wording
from tcptune.planning.logs.stamps import stamp
from tcptune.planning.logs.tally import JOURNAL_ARRAYS, JOURNAL_TIME, Tally

STDIN = "-"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_JOURNAL_JSON = b'"__REALTIME_TIMESTAMP"'
_EDGE_BYTES = 64 * 1024
_EDGE_LINES = 100


def read_logs(names: Sequence[str], *, search: Search | None = None) -> LogReport:
    """Return what the files say, `-` being standard input. A file that cannot be read has its reason in the report.

    Raises InputError where one file is named twice: its errors would count double.
    """
    known = wording()
    searching = search or Search(known.anchors)
    tally = Tally(known)
    _refuse_twice(names)
    return tally.report([_read(name, tally, searching) for name in names])


def _refuse_twice(names: Sequence[str]) -> None:
    seen: dict[object, str] = {}
    for name in names:
        try:
            status = None if name == STDIN else Path(name).stat()
        except (OSError, ValueError):
            continue  # the report says why
        identity = STDIN if status is None else (status.st_dev, status.st_ino)
        if earlier := seen.get(identity):
            raise InputError(f"{name}: this is the file {earlier} once more", hint="name each file once")
        seen[identity] = name


def _read(name: str, tally: Tally, search: Search) -> LogSource:
    before = tally.lines
    source = _Source(name)
    try:
        source.read(tally, search)
    except Packed as problem:
        source.unread = str(problem)
    except (OSError, ValueError) as problem:
        source.unread = getattr(problem, "strerror", None) or str(problem)
    if name == STDIN and not source.bytes and source.unread is None:
        # A log that is empty says that nothing happened; a pipe that is, that who writes into it has failed.
        source.unread = "nothing came; did the command before the pipe work?"
    return LogSource(
        path=name,
        form=source.form,
        bytes=source.bytes,
        lines=tally.lines - before,
        cut=source.cut,
        begins=source.begins,
        ends=source.ends,
        unread=source.unread,
    )


class _Source:
    """One file while it is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.form: Form = "plain"
        self.bytes = 0
        self.cut = 0
        self.begins: datetime | None = None
        self.ends: datetime | None = None
        self.unread: str | None = None
        self._written = datetime.now(UTC)
        self._tail = b""
        self._export = False

    def read(self, tally: Tally, search: Search) -> None:
        """Hand every line that may hold an error to `tally`. Raises Packed and OSError."""
        if self.name == STDIN:
            self._stream(sys.stdin.fileno(), tally, search)
            return
        handle = os.open(Path(self.name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            if stat.S_ISDIR(status.st_mode):
                raise Packed("this is a folder; name its files")
            if not stat.S_ISREG(status.st_mode):
                self._stream(handle, tally, search)
                return
            self._written = datetime.fromtimestamp(status.st_mtime, UTC)
            head = os.pread(handle, _EDGE_BYTES, 0)
            self.form = form_of(head)
            as_it_is = not head.startswith(_UTF16) and not is_export(head)
            if self.form != "plain" or not as_it_is or not has_short_lines(handle, status.st_size):
                self._stream(handle, tally, search)
                return
            self.bytes = status.st_size
            anchors = self._begin(head, tally)
            for line in search.in_file(handle, anchors):
                tally.add(line, search.offset)
            self.ends = self._last(os.pread(handle, _EDGE_BYTES, max(0, status.st_size - _EDGE_BYTES)))
        finally:
            os.close(handle)

    def _stream(self, handle: int, tally: Tally, search: Search) -> None:
        form, blocks = blocks_of(handle, BLOCK_BYTES)
        self.form = form
        first = next(blocks, b"")
        anchors = self._begin(first[:_EDGE_BYTES], tally)
        text = self._seen(first, blocks)
        if first.startswith(_UTF16):
            text = _utf8(text)
        if self._export:
            text = lines_of(text)
        found = search.in_blocks(text, anchors)
        try:
            for line in found:
                tally.add(line, search.offset)
        finally:
            self.cut = search.cut
            self.ends = self._last(self._tail)

    def _seen(self, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks, counted; keep the end of the last."""
        block = first
        while block:
            self.bytes += len(block)
            self._tail = (self._tail + block)[-_EDGE_BYTES:] if len(block) < _EDGE_BYTES else block[-_EDGE_BYTES:]
            yield block
            block = next(rest, b"")

    def _begin(self, head: bytes, tally: Tally) -> tuple[bytes, ...]:
        """Tell the tally what begins, and return what to search for besides the anchors."""
        self._export = is_export(head)
        tally.begin(written=self._written, export=self._export)
        self.begins = self._first(head.split(b"\n", _EDGE_LINES)[:_EDGE_LINES])
        if self._export:
            return (JOURNAL_TIME,)
        return JOURNAL_ARRAYS if _JOURNAL_JSON in head else ()

    def _last(self, tail: bytes) -> datetime | None:
        return self._first(reversed(tail.rsplit(b"\n", _EDGE_LINES)[1:] or [tail]))

    def _first(self, lines: Iterable[bytes]) -> datetime | None:
        for line in lines:
            if found := stamp(line, self._written):
                return datetime.fromtimestamp(found.epoch_s, UTC)
        return None


def _utf8(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield text of UTF-16, as Windows writes it, in the bytes that everything else here is written in."""
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", errors="replace")
