"""What is remembered of one connection while its packets pass: bounded, however long it lives."""

from __future__ import annotations

from tcptune.captures.chunks import Chunks
from tcptune.captures.packets import ACK, FIN, RST, SYN, IcmpError, Segment, Way
from tcptune.captures.payloads import Alert, Hello, Message, peek
from tcptune.captures.sides import MILLISECOND, SECOND, Mark, Reset, Run, Side, Silence, apart

_LARGEST = 1 << 16
"""Payload of one packet at most, those of an offload included, as far as a D-SACK is believed."""
_MOST_RESETS = 8
_MOST_HOLES = 8
_REORDERED_NS = 3 * MILLISECOND
"""What fills a hole this soon was overtaken on the way; what comes later was sent again (as Wireshark judges)."""
_FORGOTTEN_NS = 60 * SECOND
"""A SYN with another number after this long is a new connection, whose predecessor ended unseen."""
_SILENCE_NS = SECOND
"""A shorter pause is no silence: requests think that long."""


class Flow:
    """One connection: two sides, the first of which opened it, as far as that can be known."""

    __slots__ = ("client", "crossed", "first", "icmp", "last", "paused", "server", "silence", "spoke")

    def __init__(self, client: Side, server: Side, first: Mark) -> None:
        self.client = client
        self.server = server
        self.first = first
        self.last = first
        self.spoke = first
        """The last packet that carried data, a SYN or a FIN for the first time."""
        self.paused: Mark | None = None
        """The last packet after which none of either side passed for a second."""
        self.crossed = False
        """Whether both sides opened it at once (RFC 9293 section 3.5)."""
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
    def confirmed(self) -> bool:
        """Say whether the client has answered the SYN-ACK, as far as that can be known."""
        return self.client.last_ack is not None or not self.opened

    @property
    def one_sided(self) -> bool:
        """Say whether one side was not heard, to which the other had answered."""
        client, server = self.client, self.server
        if client.resets or server.resets or bool(client.segments) is bool(server.segments):
            return False
        heard = client if client.segments else server
        return heard.last_ack is not None and heard.segments > 1

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
        if self.ended or segment.time_ns - self.last.time_ns > _FORGOTTEN_NS:
            return True
        if side is self.client:
            return side.isn is None or self.server.isn is None
        # The other side's SYN on the way to this one: both open it at once.
        return side.isn is None and (not self.opened or bool(side.segments or self.client.last_ack))

    def take(self, segment: Segment) -> bool:
        """Remember a segment. Returns False for a copy of the one before, which is not counted."""
        side = self.side_of(segment)
        other = self.other(side)
        flags = segment.flags
        # Without an id or a timestamp equal segments are more likely a retransmission than a copy, SYN and RST apart.
        if (segment.ip_id or segment.stamp or flags & (SYN | RST)) and side.sent_just_now(segment):
            return False
        mark = Mark(segment.number, segment.time_ns)
        if segment.time_ns - self.last.time_ns > _SILENCE_NS:
            self.paused = self.last
        if flags & RST:
            self._reset(segment, side, other, mark)
            self.last = mark
            return True
        if side.resets and side.going_on is None and side.goes_on(segment):
            side.going_on = mark
        side.ttl = segment.ttl
        if segment.way is Way.IN:
            side.arrived = True
        repeated = self._sequence(segment, side, other, mark)
        speaks = not repeated and (segment.length or flags & (SYN | FIN))
        if speaks and segment.time_ns - self.spoke.time_ns > _SILENCE_NS:
            self.silence = self._since_spoke(mark)
        if flags & SYN:
            self._opening(segment, side, other, mark)
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
        paused = self.paused
        last = paused if paused is not None and paused.number >= self.spoke.number else self.last
        return Silence(self.spoke, mark, probed=last.time_ns - self.spoke.time_ns > _SILENCE_NS)

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
            self.crossed = side is self.server and not segment.flags & ACK
        if len(side.opening) < 5:
            side.opening.append(mark)
        else:
            side.opening[-1] = mark
        confirmed = other.last_ack is not None and (segment.seq + 1) & 0xFFFFFFFF in other.acks
        if segment.flags & ACK and confirmed and side.opening_again is None and not self.crossed:
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
        elif ahead == -1 and beyond <= 0 and not segment.flags & (SYN | FIN) and side.probes_with(segment):
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
        side.retransmitted += self.other(side).packets_for(segment.length)
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
        if segment.sacked is not None and apart(ack, segment.sacked[0]) > 0:
            # An offload sends many at once again, and says once that it had them.
            begin, end = segment.sacked
            other.needless += side.packets_for(min(max(apart(end, begin), 0), _LARGEST))
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
        side.data_segments += other.packets_for(segment.length)
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
