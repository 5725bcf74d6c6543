"""Bytes of one packet -> the TCP segment or the ICMP error in it.

Only headers are decoded, and only those that lead to TCP. A full dissection by scapy takes about 115 µs a packet and
this about 4, which decides whether a million packets are a matter of seconds or of minutes. Foreign bytes meet nothing
but checked offsets here: what is too short, or lies about its lengths, is a `Skipped` with its reason.

Sources: link types, tcpdump.org/linktypes.html; IPv4, RFC 791; IPv6, RFC 8200; TCP, RFC 9293; timestamps, RFC 7323;
SACK, RFC 2018.
"""

from __future__ import annotations

from enum import StrEnum
from struct import Struct

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
PAYLOAD_BYTES = 4096
"""How much of a payload is kept to be looked at: the first bytes say TLS or HTTP, and where a header ends."""

_TCP = Struct("!HHIIBBH")
_V4 = Struct("!BxHHHBB2x4s4s")
_V6 = Struct("!4xHBB16s16s")
_PAIR = Struct("!II")
_SHORT = Struct("!H")

_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
_MOST_TAGS = 4
_MOST_EXTENSIONS = 8
_HOP, _ICMP, _ICMP6, _ROUTING, _FRAGMENT, _AH, _DESTINATION = 0, 1, 58, 43, 44, 51, 60
_PROTOCOL_TCP = 6


class Skipped(StrEnum):
    """Why a packet is no segment."""

    NOT_IP = "not IP"
    NOT_TCP = "IP, and not TCP"
    FRAGMENT = "a later fragment, without a TCP header"
    SHORT = "captured too short for its headers"
    BROKEN = "headers whose lengths make no sense"
    LINK = "of a link type that is not decoded"


class Way(StrEnum):
    """Which way a packet went on the machine that captured it, where the capture says that."""

    IN = "in"
    OUT = "out"


class Segment:
    """One TCP segment. Sequence numbers are the wire's; `length` is its payload as sent, not as captured."""

    __slots__ = (
        "ack",
        "dport",
        "dst",
        "flags",
        "ip_id",
        "length",
        "mss",
        "number",
        "optioned",
        "payload",
        "sacked",
        "seq",
        "source",
        "sport",
        "src",
        "stamp",
        "time_ns",
        "ttl",
        "way",
        "window",
        "wscale",
    )

    def __init__(
        self, src: bytes, dst: bytes, ttl: int, ip_id: int | None, tcp: tuple[int, int, int, int, int, int, int]
    ) -> None:
        self.src = src
        self.dst = dst
        self.ttl = ttl
        self.ip_id = ip_id
        self.sport, self.dport, self.seq, self.ack, _, self.flags, self.window = tcp
        self.number = 0
        self.time_ns = 0
        self.length = 0
        self.payload = b""
        self.source: tuple[bytes, int] = (b"", 0)
        """The packet, and where in it the payload begins."""
        self.optioned: bool | None = False
        """None where the capture ends before the options do."""
        self.stamp: tuple[int, int] | None = None
        self.mss: int | None = None
        self.wscale: int | None = None
        self.sacked: tuple[int, int] | None = None
        """Where the first block of its SACK option begins, and where it ends."""
        self.way: Way | None = None

    def captured(self) -> bytes:
        """Return all of the payload that was captured, `payload` being its beginning."""
        data, at = self.source
        return data[at : at + self.length]

    @property
    def end(self) -> int:
        """The sequence number after it: SYN and FIN count one each."""
        flags = self.flags
        return (self.seq + self.length + (flags & FIN) + ((flags & SYN) >> 1)) & 0xFFFFFFFF


