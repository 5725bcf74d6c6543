"""Which flow a packet belongs to: a table of bounded size, and what is known of hosts beyond one flow.

A flow leaves the table when it has ended and been quiet for a while, or when its place is needed. Whoever leaves is
handed over to be judged; nothing of a packet is kept besides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from tcptune.captures.flows import Flow
from tcptune.captures.packets import ACK, FIN, RST, SYN, IcmpError, Segment
from tcptune.captures.sides import MILLISECOND, SECOND, Mark, Side

FLOWS = 20_000
"""Flows that are remembered at once: about 3 KB each, so 60 MB."""
_HOSTS = 10_000
_LINGER_NS = 60 * SECOND
"""After its end a flow is kept this long: data and resets still follow. TIME_WAIT of Linux lasts as long."""
_MOST_ICMP = 4
_SHARE_OF_HALF_OPEN = 4
"""This part of the table, as one over it, is left to connections that no client has confirmed, where it is full."""

_COPIED_NS = 5 * MILLISECOND
"""So soon a packet leaves the machine that translates its addresses."""
_RECENT_SYNS = 256

Key = tuple[bytes, bytes, int, int]


class FlowTable:
    """Flows under way, the one that was heard longest ago first."""

    def __init__(self, most: int = FLOWS) -> None:
        self._most = most
        self._alive: OrderedDict[Key, Flow] = OrderedDict()
        self._half_open: OrderedDict[Key, Flow] = OrderedDict()
        """Asked for, and not confirmed: a flood of these shall not push out what others talk over."""
        self._ended: OrderedDict[Key, Flow] = OrderedDict()
        self._ttls: OrderedDict[bytes, int] = OrderedDict()
        self._syns: OrderedDict[tuple[int, object], tuple[Key, int]] = OrderedDict()
        self._translated: OrderedDict[Key, int] = OrderedDict()
        """Connections that are in the table under the addresses they came with, and their initial numbers."""
        self._heard: OrderedDict[tuple[bytes, int], tuple[int, int]] = OrderedDict()
        self.evicted = 0
        self.duplicates = 0

    def take(self, segment: Segment) -> Sequence[Flow]:
        """Put a segment into its flow. Returns the flows that leave the table."""
        left: Sequence[Flow] = ()
        key = _key(segment.src, segment.dst, segment.sport, segment.dport)
        flow = self._alive.get(key) or self._ended.get(key) or self._half_open.get(key)
        if flow is not None and segment.flags & SYN and flow.begins_anew(segment):
            for flows in (self._alive, self._ended, self._half_open):
                flows.pop(key, None)
            left = (flow,)
            flow = None
        if flow is None:
            if segment.way is not None and self._is_translated(segment, key):
                self.duplicates += 1
                return left
            left = (*left, *self._room(segment.time_ns))
            flow = _new(segment)
            (self._half_open if segment.flags & SYN else self._alive)[key] = flow
        if not flow.take(segment):
            self.duplicates += 1
            return left
        if not segment.flags & RST:
            self._hear(segment)
        # Nothing but these ends a flow.
        if segment.flags & (FIN | RST) and flow.ended:
            self._alive.pop(key, None)
            self._half_open.pop(key, None)
            self._ended[key] = flow
            self._ended.move_to_end(key)
        elif key in self._alive:
            self._alive.move_to_end(key)
        elif key in self._ended:
            self._ended.move_to_end(key)
        elif flow.confirmed:
            self._alive[key] = self._half_open.pop(key)
        else:
            self._half_open.move_to_end(key)
        return left

    def take_error(self, error: IcmpError) -> None:
        """Put an ICMP error to the flow it is about. One about no flow that is known is left out."""
        key = _key(error.src, error.dst, error.sport, error.dport)
        flow = self._alive.get(key) or self._ended.get(key) or self._half_open.get(key)
        if flow is not None and len(flow.icmp) < _MOST_ICMP:
            client = flow.client
            of_client = error.sport == client.port and error.src == client.address
            flow.icmp.append((error, client if of_client else flow.server))

    def _hear(self, segment: Segment) -> None:
        self._ttls[segment.src] = segment.ttl
        if len(self._ttls) > _HOSTS:
            self._ttls.popitem(last=False)
        self._heard[segment.src, segment.sport] = (segment.number, segment.time_ns)
        if len(self._heard) > _HOSTS:
            self._heard.popitem(last=False)

    def _is_translated(self, segment: Segment, key: Key) -> bool:
        """Say whether it is of a connection that the table has under other addresses.

        Who captures at all interfaces of a machine that translates addresses sees each connection twice. Translation
        leaves the initial number and the timestamp; without timestamps many may share a number, and the client's end
        has to be the same, too.
        """
        if segment.flags & (SYN | ACK) != SYN:
            return key in self._translated
        same = segment.stamp or (segment.src, segment.sport)
        seen = self._syns.get((segment.seq, same))
        if seen is not None and seen[0] != key and 0 <= segment.time_ns - seen[1] < _COPIED_NS:
            self._translated[key] = segment.seq
            if len(self._translated) > self._most:
                self._translated.popitem(last=False)
            return True
        if self._translated.get(key) == segment.seq:
            return True
        self._translated.pop(key, None)
        self._syns[segment.seq, same] = (key, segment.time_ns)
        if len(self._syns) > _RECENT_SYNS:
            self._syns.popitem(last=False)
        return False

    def ttl_of(self, address: bytes) -> int | None:
        """Return the TTL of the last packet of a host that was no reset."""
        return self._ttls.get(address)

    def heard_of(self, address: bytes, port: int) -> Mark | None:
        """Return the last packet of an end, on whichever connection, that was no reset."""
        found = self._heard.get((address, port))
        return Mark(*found) if found is not None else None

    def drain(self) -> Iterator[Flow]:
        """Yield what is left, and forget it."""
        for flows in (self._ended, self._half_open, self._alive):
            while flows:
                yield flows.popitem(last=False)[1]

    def _room(self, now_ns: int) -> Iterator[Flow]:
        """Yield what has been over for long enough, and what has to go so that one more fits."""
        while self._ended:
            oldest = next(iter(self._ended.values()))
            full = len(self._ended) + len(self._half_open) + len(self._alive) >= self._most
            if not full and now_ns - oldest.last.time_ns < _LINGER_NS:
                return
            yield self._ended.popitem(last=False)[1]
        if len(self._half_open) + len(self._alive) >= self._most:
            self.evicted += 1
            crowded = not self._alive or len(self._half_open) * _SHARE_OF_HALF_OPEN >= self._most
            yield (self._half_open if crowded else self._alive).popitem(last=False)[1]


def _key(src: bytes, dst: bytes, sport: int, dport: int) -> Key:
    return (src, dst, sport, dport) if (src, sport) <= (dst, dport) else (dst, src, dport, sport)


def _new(segment: Segment) -> Flow:
    """Return a flow whose client is who sends the SYN; in its middle, who has the higher port."""
    sender, receiver = Side(segment.src, segment.sport), Side(segment.dst, segment.dport)
    answers = segment.flags & (SYN | ACK) == SYN | ACK or (not segment.flags & SYN and segment.sport < segment.dport)
    client, server = (receiver, sender) if answers else (sender, receiver)
    return Flow(client, server, Mark(segment.number, segment.time_ns))
