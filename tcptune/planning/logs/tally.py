"""Count what lines say, in bounded memory: kinds of error over time and by peer, a few examples of each phrase."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

from tcptune.domain.logs import (
    Bucket,
    ErrorCount,
    LogReport,
    LogSource,
    PeerCount,
    Phrase,
    PhraseCount,
    Wording,
)
from tcptune.planning.logs.masking import example
from tcptune.planning.logs.peers import peer
from tcptune.planning.logs.stamps import stamp
from tcptune.planning.logs.states import Sure, forms

JOURNAL_TIME = b"__REALTIME_TIMESTAMP="
"""Begins the line that gives an entry its time, in journald's export format: it has to be handed over, too."""
JOURNAL_ARRAYS = (b'"MESSAGE":[', b'"MESSAGE" : [')
"""Begins a message of the journal's JSON that is no text, or that an entry has twice: numbers hold no anchor."""
MOST_PEERS = 10_000
"""Peers that are counted at once. Where there are more, those seen least make place."""
SHOWN_PEERS = 50
_EXAMPLES = 3
_MOST_BUCKETS = 4_000
_SHOWN_BUCKETS = 30
_WIDTHS_S = (60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400)
_TRACE_BYTES = 8192
"""So close behind each other lines without a time may belong to the one before: a trace of some 60 calls."""
_DEEPER = (b"Caused by:", b"Suppressed:", b" ", b"\t")
"""What begins so goes on with what was said before, whether that has a time or not."""
_DIGITS = b"0123456789"
_AROUND_URLS = (b" ", b'"', b"'", b"(", b"<", b"[", b"\t")
_LONGEST_URL_BYTES = 4096
_MOST_SHAPES = 4096
_LONGEST_SHAPE_BYTES = 1024
_Texts = tuple[tuple[Phrase, bytes, Sure], ...]
_Anchored = tuple[int, bytes, Phrase, bytes, Sure]
"""Rank, text without digits, phrase, text, what makes it sure."""
_FIELD = re.compile(rb"[A-Z0-9_]{1,64}=")
_EVENT = b"data: {"
"""How the journal's JSON begins where a gateway sends it as events."""
_JSON_MESSAGE = re.compile(rb'"MESSAGE"\s?:\s?"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)


class _Count:
    """Lines of one thing, from when to when."""

    __slots__ = ("examples", "first", "last", "lines", "untimed")

    def __init__(self) -> None:
        self.lines = 0
        self.untimed = 0
        self.first: int | None = None
        self.last: int | None = None
        self.examples: list[str] = []

    def add(self, at: int | None) -> None:
        self.lines += 1
        if at is None:
            self.untimed += 1
            return
        if self.first is None or at < self.first:
            self.first = at
        if self.last is None or at > self.last:
            self.last = at


class _Peer(_Count):
    __slots__ = ("errors",)

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, int] = {}


class _Told:
    """The last error that was counted, whose trace may follow."""

    __slots__ = ("at", "end", "error", "named")

    def __init__(self, error: str, at: int | None, end: int, *, named: bool) -> None:
        self.error = error
        self.at = at
        self.end = end
        self.named = named
        """Whether it named a peer."""

    def goes_on(self, line: bytes, error: str, offset: int) -> bool:
        """Say whether a line without a time, which begins at an offset, is of its trace."""
        if error != self.error or not 0 <= offset - self.end <= _TRACE_BYTES:
            return False
        return self.at is not None or line.startswith(_DEEPER)


