"""Connections that this host opens and that fail: refused, no route, dropped on the way, or late."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Source
from tcptune.domain.sockets import PeerUse, SocketState

FAILS = "Tcp.AttemptFails"
SYN_RETRANS = "TcpExt.TCPSynRetrans"
ROUTELESS = "Ip.OutNoRoutes"
_MOST_NAMED = 3
_ITSELF = ", and this host sent as many itself"
_OR_ELSE = "; a firewall that resets, or one that sends ICMP over IPv6, gives these, too"


def judge(case: Case) -> Iterator[Seen]:
    """Name why connections that this host opens fail."""
    active = case.grown("Tcp.ActiveOpens")
    # A reset in SYN-RECV counts as a failed attempt, too: that one was a client's.
    fails = max(0, case.grown(FAILS) - case.grown("TcpExt.EmbryonicRsts"))
    waiting = list(_waiting(case))
    # A SYN is repeated at least twice before it is given up.
    gave_up = min(fails, case.grown("TcpExt.TCPAbortOnTimeout"), case.grown(SYN_RETRANS) // 2)
    refused = fails - gave_up
    if waiting or _many(case, gave_up, active):
        yield _dropped(case, waiting, gave_up)
    # Without a route connect() fails before the kernel counts an attempt (tcp_v4_connect).
    routeless = case.grown_if_counted(ROUTELESS)
    if routeless / case.elapsed_s >= case.bound("routeless") and _many(case, routeless, active + routeless):
        yield Seen(
            cause="noroute.firewall_or_route",
            confidence=Confidence.LIKELY,
            because="the kernel counts connections and datagrams that it has no route for",
            evidence=(case.seen(ROUTELESS, "routeless"), case.seen("Tcp.ActiveOpens")),
        )
    if _many(case, refused, active):
        yield _refused(case, refused)
    elif not waiting and not _many(case, gave_up, active):
        yield from _late(case, active)


def _many(case: Case, failed: int, active: int) -> bool:
    return failed >= case.bound("attempts") and 100 * failed / max(1, active) >= case.bound("failed-attempts")


def _waiting(case: Case) -> Iterator[PeerUse]:
    """Yield the destinations that do not answer SYNs, and answer nothing else either."""
    if case.second.sockets is None:
        return
    for peer in case.second.sockets.peers:
        unanswered = peer.states.get(SocketState.SYN_SENT, 0)
        if (
            unanswered >= case.bound("stuck-sockets")
            and peer.retransmitting >= case.bound("stuck-sockets")
            and unanswered > peer.states.get(SocketState.ESTABLISHED, 0)
        ):
            yield peer


def _dropped(case: Case, waiting: list[PeerUse], gave_up: int) -> Seen:
    evidence = [*case.seen_if_counted(SYN_RETRANS, "TcpExt.TCPAbortOnTimeout", FAILS)]
    evidence += [
        Evidence(
            source=Source.SOCKETS,
            name=f"{_named(peer)}, in SYN-SENT",
            value=peer.states[SocketState.SYN_SENT],
            unit="sockets",
            threshold=case.bound("stuck-sockets"),
        )
        for peer in waiting[:_MOST_NAMED]
    ]
    said = f"{len(waiting)} destinations answer no SYN" if len(waiting) > 1 else "SYNs are repeated without an answer"
    return Seen(
        cause="connect_timeout.drop",
        confidence=Confidence.LIKELY,
        because=said + (f"; {gave_up} attempts were given up" if gave_up else ""),
        evidence=tuple(evidence) or (case.seen("Tcp.ActiveOpens"),),
        about=_named(waiting[0]) if len(waiting) == 1 else None,
        here={RemedyKind.NETWORK: f"capture here and at {waiting[0].address}: where is the SYN lost?"}
        if waiting
        else {},
        ruled_out=("connect_latency.steps",),
    )


def _refused(case: Case, refused: int) -> Seen:
    unreachable = case.grown_if_counted("Icmp.InDestUnreachs")
    evidence = (
        case.seen(FAILS),
        case.seen("Tcp.ActiveOpens"),
        *case.seen_if_counted("Icmp.InDestUnreachs", "Icmp.OutDestUnreachs", "Tcp.OutRsts"),
    )
    # Where nobody next door answers for an address, the kernel sends itself the ICMP message (arp_error_report).
    if min(unreachable, case.grown_if_counted("Icmp.OutDestUnreachs")) * 2 >= refused:
        return Seen(
            cause="noroute.firewall_or_route",
            confidence=Confidence.LIKELY,
            because="attempts fail, with an ICMP message each that this host sent itself: next door nobody answers for "
            "the address",
            evidence=evidence,
        )
    if unreachable * 2 >= refused:
        return Seen(
            cause="refused.firewall_reject",
            confidence=Confidence.LIKELY,
            because="attempts fail at once, with an ICMP message each: a router without a route sends such, too",
            evidence=evidence,
        )
    # Where both ends are this host, it counts the resets that it sent itself.
    here = case.grown("Tcp.OutRsts") >= refused
    return Seen(
        cause="refused.closed_port",
        confidence=Confidence.LIKELY,
        because=f"attempts fail at once, by a reset{_ITSELF if here else _OR_ELSE}",
        evidence=evidence,
        ruled_out=("refused.firewall_reject",) if here else (),
    )


def _late(case: Case, active: int) -> Iterator[Seen]:
    """Name SYNs that were answered the second or third time."""
    repeated = case.grown(SYN_RETRANS)
    opens = max(1, case.opens)
    # The counter holds SYN-ACKs as well: only where this host mostly opens connections does it speak of SYNs.
    if repeated < case.bound("attempts") or active * 2 < opens or case.grown("TcpExt.ListenOverflows"):
        return
    if 100 * repeated / opens >= case.bound("syn-retransmissions"):
        yield Seen(
            cause="connect_latency.steps",
            confidence=Confidence.LIKELY,
            because="SYNs are repeated, and hardly an attempt fails: the answer comes to a later one",
            evidence=(case.seen(SYN_RETRANS), case.seen("Tcp.ActiveOpens"), case.seen(FAILS)),
            ruled_out=("connect_timeout.drop",),
        )


def _named(peer: PeerUse) -> str:
    return f"{peer.address}:{peer.port}"
