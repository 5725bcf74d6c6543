"""What is remembered of one connection while its packets pass: bounded, however long it lives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tcptune.captures.chunks import Chunks
from tcptune.captures.packets import ACK, FIN, RST, SYN, IcmpError, Segment, Way
from tcptune.captures.payloads import Alert, Hello, Message, peek

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

_MOST_RESETS = 8
_MOST_HOLES = 8
_REORDERED_NS = 3 * MILLISECOND
"""What fills a hole this soon was overtaken on the way; what comes later was sent again (as Wireshark judges)."""
_COPY_NS = MILLISECOND
"""The same bytes twice within this time are one packet, captured at two interfaces."""
_FORGOTTEN_NS = 60 * SECOND
"""A SYN with another number after this long is a new connection, whose predecessor ended unseen."""
_SILENCE_NS = SECOND
"""A shorter pause is no silence: requests think that long."""


def apart(left: int, right: int) -> int:
    """Return left - right of two sequence numbers, whose space is a circle.

    >>> apart(5, 0xFFFFFFFE)
    7
    """
    return ((left - right + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Mark(NamedTuple):
    """A packet, to be found again."""

    number: int
    time_ns: int


class Reset(NamedTuple):
    """A RST, and what the flow looked like when it came."""

    at: Mark
    seq: int
    ack: int
    acks: bool
    """Whether it has the ACK flag."""
    window: int
    ttl: int
    ip_id: int | None
    stamped: bool
    optioned: bool | None
    way: Way | None
    next_seq: int | None
    """What its sender would have sent next."""
    asked: bool
    """Its number is one that the other side had just acknowledged: it answers a segment."""
    offending: Mark | None
    """The other side's last segment before it."""
    unanswered: int
    """Payload bytes of the other side since its sender last sent any."""
    probes: int
    """Keepalive probes of its sender that the other side had not answered."""
    silence: Silence | None
    """The last silence, where it ended just before this, or with this."""


class Silence(NamedTuple):
    """A pause in which neither side sent data."""

    before: Mark
    after: Mark
    probed: bool
    """Whether other packets passed meanwhile, as keepalive probes do: whoever forgets idle connections saw life."""

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.after.time_ns - self.before.time_ns) / SECOND


class Run(NamedTuple):
    """The same bytes sent again and again."""

    seq: int
    length: int
    times: int
    first: Mark
    last: Mark


@dataclass(slots=True, eq=False)
class Side:
    """What one end of a connection has sent."""

    address: bytes
    port: int
    segments: int = 0
    isn: int | None = None
    opening: list[Mark] = field(default_factory=list)
    """Its SYNs, or SYN-ACKs: the first four, and the last."""
    opening_again: Mark | None = None
    """A SYN-ACK that came after the other side had confirmed one."""
    stamps: bool | None = None
    """Whether its SYN had timestamps; None where the SYN was not seen."""
    mss: int | None = None
    ttl: int | None = None
    ids: bool = False
    """Whether its packets carry IP ids other than 0."""
    next_seq: int | None = None
    acked: int | None = None
    """How far the other side has acknowledged it."""
    acks: tuple[int, ...] = ()
    """The last few numbers it acknowledged."""
    last_ack: Mark | None = None
    sent_bytes: int = 0
    data_segments: int = 0
    retransmitted: int = 0
    needless: int = 0
    """How many of these the other side said it had twice (D-SACK, RFC 2883): they were late, and not lost."""
    holes: list[tuple[int, int, int]] = field(default_factory=list)
    run: Run | None = None
    delivered: int = 0
    """The largest payload of its own that was acknowledged."""
    last_length: tuple[int, int] | None = None
    last: Mark | None = None
    last_data: Mark | None = None
    unheard: int = 0
    """Payload bytes since the other side last sent any."""
    fin: Mark | None = None
    fin_silence: Silence | None = None
    after_fin: tuple[Mark, bool] | None = None
    """The first new data of the other side after this FIN, and whether it was sent without knowing of the FIN."""
    going_on: Mark | None = None
    """The first segment it sent after a reset of its own."""
    closed_first: Mark | None = None
    closed_since: Mark | None = None
    """Since when its window is closed."""
    closed_windows: int = 0
    closed_total_ns: int = 0
    probes: int = 0
    """Keepalive probes since the other side was last heard."""
    resets: list[Reset] = field(default_factory=list)
    resets_seen: int = 0
    hello: Mark | None = None
    alert: tuple[Mark, Alert] | None = None
    started: tuple[Mark, Message] | None = None
    """The last HTTP message it began."""
    body_start: int = 0
    body_end: int | None = None
    chunks: Chunks | None = None
    """Of that message, where its body comes in chunks."""
    copy: tuple[int, int, int, int, int | None, tuple[int, int] | None, int] | None = None
    copied_ns: int = 0


