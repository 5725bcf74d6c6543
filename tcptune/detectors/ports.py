"""Local ports towards one destination, and the many in TIME-WAIT that do no harm."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.port_use import RANGE, RESERVED, REUSE, TIMESTAMPS, PortRange
from tcptune.domain.ports import folded
from tcptune.domain.sockets import PeerUse, SocketState

WIDE = (10240, 65535)
_KUBERNETES = frozenset({"kubelet", "kube-proxy", "k3s", "k3s-server", "k3s-agent", "rke2", "k0s"})
_NODE_PORTS = range(30000, 32768)
"""What Kubernetes gives to services unless told otherwise. Rules redirect the packets, and nothing listens there."""


def exhausted(case: Case) -> Iterator[Seen]:
    """Name the destinations that have taken all ports of the range, or nearly."""
    peers = case.sockets.peers
    found = PortRange.of(case.second)
    if found is None:
        return
    for peer in peers:
        if found.share(peer) >= case.bound("ports-near"):
            yield _found(case, peer, found)


def time_waits(case: Case) -> Iterator[Seen]:
    """Tell many connections in TIME-WAIT for what they are: harmless, where no table and no port range is full."""
    level = (case.second.counters or {}).get("sockstat.TCP.tw", 0)
    if level < case.bound("time-waits") or case.grown("TcpExt.TCPTimeWaitOverflow"):
        return
    found = PortRange.of(case.second)
    size = found.size if found is not None else 0
    most = max((peer.in_range for peer in case.sockets.peers), default=0)
    if size and 100 * most / size >= case.bound("ports-near"):
        return
    yield Seen(
        cause="state.time_wait_many",
        confidence=Confidence.HIGH,
        because="no table overflows, and no destination takes many of the ports",
        evidence=(
            Evidence(source=Source.COUNTER, name="sockstat.TCP.tw", value=level, unit="sockets"),
            case.seen("TcpExt.TCPTimeWaitOverflow"),
            Evidence(source=Source.SOCKETS, name="most of one destination", value=most, unit="ports", threshold=size),
        ),
        ruled_out=("port_exhaustion", "reset.tw_overflow"),
        harmless=True,
    )


def _found(case: Case, peer: PeerUse, found: PortRange) -> Seen:
    used, size = found.held(peer), found.size
    full = found.share(peer) >= case.bound("ports-used")
    waits = peer.states.get(SocketState.TIME_WAIT, 0)
    about = f"{peer.local} to {peer.address}:{peer.port}"
    return Seen(
        cause="port_exhaustion",
        confidence=Confidence.HIGH if full else Confidence.POSSIBLE,
        because="every port of the range is taken" if full else "the next burst takes the rest of the range",
        evidence=(
            Evidence(
                source=Source.SOCKETS, name=f"{about}, local ports", value=used, unit="ports", threshold=float(size)
            ),
            Evidence(source=Source.SOCKETS, name=f"{about}, in TIME-WAIT", value=waits, unit="sockets"),
            case.setting(RANGE),
            case.setting(REUSE),
        ),
        about=about,
        here={
            RemedyKind.APP: f"keep connections to {peer.address}:{peer.port} open and use them again: "
            f"{waits} of {used} are in TIME-WAIT",
            RemedyKind.SYSCTL: f"{RANGE} = {WIDE[0]} {WIDE[1]}, with the ports of listeners reserved",
        },
        settings=tuple(_proposals(case, waits, found.reserved)),
        ruled_out=("state.time_wait_many", "bind.address_in_use"),
    )


def _proposals(case: Case, waits: int, reserved: frozenset[int]) -> Iterator[Proposal]:
    ends = case.numbers(RANGE) or WIDE
    actual = case.text(RANGE)
    low, high = min(ends[0], WIDE[0]), max(ends[1], WIDE[1])
    if (low, high) != tuple(ends):
        yield Proposal(
            key=RANGE,
            operator=Operator.WIDEN,
            value=f"{low} {high}",
            actual=actual,
            why="one destination takes every local port",
        )
        taken = {one.port for one in case.second.listeners.listeners} if case.second.listeners else set()
        if any(process.name in _KUBERNETES for process in case.processes.values()):
            taken |= set(_NODE_PORTS)
        if inside := {port for port in taken if low <= port <= high} - reserved:
            yield Proposal(
                key=RESERVED,
                operator=Operator.INCLUDES,
                value=folded(inside),
                actual=case.text(RESERVED),
                why="programs or services have these ports: the wider range must not take them away",
            )
    # Without timestamps no port is taken again, whatever is set.
    if waits and case.text(TIMESTAMPS) != "0" and case.text(REUSE) not in {None, "1"}:
        yield Proposal(
            key=REUSE,
            operator=Operator.EXACTLY,
            value="1",
            actual=case.text(REUSE),
            why="ports in TIME-WAIT are taken again after a second; both ends need timestamps",
        )
