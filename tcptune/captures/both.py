"""Captures of both ends: what one has and the other lacks proves what happened between them.

A connection is found again by its client's initial sequence number, so that NAT on the way does no harm; one whose
beginning was not captured by its addresses and ports. Nothing is concluded of a flow that the other end has not
captured at all, nor of a time at which the other capture had not begun. Whether it still ran after its last packet no
file tells: what is missing there is no more than likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tcptune.captures.cases import MIDDLEBOX, Case, Naming, endpoint
from tcptune.captures.flows import Flow
from tcptune.captures.sides import SECOND, Side
from tcptune.domain.captures import UNKNOWN, CaptureFinding
from tcptune.domain.causes import Confidence

RECORDS = 200_000
"""Flows that are remembered of each end: about 500 bytes each, so 100 MB."""
_TROUBLED = 20_000
"""Of these, how many that were reset or never answered are kept whole, to be looked for at the other end."""

_AFTERWARDS_NS = 10 * SECOND
"""So long after its last packet a capture is believed to have still been running."""

_Identity = tuple[object, ...]


class Record(NamedTuple):
    """What is kept of a flow to compare it."""

    first_ns: int
    answered: bool
    """Whether the server said anything."""
    resets: tuple[tuple[bool, int], ...]
    """Whose: True is the client's; and their sequence numbers."""
    all_resets: bool
    """Whether these are all there were."""
    flow: Flow | None
    """Where it was reset or never answered."""


class End:
    """One end's flows, by what both ends know them by."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.flows: dict[_Identity, Record] = {}
        self.left_out = 0
        """Flows that were more than can be remembered: nothing is concluded of them."""
        self._troubled = 0

    def remember(self, flow: Flow) -> None:
        """Remember a flow that is over."""
        client, server = flow.client, flow.server
        troubled = bool(client.resets or server.resets or not server.segments)
        if len(self.flows) >= RECORDS or (troubled and self._troubled >= _TROUBLED):
            self.left_out += 1
            return
        self._troubled += troubled
        resets = tuple((side is client, one.seq) for side in (client, server) for one in side.resets)
        self.flows[identity(flow)] = Record(
            flow.first.time_ns,
            bool(server.segments),
            resets,
            len(resets) == client.resets_seen + server.resets_seen,
            flow if troubled else None,
        )


def identity(flow: Flow) -> _Identity:
    """Return what a connection is known by at both ends."""
    if flow.opened:
        return ("isn", flow.client.isn, flow.server.port)
    return ("ends", flow.client.address, flow.client.port, flow.server.address, flow.server.port)


class Watched(NamedTuple):
    """An end, when its capture began and ended, and how its packets are called."""

    end: End
    start_ns: int
    last_ns: int
    naming: Naming


def compare(client: Watched, server: Watched, shift_ns: int) -> Iterator[CaptureFinding]:
    """Yield what the two captures prove together. `shift_ns` is by how much the server's clock is ahead."""
    ports = {key[2] for key in client.end.flows.keys() & server.end.flows.keys() if key[0] == "isn"}
    for here, there, shift, near_client in ((client, server, shift_ns, True), (server, client, -shift_ns, False)):
        for key, record in here.end.flows.items():
            flow = record.flow
            if flow is None:
                continue
            case = Case(flow, start_ns=here.start_ns, until_ns=here.last_ns, naming=here.naming)
            other = there.end.flows.get(key)
            far = flow.server if near_client else flow.client
            if far.resets:
                yield from _reset(case, far, other, here, there, shift)
            if near_client:
                yield from _opening(case, other, there, shift, known_path=flow.server.port in ports)


def _reset(
    case: Case, sender: Side, other: Record | None, here: Watched, there: Watched, shift_ns: int
) -> Iterator[CaptureFinding]:
    reset = sender.resets[0]
    seen = case.seen(reset.at, f"RST of {endpoint(sender)}, in {here.end.name}")
    sure = _sure(there, reset.at.time_ns + shift_ns)
    if other is None or sure is None:
        return
    if (sender is case.flow.client, reset.seq) in other.resets:
        what = f"the host of {endpoint(sender)} sent this reset: it is in {there.end.name}, too"
        yield case.finding("reset.sent_by_its_host", Confidence.HIGH, endpoint(sender), what, seen=seen)
        return
    if other.all_resets:
        what = f"{endpoint(sender)} did not send this reset: {there.end.name} has the connection, and not the reset"
        yield case.finding("reset.security_device", sure, MIDDLEBOX, what, signs=_ended(sure, there), seen=seen)


def _opening(
    case: Case, other: Record | None, there: Watched, shift_ns: int, *, known_path: bool
) -> Iterator[CaptureFinding]:
    flow = case.flow
    if not flow.opened or flow.server.segments or flow.server.resets or len(flow.client.opening) < 2:
        return
    if flow.client.last_ack is not None:
        return  # it was answered, and the capture does not have that
    first = flow.client.opening[0]
    seen = case.seen(first, "SYN")
    sure = _sure(there, first.time_ns + shift_ns)
    if sure is None:
        return
    if other is None:
        if there.end.left_out or not there.end.flows:
            return
        # A proxy or a firewall that changes sequence numbers hides a connection, but then all to that port.
        what = f"the SYNs to {endpoint(flow.server)} never reached the other end: dropped on the way there"
        confidence = sure if known_path else Confidence.POSSIBLE
        yield case.finding("connect_timeout.drop", confidence, UNKNOWN, what, signs=_ended(sure, there), seen=seen)
    elif other.answered:
        what = f"{endpoint(flow.server)} answered the SYN, and the answer was dropped on the way back"
        yield case.finding("connect_timeout.drop", Confidence.HIGH, UNKNOWN, what, seen=seen)
    else:
        what = f"the SYNs reached the host of {endpoint(flow.server)}, and it did not answer"
        signs = _ended(sure, there)
        yield case.finding("connect_timeout.drop", sure, endpoint(flow.server), what, signs=signs, seen=seen)


def _sure(there: Watched, time_ns: int) -> Confidence | None:
    """Return how sure it is that a capture was going on at a time; None where it was not, or long over."""
    if there.start_ns - SECOND <= time_ns <= there.last_ns:
        return Confidence.HIGH
    return Confidence.LIKELY if there.last_ns < time_ns <= there.last_ns + _AFTERWARDS_NS else None


def _ended(sure: Confidence, there: Watched) -> tuple[str, ...]:
    return (
        () if sure is Confidence.HIGH else (f"{there.end.name} has no later packet: whether it still ran is not known",)
    )


def clock_shift(client: Mapping[_Identity, Record], server: Mapping[_Identity, Record]) -> int:
    """Return how much later the server's clock is, from connections that both have: the median of up to a thousand."""
    shifts = []
    for key, record in client.items():
        if key[0] == "isn" and key in server:
            shifts.append(server[key].first_ns - record.first_ns)
            if len(shifts) >= 1000:
                break
    return sorted(shifts)[len(shifts) // 2] if shifts else 0
