"""How many of the local ports connect() may take are taken towards one destination."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.ports import ports
from tcptune.domain.sockets import PeerUse, SocketState
from tcptune.domain.values import numbers

RANGE = "net.ipv4.ip_local_port_range"
RESERVED = "net.ipv4.ip_local_reserved_ports"
REUSE = "net.ipv4.tcp_tw_reuse"
TIMESTAMPS = "net.ipv4.tcp_timestamps"
KEYS = (RANGE, RESERVED, REUSE, TIMESTAMPS)
"""What `PortRange.of` looks at."""

_REUSE_EVERYWHERE = "1"
_REUSE_ON_LOOPBACK = "2"


@dataclass(frozen=True)
class PortRange:
    """The ports that connect() takes by itself, and when it takes one again."""

    size: int
    """Without the reserved ones."""
    reserved: frozenset[int]
    reuse: str | None
    """tcp_tw_reuse; None where it cannot count, for timestamps are off."""

    @classmethod
    def of(cls, facts: HostFacts) -> PortRange | None:
        """Return the range of a host, or None where it was not read."""
        ends = numbers(_text(facts, RANGE) or "") or ()
        if len(ends) != 2:
            return None
        try:
            reserved = ports(_text(facts, RESERVED) or "")
        except ValueError:
            reserved = frozenset()
        size = sum(1 for port in range(ends[0], ends[1] + 1) if port not in reserved)
        return cls(size, reserved, None if _text(facts, TIMESTAMPS) == "0" else _text(facts, REUSE))

    def held(self, peer: PeerUse) -> int:
        """Return the ports that connect() cannot have: those in TIME-WAIT it can, a second old, where reuse is on."""
        local = peer.address.startswith("127.") or peer.address == "::1"
        if self.reuse == _REUSE_EVERYWHERE or (self.reuse == _REUSE_ON_LOOPBACK and local):
            return peer.in_range - min(peer.in_range, peer.states.get(SocketState.TIME_WAIT, 0))
        return peer.in_range

    def share(self, peer: PeerUse) -> float:
        """Return how much of the range is taken towards a destination, in percent."""
        return 100 * self.held(peer) / max(1, self.size)


def most_taken(facts: HostFacts) -> int | None:
    """Return the share of the range that the worst destination has taken, in percent; None where it is not known."""
    found = PortRange.of(facts)
    if found is None or facts.sockets is None:
        return None
    return round(max(_shares(found, facts.sockets.peers), default=0.0))


def _shares(found: PortRange, peers: Iterable[PeerUse]) -> Iterable[float]:
    return (found.share(peer) for peer in peers)


def _text(facts: HostFacts, key: str) -> str | None:
    reading = facts.sysctl.get(key)
    return reading.text if isinstance(reading, Value) else None
