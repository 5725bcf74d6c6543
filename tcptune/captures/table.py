"""Which flow a packet belongs to: a table of bounded size, and what is known of hosts beyond one flow.

A flow leaves the table when it has ended and been quiet for a while, or when its place is needed. Whoever leaves is
handed over to be judged; nothing of a packet is kept besides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from tcptune.captures.flows import SECOND, Flow, Mark, Side
from tcptune.captures.packets import ACK, SYN, IcmpError, Segment

FLOWS = 20_000
"""Flows that are remembered at once: about 3 KB each, so 60 MB."""
_HOSTS = 10_000
_LINGER_NS = 60 * SECOND
"""After its end a flow is kept this long: data and resets still follow. TIME_WAIT of Linux lasts as long."""
_MOST_ICMP = 4

Key = tuple[bytes, bytes, int, int]


class FlowTable:
    """Flows under way, the one that was heard longest ago first."""

    def __init__(self, most: int = FLOWS) -> None:
        self._most = most
        self._alive: OrderedDict[Key, Flow] = OrderedDict()
        self._ended: OrderedDict[Key, Flow] = OrderedDict()
        self._ttls: OrderedDict[bytes, int] = OrderedDict()
        self._heard: OrderedDict[tuple[bytes, int], Mark] = OrderedDict()
        self.evicted = 0
        self.duplicates = 0

    def take(self, segment: Segment) -> Iterator[Flow]:
        """Put a segment into its flow. Yields the flows that leave the table."""
        key = _key(segment.src, segment.dst, segment.sport, segment.dport)
        flow = self._alive.get(key) or self._ended.get(key)
        if flow is not None and segment.flags & SYN and flow.begins_anew(segment):
            self._alive.pop(key, None)
            self._ended.pop(key, None)
            yield flow
            flow = None
        if flow is None:
            yield from self._room(segment.time_ns)
            flow = _new(segment)
            self._alive[key] = flow
        if not flow.take(segment):
            self.duplicates += 1
            return
        if not segment.flags & 4:
            self._ttls[segment.src] = segment.ttl
            if len(self._ttls) > _HOSTS:
                self._ttls.popitem(last=False)
            self._heard[segment.src, segment.sport] = Mark(segment.number, segment.time_ns)
            if len(self._heard) > _HOSTS:
                self._heard.popitem(last=False)
        if flow.ended:
            self._alive.pop(key, None)
            self._ended[key] = flow
            self._ended.move_to_end(key)
        else:
            self._alive.move_to_end(key)

    def take_error(self, error: IcmpError) -> None:
        """Put an ICMP error to the flow it is about. One about no flow that is known is left out."""
        key = _key(error.src, error.dst, error.sport, error.dport)
        flow = self._alive.get(key) or self._ended.get(key)
        if flow is not None and len(flow.icmp) < _MOST_ICMP:
            client = flow.client
            of_client = error.sport == client.port and error.src == client.address
            flow.icmp.append((error, client if of_client else flow.server))

    def ttl_of(self, address: bytes) -> int | None:
        """Return the TTL of the last packet of a host that was no reset."""
        return self._ttls.get(address)

    def heard_of(self, address: bytes, port: int) -> Mark | None:
        """Return the last packet of an end, on whichever connection, that was no reset."""
        return self._heard.get((address, port))

    def drain(self) -> Iterator[Flow]:
        """Yield what is left, and forget it."""
        for flows in (self._ended, self._alive):
            while flows:
                yield flows.popitem(last=False)[1]

    def _room(self, now_ns: int) -> Iterator[Flow]:
        """Yield what has been over for long enough, and what has to go so that one more fits."""
        while self._ended:
            oldest = next(iter(self._ended.values()))
            full = len(self._ended) + len(self._alive) >= self._most
            if not full and now_ns - oldest.last.time_ns < _LINGER_NS:
                return
            yield self._ended.popitem(last=False)[1]
        if len(self._alive) >= self._most:
            self.evicted += 1
            yield self._alive.popitem(last=False)[1]


def _key(src: bytes, dst: bytes, sport: int, dport: int) -> Key:
    return (src, dst, sport, dport) if (src, sport) <= (dst, dport) else (dst, src, dport, sport)


def _new(segment: Segment) -> Flow:
    """Return a flow whose client is who sends the SYN; in its middle, who has the higher port."""
    sender, receiver = Side(segment.src, segment.sport), Side(segment.dst, segment.dport)
    answers = segment.flags & (SYN | ACK) == SYN | ACK or (not segment.flags & SYN and segment.sport < segment.dport)
    client, server = (receiver, sender) if answers else (sender, receiver)
    return Flow(client, server, Mark(segment.number, segment.time_ns))
