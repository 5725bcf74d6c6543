"""One flow under judgement: how its ends and packets are called."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from tcptune.captures.flows import Flow
from tcptune.captures.sides import SECOND, Mark, Side
from tcptune.domain.captures import CaptureFinding, Seen
from tcptune.domain.causes import Confidence

MIDDLEBOX = "a middlebox"
Hearing = Callable[[bytes, int], Mark | None]
"""Address and port -> the last packet from there on any connection."""
Naming = Callable[[int], str]
"""Number of a packet over all files -> what it is called."""


def endpoint(side: Side) -> str:
    """Return 'address:port'; an IPv6 address in brackets."""
    return f"{host(side.address)}:{side.port}"


def host(address: bytes) -> str:
    """Return an address of 4 or 16 bytes as text."""
    text = str(ip_address(address))
    return f"[{text}]" if ":" in text else text


class Case:
    """A flow that left the table at `until_ns`: nothing after that was seen of it."""

    def __init__(
        self, flow: Flow, *, start_ns: int, until_ns: int, naming: Naming, heard_of: Hearing | None = None
    ) -> None:
        self.flow = flow
        self._heard_of = heard_of
        self.until_ns = until_ns
        self._start_ns = start_ns
        self._naming = naming

    @property
    def name(self) -> str:
        """Return 'client > server'."""
        return f"{endpoint(self.flow.client)} > {endpoint(self.flow.server)}"

    def role(self, side: Side) -> str:
        """Return 'the client' or 'the server'."""
        return "the client" if side is self.flow.client else "the server"

    def seen(self, mark: Mark | None, what: str) -> tuple[Seen, ...]:
        """Return a packet as evidence; nothing where there is none."""
        if mark is None:
            return ()
        time_s = round((mark.time_ns - self._start_ns) / SECOND, 6)
        return (Seen(packet=self._naming(mark.number), time_s=time_s, what=what),)

    def elsewhere(self, side: Side, since: Mark) -> Mark | None:
        """Return a packet by which an end still spoke on another connection after `since`, where it did."""
        found = self._heard_of(side.address, side.port) if self._heard_of else None
        mine = side.last.number if side.last is not None else 0
        return found if found is not None and found.number > max(mine, since.number) else None

    def waited_s(self, mark: Mark) -> float:
        """Return for how long after a packet the flow was watched."""
        return max(0.0, (self.until_ns - mark.time_ns) / SECOND)

    def finding(
        self,
        cause: str,
        confidence: Confidence,
        by: str,
        what: str,
        *,
        signs: tuple[str, ...] = (),
        seen: tuple[Seen, ...] = (),
    ) -> CaptureFinding:
        """Return a finding on this flow."""
        return CaptureFinding(
            cause=cause, confidence=confidence, flow=self.name, by=by, what=what, signs=signs, seen=seen
        )