class Flow:
    """One connection: two sides, the first of which opened it, as far as that can be known."""

    __slots__ = ("client", "first", "icmp", "last", "server", "silence", "spoke")

    def __init__(self, client: Side, server: Side, first: Mark) -> None:
        self.client = client
        self.server = server
        self.first = first
        self.last = first
        self.spoke = first
        """The last packet that carried data, a SYN or a FIN for the first time."""
        self.silence: Silence | None = None
        self.icmp: list[tuple[IcmpError, Side]] = []
        """Errors about it, each with the side whose segment was not delivered: a few."""

    @property
    def opened(self) -> bool:
        """Say whether the SYN was seen."""
        return self.client.isn is not None

    @property
    def established(self) -> bool:
        """Say whether the server's SYN-ACK was seen, or the beginning is not in the capture."""
        return self.server.isn is not None or not self.opened

    @property
    def ended(self) -> bool:
        """Say whether both sides have closed, or one has reset it."""
        closed = self.client.fin is not None and self.server.fin is not None
        return closed or bool(self.client.resets or self.server.resets)

    def other(self, side: Side) -> Side:
        """Return the side across from `side`."""
        return self.server if side is self.client else self.client

    def side_of(self, segment: Segment) -> Side:
        """Return which side sent a segment of this flow."""
        client = self.client
        return client if segment.sport == client.port and segment.src == client.address else self.server

    def begins_anew(self, segment: Segment) -> bool:
        """Say whether a SYN opens a new connection with the same addresses and ports."""
        side = self.side_of(segment)
        if segment.flags & (SYN | ACK) != SYN or side.isn == segment.seq:
            return False
        # A SYN whose number differs is answered by a challenge where the connection lives: that is no new one.
        unheard_of = segment.time_ns - self.last.time_ns > _FORGOTTEN_NS
        return self.ended or unheard_of or side.isn is None or (side is self.client and self.server.isn is None)

    def take(self, segment: Segment) -> bool:
        """Remember a segment. Returns False for a copy of the one before, which is not counted."""
        side = self.side_of(segment)
        other = self.other(side)
        flags = segment.flags
        same = (segment.seq, segment.ack, flags, segment.length, segment.ip_id, segment.stamp, segment.window)
        # Without an id or a timestamp equal segments are more likely a retransmission than a copy, SYN and RST apart.
        told = segment.ip_id or segment.stamp or flags & (SYN | RST)
        if same == side.copy and told and segment.time_ns - side.copied_ns < _COPY_NS:
            return False
        side.copy = same
        side.copied_ns = segment.time_ns
        mark = Mark(segment.number, segment.time_ns)
        if flags & RST:
            self._reset(segment, side, other, mark)
            self.last = mark
            return True
        if side.resets and side.going_on is None and segment.length:
            side.going_on = mark
        repeated = self._sequence(segment, side, other, mark)
        speaks = not repeated and (segment.length or flags & (SYN | FIN))
        if speaks and segment.time_ns - self.spoke.time_ns > _SILENCE_NS:
            self.silence = self._since_spoke(mark)
        if flags & SYN:
            self._opening(segment, side, other, mark)
        elif side.ttl is None:
            side.ttl = segment.ttl
        if segment.ip_id:
            side.ids = True
        if flags & ACK:
            self._acknowledge(segment, side, other, mark)
        if flags & FIN and side.fin is None:
            side.fin = mark
            side.fin_silence = self._recent(mark)
        if segment.length:
            self._data(segment, side, other, mark, repeated=repeated)
        side.segments += 1
        side.last = mark
        self.last = mark
        if speaks:
            self.spoke = mark
        return True

    def _since_spoke(self, mark: Mark) -> Silence:
        return Silence(self.spoke, mark, probed=self.last.time_ns - self.spoke.time_ns > _SILENCE_NS)

    def _recent(self, mark: Mark) -> Silence | None:
        """Return the silence that ended just before a mark, or ends with it."""
        if mark.time_ns - self.spoke.time_ns > _SILENCE_NS:
            return self._since_spoke(mark)
        found = self.silence
        return found if found and mark.time_ns - found.after.time_ns <= 2 * SECOND else None

    def _opening(self, segment: Segment, side: Side, other: Side, mark: Mark) -> None:
        if side.isn is None:
            side.isn = segment.seq
            side.stamps = None if segment.optioned is None else segment.stamp is not None
            side.mss = segment.mss
            side.ttl = segment.ttl
        if len(side.opening) < 5:
            side.opening.append(mark)
        else:
            side.opening[-1] = mark
        confirmed = other.last_ack is not None and (segment.seq + 1) & 0xFFFFFFFF in other.acks
        if segment.flags & ACK and confirmed and side.opening_again is None:
            side.opening_again = mark

    def _sequence(self, segment: Segment, side: Side, other: Side, mark: Mark) -> bool:
        """Move `next_seq` on. Returns whether the segment only repeats what was sent: data, a SYN or a probe."""
        if side.next_seq is None:
            side.next_seq = segment.end
            return False
        ahead = apart(segment.seq, side.next_seq)
        end = segment.end
        beyond = apart(end, side.next_seq)
        if ahead > 0:
            if len(side.holes) < _MOST_HOLES:
                side.holes.append((side.next_seq, segment.seq, segment.time_ns))
        elif segment.length <= 1 and ahead == -1 and not segment.flags & (SYN | FIN) and beyond <= 0:
            if other.acked is not None or other.next_seq is not None:
                side.probes += 1
            return True
        elif beyond <= 0 and (segment.length or segment.flags & (SYN | FIN)):
            self._repeated(segment, side, mark)
            return True
        if beyond > 0:
            side.next_seq = end
        return False

    def _repeated(self, segment: Segment, side: Side, mark: Mark) -> None:
        for place, (start, end, when) in enumerate(side.holes):
            if apart(segment.seq, start) >= 0 and apart(end, segment.seq) > 0:
                del side.holes[place]
                if segment.time_ns - when < _REORDERED_NS:
                    return
                break
        if not segment.length:
            return
        side.retransmitted += 1
        run = side.run
        if run is not None and run.seq == segment.seq:
            side.run = run._replace(times=run.times + 1, last=mark, length=max(run.length, segment.length))
        else:
            side.run = Run(segment.seq, segment.length, 1, mark, mark)

    def _acknowledge(self, segment: Segment, side: Side, other: Side, mark: Mark) -> None:
        ack = segment.ack
        if ack not in side.acks[-1:]:
            side.acks = (*side.acks[-3:], ack)
        side.last_ack = mark
        other.probes = 0
        if segment.sacked is not None and apart(ack, segment.sacked) > 0:
            other.needless += 1
        if other.acked is None or apart(ack, other.acked) > 0:
            other.acked = ack
            if other.last_length and apart(ack, other.last_length[0]) >= 0:
                other.delivered = max(other.delivered, other.last_length[1])
                other.last_length = None
            if other.run is not None and apart(ack, other.run.seq) > 0:
                other.run = None
        if segment.window == 0 and not segment.flags & SYN:
            if side.closed_since is None:
                side.closed_since = mark
                side.closed_first = side.closed_first or mark
                side.closed_windows += 1
        elif side.closed_since is not None:
            side.closed_total_ns += max(0, mark.time_ns - side.closed_since.time_ns)
            side.closed_since = None

    def _data(self, segment: Segment, side: Side, other: Side, mark: Mark, *, repeated: bool) -> None:
        side.data_segments += 1
        if repeated:
            return
        side.sent_bytes += segment.length
        side.unheard += segment.length
        other.unheard = 0
        side.last_data = mark
        if side.last_length is None or segment.length > side.last_length[1]:
            side.last_length = (segment.end, segment.length)
        if other.fin is not None and other.after_fin is None:
            knows = other.next_seq is not None and apart(segment.ack, other.next_seq) >= 0
            other.after_fin = (mark, not knows)
        if side.chunks is not None and side.chunks.open:
            side.body_end = side.chunks.follow(segment.seq, segment.captured(), segment.length)
            return
        found = peek(segment.payload)
        if found is not None:
            self._speaks(segment, side, mark, found)

    def _speaks(self, segment: Segment, side: Side, mark: Mark, found: Hello | Alert | Message) -> None:
        if isinstance(found, Hello):
            if side.hello is None and side.sent_bytes == segment.length:
                side.hello = mark
        elif isinstance(found, Alert):
            if side.alert is None and found.fatal:
                side.alert = (mark, found)
        elif side.body_end is None or apart(segment.seq, side.body_end) >= 0:
            asked = self.other(side).started
            length = found.length
            if found.status and asked is not None and asked[1].method == "HEAD":
                length = None
            side.started = (mark, found)
            side.body_start = segment.seq
            side.body_end = None if length is None else (segment.seq + length) & 0xFFFFFFFF
            bodiless = bool(found.status) and asked is not None and asked[1].method == "HEAD"
            side.chunks = None
            if found.chunked is not None and not bodiless:
                side.chunks = Chunks((segment.seq + found.chunked) & 0xFFFFFFFF)
                side.body_end = side.chunks.follow(segment.seq, segment.captured(), segment.length)

    def _reset(self, segment: Segment, side: Side, other: Side, mark: Mark) -> None:
        side.resets_seen += 1
        if len(side.resets) >= _MOST_RESETS:
            return
        side.resets.append(
            Reset(
                at=mark,
                seq=segment.seq,
                ack=segment.ack,
                acks=bool(segment.flags & ACK),
                window=segment.window,
                ttl=segment.ttl,
                ip_id=segment.ip_id,
                stamped=segment.stamp is not None,
                optioned=segment.optioned,
                way=segment.way,
                next_seq=side.next_seq,
                asked=segment.seq in other.acks,
                offending=other.last,
                unanswered=other.unheard,
                probes=side.probes,
                silence=self._recent(mark),
            )
        )
