"""Whether a reset came from whose address it carries.

Nothing in one packet proves it: the signs are weighed. A reset that looks like its host's other packets may still be
forged; captures of both ends decide (see both.py). Sources: N. Weaver, R. Sommer, V. Paxson, Detecting Forged TCP Reset
Packets, NDSS 2009; RFC 7323 section 3.2 for timestamps in resets.
"""

from __future__ import annotations

from typing import NamedTuple

from tcptune.captures.flows import Flow
from tcptune.captures.packets import Way
from tcptune.captures.sides import MILLISECOND, Reset, Side, apart

FORGED = 3
"""From this weight on a reset is taken for somebody else's."""
CERTAIN = 4
_SAME_MOMENT_NS = 100 * MILLISECOND
_HOPS = 1
"""Routes of equal cost may differ by a hop."""
_FIRST_TTLS = (64, 128, 255)


class Weighed(NamedTuple):
    """What speaks for and against a forged reset."""

    weight: int
    signs: tuple[str, ...]
    own: tuple[str, ...]
    """Signs that it is the host's own."""

    @property
    def forged(self) -> bool:
        """Say whether somebody else sent it."""
        return self.weight >= FORGED


def weigh(flow: Flow, side: Side, reset: Reset, host_ttl: int | None) -> Weighed:
    """Weigh the first reset of a side. `host_ttl` is what other flows tell of its host."""
    weight = 0
    signs: list[str] = []
    own: list[str] = []
    usual = side.ttl if side.ttl is not None else host_ttl
    if reset.way is Way.OUT and side.arrived:
        signs.append("the machine that captured sent it; the other packets of its address came there from elsewhere")
        return Weighed(CERTAIN, tuple(signs), ())
    if reset.way is Way.OUT and reset.ttl in _FIRST_TTLS:
        own.append(f"it left the machine that captured it with TTL {reset.ttl}: its own kernel sent it")
        return Weighed(0, (), tuple(own))
    if usual is not None and abs(reset.ttl - usual) > _HOPS:
        weight += 3
        signs.append(f"TTL {reset.ttl}, and {usual} in its host's other packets")
    elif usual is not None:
        own.append(f"TTL {reset.ttl} as in its host's other packets")
    if side.going_on is not None:
        weight += 3
        signs.append("its supposed sender went on afterwards")
    thin = lacks_data(flow, side, reset)
    guesses = {one.seq for one in side.resets if _near(one, reset) and not one.asked and one.seq != one.next_seq}
    if len(guesses) > 1 and not thin:
        weight += 3
        signs.append(f"{len(guesses)} resets with different sequence numbers, none of them the next one")
    elif unfit(reset) and not thin:
        weight += 1
        signs.append("its sequence number is neither the next one nor one that was asked for")
    negotiated = bool(side.stamps and flow.other(side).stamps)
    if negotiated and reset.acks and not reset.stamped and reset.optioned is False:
        weight += 1
        signs.append("no timestamps, though both sides had agreed on them")
    elif reset.stamped:
        own.append("timestamps, as the connection's other segments")
    if side.ids and reset.acks and reset.stamped is False and reset.ip_id == 0:
        weight += 1
        signs.append("IP id 0, though its other packets count")
    if any(_near(one, reset) and not one.asked for one in flow.other(side).resets):
        weight += 1
        signs.append("resets in both directions at the same moment")
    return Weighed(weight, tuple(signs), tuple(own))


def lacks_data(flow: Flow, side: Side, reset: Reset) -> bool:
    """Say whether data passed that the capture does not have, as where only SYN, FIN and RST were captured."""
    other = flow.other(side)
    if side.data_segments or other.data_segments or not flow.opened:
        return False
    ahead = reset.next_seq is not None and apart(reset.seq, reset.next_seq) > 1
    heard = reset.acks and other.next_seq is not None and apart(reset.ack, other.next_seq) > 1
    return bool(ahead or heard or side.holes or other.holes)


def unfit(reset: Reset) -> bool:
    """Say whether a reset's number is one that its sender had no reason to use."""
    if reset.asked or reset.next_seq is None:
        return False
    # A FIN may have been sent and not captured, or captured and counted: one more or less.
    return abs(apart(reset.seq, reset.next_seq)) > 1


def _near(one: Reset, other: Reset) -> bool:
    return abs(one.at.time_ns - other.at.time_ns) <= _SAME_MOMENT_NS