class IcmpError:
    """A router's or host's word on a segment it did not deliver. `src` and the rest are of that segment."""

    __slots__ = ("code", "dport", "dst", "mtu", "number", "origin", "sport", "src", "time_ns", "type", "v6")

    def __init__(self, origin: bytes, kind: tuple[int, int], mtu: int, inner: tuple[bytes, bytes, int, int]) -> None:
        self.origin = origin
        self.type, self.code = kind
        self.mtu = mtu
        self.src, self.dst, self.sport, self.dport = inner
        self.v6 = len(origin) == 16
        self.number = 0
        self.time_ns = 0

    @property
    def too_big(self) -> bool:
        """Say whether it asks for smaller packets."""
        return self.type == 2 if self.v6 else (self.type, self.code) == (3, 4)

    @property
    def port_unreachable(self) -> bool:
        """Say whether it gives ECONNREFUSED to a connect()."""
        return (self.type, self.code) == ((1, 4) if self.v6 else (3, 3))


Decoded = Segment | IcmpError | Skipped


def decode(data: bytes, link: int, wire_bytes: int) -> Decoded:
    """Return what is in a packet of a link type, which was `wire_bytes` long before it was cut to what was captured."""
    way: Way | None = None
    if link == 1:
        at, kind = 14, _short(data, 12)
    elif link == 113:
        at, kind = 16, _short(data, 14)
        way = _way(_short(data, 0))
    elif link == 276:
        at, kind = 20, _short(data, 0)
        way = _way(data[10]) if len(data) > 10 else None
    elif link in (0, 108):
        at, kind = 4, _by_version(data, 4)
    elif link in (12, 14, 101, 228, 229):
        at, kind = 0, _by_version(data, 0)
    else:
        return Skipped.LINK
    tags = 0
    while kind in _TAGS and tags < _MOST_TAGS:
        kind = _short(data, at + 2)
        at += 4
        tags += 1
    if kind == _IPV4:
        found = _ipv4(data, at, wire_bytes)
    elif kind == _IPV6:
        found = _ipv6(data, at, wire_bytes)
    else:
        return Skipped.SHORT if kind < 0 else Skipped.NOT_IP
    if way is not None and isinstance(found, Segment):
        found.way = way
    return found


def _short(data: bytes, at: int) -> int:
    """Return two bytes as a number, or -1 where the packet ends before them."""
    return (data[at] << 8) | data[at + 1] if len(data) > at + 1 else -1


def _by_version(data: bytes, at: int) -> int:
    """Return the protocol that the version of the IP header says. BSD's own numbers differ from system to system."""
    if len(data) <= at:
        return -1
    return {4: _IPV4, 6: _IPV6}.get(data[at] >> 4, 0)


def _way(kind: int) -> Way | None:
    """Return the way of a cooked packet: 0 is to us, 4 from us; 1 to 3 were for everybody or somebody else."""
    return {0: Way.IN, 4: Way.OUT}.get(kind)


def _ipv4(data: bytes, at: int, wire_bytes: int) -> Decoded:  # noqa: PLR0911  # each check has its own answer
    if len(data) < at + 20:
        return Skipped.SHORT
    first, total, ip_id, fragment, ttl, protocol, src, dst = _V4.unpack_from(data, at)
    head = (first & 15) * 4
    if head < 20 or first >> 4 != 4:
        return Skipped.BROKEN
    if total == 0:
        # Segmentation offload: the packet was captured before its length was written.
        total = wire_bytes - at
    if total < head:
        return Skipped.BROKEN
    if fragment & 0x1FFF:
        return Skipped.FRAGMENT
    if protocol == _PROTOCOL_TCP:
        return _tcp(data, at + head, total - head, (src, dst, ttl, ip_id))
    if protocol == _ICMP:
        return _icmp(data, at + head, src, v6=False)
    return Skipped.NOT_TCP


