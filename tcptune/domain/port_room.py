"""How many local ports a host has for connections to one destination."""

from __future__ import annotations

from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.ports import ports
from tcptune.domain.values import numbers

_RANGE = "net.ipv4.ip_local_port_range"
_RESERVED = "net.ipv4.ip_local_reserved_ports"


def port_room(facts: HostFacts) -> int | None:
    """Return the size of ip_local_port_range without the reserved ports within it; None where either is not known.

    So many connections can be open at once, TIME_WAIT included, from one local address to one address and port:
    `PeerUse.in_range` is to be compared with it. A connection that reuses a port in TIME_WAIT (tcp_tw_reuse) is not
    held up by it.
    """
    span, reserved = facts.sysctl.get(_RANGE), facts.sysctl.get(_RESERVED)
    if not isinstance(span, Value) or not isinstance(reserved, Value):
        return None
    ends = numbers(span.text)
    if ends is None or len(ends) != 2:
        return None
    low, high = ends
    try:
        taken = sum(1 for port in ports(reserved.text) if low <= port <= high)
    except ValueError:
        return None
    return max(0, high - low + 1 - taken)
