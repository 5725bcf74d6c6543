"""What one end of a connection has sent, as far as it has to be remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tcptune.captures.chunks import Chunks
from tcptune.captures.packets import ACK, SYN, Segment, Way
from tcptune.captures.payloads import Alert, Message

MILLISECOND = 1_000_000
SECOND = 1_000_000_000

_COPY_NS = MILLISECOND
"""The same bytes twice within this time are one packet, captured at two interfaces."""
_MOST_COPIES = 16
"""A burst passes one interface after the other, and not packet by packet; more of it than this is not looked for."""


_OVERTAKEN_NS = MILLISECOND
"""What comes this soon after a reset may have been sent before it."""
_USUAL_MSS = 1460
"""Where the SYN with another was not seen: that of Ethernet and IPv4."""


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
    """Whether other packets passed meanwhile, as keepalive probes do: whoever forgets idle connections saw life. One
    that came only when it was over is none of these."""

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
    """Of its last packet, resets apart: a proxy may have answered the SYN."""
    arrived: bool = False
    """Whether a packet of it came to the machine that captured from elsewhere."""
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
    """As many as were on the wire: an offload hands over many as one."""
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
    """The first segment with data, or that takes new data, which it sent some time after a reset of its own."""
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
    copies: dict[int, int] = field(default_factory=dict)
    """What it has sent just now, and when."""
    copied_ns: int = 0

    def sent_just_now(self, segment: Segment) -> bool:
        """Say whether it has sent the same segment within a moment, and remember this one."""
        same = hash(
            (segment.seq, segment.ack, segment.flags, segment.length, segment.ip_id, segment.stamp, segment.window)
        )
        if segment.time_ns - self.copied_ns >= _COPY_NS:
            self.copies = {}
        when = self.copies.get(same)
        if when is not None and segment.time_ns - when < _COPY_NS:
            return True
        self.copied_ns = segment.time_ns
        if len(self.copies) < _MOST_COPIES:
            self.copies[same] = segment.time_ns
        return False

    def packets_for(self, length: int) -> int:
        """Return in how many packets so much payload comes to it."""
        if length <= _USUAL_MSS:
            return 1
        return -(-length // max(self.mss or _USUAL_MSS, 1))

    def goes_on(self, segment: Segment) -> bool:
        """Say whether a segment of it, long enough after its reset, has data, or acknowledges what is new."""
        if segment.time_ns - self.resets[0].at.time_ns <= _OVERTAKEN_NS:
            return False
        if segment.length:
            return True
        known = self.acks
        return bool(segment.flags & (SYN | ACK) == ACK and known and apart(segment.ack, known[-1]) > 0)

    def probes_with(self, segment: Segment) -> bool:
        """Say whether a segment of it that repeats the last byte asks for life, and does not send that byte again."""
        if segment.length != 1 or self.acked is None or self.next_seq is None:
            return segment.length <= 1
        return apart(self.acked, self.next_seq) >= 0