class Tally:
    """Counts of any number of lines. Lines are given one by one, of one source after the other."""

    def __init__(self, wording: Wording, *, most_peers: int = MOST_PEERS) -> None:
        self._wording = wording
        self._most_peers = most_peers
        self._by_anchor = _by_anchor(wording)
        self._shapes: dict[bytes, _Texts] = {}
        self._phrases: dict[str, _Count] = {}
        self._peers: dict[str, _Peer] = {}
        self._timeline: dict[int, dict[str, int]] = {}
        self._width_s = _WIDTHS_S[0]
        self._other_peers = 0
        self._no_peer = 0
        self._zoneless = 0
        self._written = datetime.now(UTC)
        self._export = False
        self._entry_at: int | None = None
        self._told: _Told | None = None
        self._traced = 0
        self.lines = 0
        """Lines with an error, of all sources."""

    def begin(self, *, written: datetime, export: bool = False) -> None:
        """Begin a source, last written to at that time. `export`: it is in journald's export format."""
        self._written, self._export, self._entry_at, self._told = written, export, None, None

    def add(self, line: bytes, offset: int | None = None) -> None:
        """Count a line, whatever is in it. `offset` is where it begins in its source: then traces are known as such."""
        if self._export:
            if line.startswith(JOURNAL_TIME):
                found = stamp(line, self._written)
                self._entry_at = found.epoch_s if found else None
                return
            if _FIELD.match(line) and not line.startswith(b"MESSAGE="):
                return  # the journal's other fields quote command lines and units, not errors
        said = _said(line)
        if (found_phrase := self._phrase(said)) is None:
            return
        phrase, at = found_phrase
        when = self._when(line)
        if offset is not None and when is None and self._trace(line, said, phrase, offset):
            return
        self.lines += 1
        count = self._phrases.setdefault(phrase.id, _Count())
        count.add(when)
        if len(count.examples) < _EXAMPLES:
            count.examples.append(example(said, at))
        self._time(phrase.error, when)
        name = peer(said, phrase.peer)
        self._meet(name, phrase.error, when)
        if offset is not None:
            self._told = _Told(phrase.error, when, offset + len(line), named=name is not None)

    def _trace(self, line: bytes, said: bytes, phrase: Phrase, offset: int) -> bool:
        """Say whether a line only says again what was counted, deeper in its trace; it may still name the peer."""
        told = self._told
        if told is None or not told.goes_on(line, phrase.error, offset):
            return False
        self._traced += 1
        told.end = offset + len(line)
        if not told.named and (name := peer(said, phrase.peer)) is not None:
            told.named = True
            self._no_peer -= 1
            self._meet(name, phrase.error, told.at)
        return True

    def report(self, sources: Iterable[LogSource]) -> LogReport:
        """Return what was counted."""
        known = {phrase.id: phrase for phrase in self._wording.phrases}
        phrases = [_phrase_count(known[name], count) for name, count in self._phrases.items()]
        errors = []
        for kind in self._wording.errors:
            own = sorted((p for p in phrases if p.error == kind.name), key=lambda p: (-p.lines, p.id))
            if own:
                errors.append(
                    ErrorCount(
                        name=kind.name,
                        errno=kind.errno,
                        means=kind.means,
                        lines=sum(p.lines for p in own),
                        untimed=sum(self._phrases[p.id].untimed for p in own),
                        first=min((p.first for p in own if p.first), default=None),
                        last=max((p.last for p in own if p.last), default=None),
                        phrases=tuple(own),
                    )
                )
        width_s, buckets = self._shown_buckets()
        ranked = sorted(self._peers.items(), key=lambda item: (-item[1].lines, item[0]))
        return LogReport(
            sources=tuple(sources),
            errors=tuple(sorted(errors, key=lambda e: (-e.lines, e.name))),
            bucket_s=width_s,
            buckets=buckets,
            peers=tuple(_peer_count(name, count) for name, count in ranked[:SHOWN_PEERS]),
            other_peers=self._other_peers + sum(count.lines for _, count in ranked[SHOWN_PEERS:]),
            no_peer=self._no_peer,
            zoneless=self._zoneless,
            traced=self._traced,
            causes=_likeliest(phrases),
        )

    def _phrase(self, line: bytes) -> tuple[Phrase, int] | None:
        """Return the first phrase of the wording that the line holds, and where."""
        for phrase, text, sure in self._possible(line):
            if phrase.beside.encode() not in line:
                continue
            if sure is not None:
                if found := sure.search(line):
                    return phrase, found.start()
                continue
            at = line.find(text)
            while at >= 0 and b" " not in text and _in_url(line, at):
                at = line.find(text, at + 1)
            if at >= 0:
                return phrase, at
        return None

    def _possible(self, line: bytes) -> _Texts:
        """Return the texts that a line may hold, in their order: those that lines of its shape hold without digits.

        A log says the same thing again and again, with other numbers. What is part of a text stays part of it when the
        digits are taken out of both, so no text is missed.
        """
        shape = line.translate(None, _DIGITS)
        known = self._shapes.get(shape)
        if known is None:
            found = [one for anchor, texts in self._by_anchor if anchor in shape for one in texts if one[1] in shape]
            known = tuple(one[2:] for one in sorted(found, key=lambda one: one[0]))
            if len(shape) <= _LONGEST_SHAPE_BYTES:
                if len(self._shapes) >= _MOST_SHAPES:
                    self._shapes.clear()
                self._shapes[shape] = known
        return known

    def _when(self, line: bytes) -> int | None:
        if self._export:
            return self._entry_at
        found = stamp(line, self._written)
        if found is None:
            return None
        self._zoneless += not found.zoned
        return found.epoch_s

    def _time(self, error: str, at: int | None) -> None:
        if at is None:
            return
        start = at // self._width_s * self._width_s
        while start not in self._timeline and len(self._timeline) >= _MOST_BUCKETS:
            wider = next((width for width in _WIDTHS_S if width > self._width_s), self._width_s * 2)
            self._width_s, self._timeline = wider, _rebinned(self._timeline, wider)
            start = at // wider * wider
        bucket = self._timeline.setdefault(start, {})
        bucket[error] = bucket.get(error, 0) + 1

    def _meet(self, name: str | None, error: str, at: int | None) -> None:
        if name is None:
            self._no_peer += 1
            return
        if (known := self._peers.get(name)) is None:
            if len(self._peers) >= self._most_peers:
                self._make_place()
            known = self._peers[name] = _Peer()
        known.add(at)
        known.errors[error] = known.errors.get(error, 0) + 1

    def _make_place(self) -> None:
        """Forget the half of the peers that were seen least: who comes late and often still gets a row."""
        ranked = sorted(self._peers.items(), key=lambda item: -item[1].lines)
        kept = self._most_peers // 2
        self._other_peers += sum(count.lines for _, count in ranked[kept:])
        self._peers = dict(ranked[:kept])

    def _shown_buckets(self) -> tuple[int, tuple[Bucket, ...]]:
        width_s, timeline = self._width_s, self._timeline
        for wider in (width for width in _WIDTHS_S if width > width_s):
            if len(timeline) <= _SHOWN_BUCKETS:
                break
            width_s, timeline = wider, _rebinned(timeline, wider)
        return width_s, tuple(
            Bucket(start=datetime.fromtimestamp(start, UTC), errors=dict(sorted(timeline[start].items())))
            for start in sorted(timeline)
        )