def _ipv6(data: bytes, at: int, wire_bytes: int) -> Decoded:  # noqa: PLR0911
    if len(data) < at + 40:
        return Skipped.SHORT
    length, following, ttl, src, dst = _V6.unpack_from(data, at)
    if data[at] >> 4 != 6:
        return Skipped.BROKEN
    at += 40
    end = at + length if length else wire_bytes
    for _ in range(_MOST_EXTENSIONS):
        if following == _PROTOCOL_TCP:
            return _tcp(data, at, end - at, (src, dst, ttl, None))
        if following == _ICMP6:
            return _icmp(data, at, src, v6=True)
        if following not in (_HOP, _ROUTING, _FRAGMENT, _AH, _DESTINATION):
            return Skipped.NOT_TCP
        if len(data) < at + 8:
            return Skipped.SHORT
        if following == _FRAGMENT and _SHORT.unpack_from(data, at + 2)[0] & 0xFFF8:
            return Skipped.FRAGMENT
        size = {_FRAGMENT: 8, _AH: (data[at + 1] + 2) * 4}.get(following, (data[at + 1] + 1) * 8)
        following = data[at]
        at += size
    return Skipped.BROKEN


def _tcp(data: bytes, at: int, length: int, ip: tuple[bytes, bytes, int, int | None]) -> Decoded:
    if len(data) < at + 20:
        return Skipped.SHORT
    tcp = _TCP.unpack_from(data, at)
    head = (tcp[4] >> 4) * 4
    if head < 20 or head > length:
        return Skipped.BROKEN
    segment = Segment(*ip, tcp)
    segment.length = length - head
    if head > 20:
        _options(segment, data, at + 20, at + head)
    if segment.length:
        segment.payload = data[at + head : at + head + min(segment.length, PAYLOAD_BYTES)]
        segment.source = (data, at + head)
    return segment


def _options(segment: Segment, data: bytes, at: int, end: int) -> None:
    segment.optioned = True
    if len(data) < end:
        segment.optioned = None
        return
    # What nearly every segment of Linux has: two fillers and the timestamps.
    if end - at == 12 and data[at : at + 4] == b"\x01\x01\x08\x0a":
        segment.stamp = _PAIR.unpack_from(data, at + 4)
        return
    while at < end:
        kind = data[at]
        if kind == 0:
            return
        if kind == 1:
            at += 1
            continue
        size = data[at + 1] if at + 1 < end else 0
        if size < 2 or at + size > end:
            return
        if kind == 8 and size == 10:
            segment.stamp = _PAIR.unpack_from(data, at + 2)
        elif kind == 2 and size == 4:
            segment.mss = _SHORT.unpack_from(data, at + 2)[0]
        elif kind == 5 and size >= 10:
            segment.sacked = _PAIR.unpack_from(data, at + 2)
        elif kind == 3 and size == 3:
            segment.wscale = data[at + 2]
        at += size


def _icmp(data: bytes, at: int, origin: bytes, *, v6: bool) -> Decoded:
    """Return an error message on a TCP segment; everything else of ICMP is not looked at."""
    if len(data) < at + 8:
        return Skipped.SHORT
    kind = (data[at], data[at + 1])
    if kind[0] not in ((1, 2) if v6 else (3,)):
        return Skipped.NOT_TCP
    mtu = _PAIR.unpack_from(data, at)[1] if v6 else _SHORT.unpack_from(data, at + 6)[0]
    at += 8
    if v6:
        if len(data) < at + 44 or data[at + 6] != _PROTOCOL_TCP:
            return Skipped.NOT_TCP
        src, dst, ports = data[at + 8 : at + 24], data[at + 24 : at + 40], at + 40
    else:
        head = (data[at] & 15) * 4 if len(data) > at else 0
        if head < 20 or len(data) < at + head + 4 or data[at + 9] != _PROTOCOL_TCP:
            return Skipped.NOT_TCP
        src, dst, ports = data[at + 12 : at + 16], data[at + 16 : at + 20], at + head
    sport, dport = _short(data, ports), _short(data, ports + 2)
    return IcmpError(origin, kind, mtu, (src, dst, sport, dport))