def _by_anchor(wording: Wording) -> list[tuple[bytes, list[_Anchored]]]:
    """Return for each anchor the texts that hold it.

    The anchors are without digits, too. A text stands with its first anchor alone.
    """
    found: dict[str, list[_Anchored]] = {anchor: [] for anchor in wording.anchors}
    rank = 0
    for phrase in wording.phrases:
        for text, sure in forms(phrase):
            anchor = next(anchor for anchor in wording.anchors if anchor in text)
            found[anchor].append((rank, text.encode().translate(None, _DIGITS), phrase, text.encode(), sure))
            rank += 1
    return [(anchor.encode().translate(None, _DIGITS), texts) for anchor, texts in found.items() if texts]


def _in_url(line: bytes, at: int) -> bool:
    """Say whether a place is in a URL or a path: what is asked for, or where from, is no error. It has no blanks."""
    start = max(line.rfind(mark, max(0, at - _LONGEST_URL_BYTES), at) for mark in _AROUND_URLS) + 1
    word = line[start:at]
    return word.startswith(b"/") or b"://" in word


def _said(line: bytes) -> bytes:
    """Return what the program said: without the quoting of JSON, and of the journal's JSON the message alone."""
    if not line.startswith((b"{", _EVENT)):
        return line
    if b'"__REALTIME_TIMESTAMP"' in line:
        # The other fields quote command lines and units.
        message = _JSON_MESSAGE.search(line)
        line = message[1] if message else _listed(line)
    return line.replace(b'\\"', b'"')


def _listed(line: bytes) -> bytes:
    """Return a message that is an array of bytes, of texts, or of such arrays; nothing where there is none."""
    try:
        entry = json.loads(line.removeprefix(_EVENT[:-1]))
    except (ValueError, RecursionError):
        return b""  # cut, or no JSON at all: nothing in it can be told from a command line
    found = entry.get("MESSAGE") if isinstance(entry, dict) else None
    parts = found if isinstance(found, list) and not _is_bytes(found) else [found]
    return b" ".join(_bytes_of(part) for part in parts)


def _bytes_of(part: object) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", errors="replace")
    return bytes(cast("list[int]", part)) if _is_bytes(part) else b""


def _is_bytes(part: object) -> bool:
    return isinstance(part, list) and all(type(one) is int and 0 <= one < 256 for one in part)


def _rebinned(timeline: dict[int, dict[str, int]], width_s: int) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for start, errors in timeline.items():
        bucket = found.setdefault(start // width_s * width_s, {})
        for error, lines in errors.items():
            bucket[error] = bucket.get(error, 0) + lines
    return found


def _phrase_count(phrase: Phrase, count: _Count) -> PhraseCount:
    return PhraseCount(
        id=phrase.id,
        product=phrase.product,
        error=phrase.error,
        lines=count.lines,
        first=_moment(count.first),
        last=_moment(count.last),
        causes=phrase.causes,
        source=phrase.source,
        examples=tuple(count.examples),
    )


def _peer_count(name: str, count: _Peer) -> PeerCount:
    errors = dict(sorted(count.errors.items(), key=lambda item: (-item[1], item[0])))
    return PeerCount(peer=name, lines=count.lines, errors=errors, first=_moment(count.first), last=_moment(count.last))


def _likeliest(phrases: Iterable[PhraseCount]) -> dict[str, int]:
    found: dict[str, int] = {}
    for phrase in phrases:
        if phrase.causes:
            found[phrase.causes[0]] = found.get(phrase.causes[0], 0) + phrase.lines
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _moment(epoch_s: int | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)
