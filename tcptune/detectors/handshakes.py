"""Handshakes that come in: the SYN queue, clients that give up, the reverse path filter, tcp_tw_recycle."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, NotExplained, Operator, Proposal, Source
from tcptune.domain.sockets import SocketState
from tcptune.domain.strain import KernelMessage

COOKIES = "net.ipv4.tcp_syncookies"
RP_FILTER = "net.ipv4.conf.all.rp_filter"
RECYCLE = "net.ipv4.tcp_tw_recycle"
_FULL = ("TcpExt.TCPReqQFullDoCookies", "TcpExt.TCPReqQFullDrop")
_DROPS = "TcpExt.ListenDrops"
_OFF, _ALWAYS = "0", "2"
"""Of tcp_syncookies. With 2 every SYN is answered by a cookie and counted as one that met a full queue."""


def syn_queue(case: Case) -> Iterator[Seen]:
    """Name a full SYN queue, and tell a flood from real clients."""
    full = _turned_away(case)
    if full / case.elapsed_s < case.bound("syn-queue-full"):
        if case.text(COOKIES) == _OFF and _dropped(case) / case.elapsed_s >= case.bound("listen-drops"):
            yield _last_quarter(case)
        return
    sent, returned = case.grown("TcpExt.SyncookiesSent"), case.grown("TcpExt.SyncookiesRecv")
    evidence = [*case.seen_if_counted(*_FULL), *case.seen_if_counted("TcpExt.SyncookiesSent", "TcpExt.SyncookiesRecv")]
    here: dict[RemedyKind, str] = {}
    settings: tuple[Proposal, ...] = ()
    because = "the kernel counts it"
    if case.second.sockets is not None:
        half = case.second.sockets.count(SocketState.SYN_RECV)
        evidence.append(Evidence(source=Source.SOCKETS, name="in SYN-RECV", value=half, unit="sockets"))
    if case.text(COOKIES) == _OFF:
        evidence.append(case.setting(COOKIES))
        because += ", and drops the SYNs, for cookies are off"
        here[RemedyKind.SYSCTL] = f"{COOKIES} = 1: a full queue then turns nobody away"
        settings = (_cookies(),)
    if sent:
        percent = 100 * returned / sent
        real = percent >= case.bound("cookies-returned")
        because += f"; {percent:.0f} % of the cookies came back: {'real clients' if real else 'a flood'}"
        if real:
            here[RemedyKind.APP] = "these are real clients: a larger backlog, and a somaxconn that allows it"
        else:
            here[RemedyKind.NETWORK] = f"{sent} cookies sent, {returned} came back: filter the flood before this host"
    sure = Confidence.HIGH
    if overflows(case):
        # Half-open connections pile up behind a full accept queue: the kernel sends cookies, and warns of a flood.
        sure = Confidence.POSSIBLE
        because += "; but the accept queue overflows as well, which a flood does not move"
        here, settings = {}, ()
        evidence.append(case.seen("TcpExt.ListenOverflows", "listen-overflows"))
    yield Seen(
        cause="listen.syn_queue_full",
        confidence=sure,
        because=because,
        evidence=tuple(evidence),
        here=here,
        settings=settings,
    )


def drops(case: Case) -> Iterator[NotExplained]:
    """Yield SYNs that were dropped although no queue was full. Raises NotKnown."""
    if _dropped(case) / case.elapsed_s < case.bound("listen-drops") or case.text(COOKIES) == _OFF:
        return
    yield NotExplained(
        what="connection requests are dropped, and no queue is full",
        evidence=(
            case.seen(_DROPS, "listen-drops"),
            case.seen("TcpExt.ListenOverflows"),
            *case.seen_if_counted(*_FULL),
        ),
        next="perf trace or bpftrace on kfree_skb tells where: no route back to clients, or no memory for a socket",
    )


def _turned_away(case: Case) -> int:
    """Return the SYNs that met a full queue. Raises NotKnown."""
    names = _FULL[1:] if case.text(COOKIES) == _ALWAYS else _FULL
    return sum(case.grown(name) for name in names)


def _dropped(case: Case) -> int:
    """Return the SYNs that were dropped for none of the reasons that have a counter of their own. Raises NotKnown."""
    known = ("TcpExt.ListenOverflows", "TcpExt.TCPReqQFullDrop")
    passive = case.grown_if_counted("TcpExt.PAWSPassive")
    return max(0, case.grown(_DROPS) - sum(case.grown(name) for name in known) - passive)


def _last_quarter(case: Case) -> Seen:
    return Seen(
        cause="listen.syn_queue_full",
        confidence=Confidence.LIKELY,
        because="cookies are off, and SYNs are dropped while no accept queue is full: the last quarter of "
        "tcp_max_syn_backlog is kept for clients that are known already",
        evidence=(case.seen(_DROPS, "listen-drops"), case.seen("TcpExt.ListenOverflows"), case.setting(COOKIES)),
        here={RemedyKind.SYSCTL: f"{COOKIES} = 1: a full queue then turns nobody away"},
        settings=(_cookies(),),
    )


def _cookies() -> Proposal:
    return Proposal(
        key=COOKIES,
        operator=Operator.EXACTLY,
        value="1",
        actual=_OFF,
        why="the SYN queue is full, and without cookies every further client is turned away",
    )


def overflows(case: Case) -> bool:
    """Say whether accept queues overflow, too. Raises NotKnown."""
    return case.rate("TcpExt.ListenOverflows") >= case.bound("listen-overflows")


def cancelled(case: Case) -> Iterator[Seen]:
    """Name clients that answer a SYN-ACK with a reset."""
    resets = case.grown("TcpExt.EmbryonicRsts")
    share = 100 * resets / max(1, case.grown("Tcp.PassiveOpens"))
    if resets / case.elapsed_s < case.bound("embryonic-resets") or share < case.bound("embryonic-share"):
        return
    if case.text("net.ipv4.tcp_abort_on_overflow") == "1" and case.grown("TcpExt.ListenOverflows"):
        return
    yield Seen(
        cause="connect.cancelled_by_client",
        confidence=Confidence.POSSIBLE,
        because="resets meet half-open connections; scanners and health checks that only send SYNs make such, too",
        evidence=(case.seen("TcpExt.EmbryonicRsts", "embryonic-resets"), case.seen("Tcp.PassiveOpens")),
    )


def reverse_path(case: Case) -> Iterator[Seen]:
    """Name packets that the reverse path filter drops."""
    name = "TcpExt.IPReversePathFilter"
    if case.rate(name) < case.bound("reverse-path-drops"):
        return
    strict = case.text(RP_FILTER) == "1"
    martians = case.logged(KernelMessage.MARTIAN) > 0
    yield Seen(
        cause="connect_timeout.rp_filter",
        confidence=Confidence.LIKELY if strict or martians else Confidence.POSSIBLE,
        because="the filter drops packets"
        + (", and it is strict on every interface" if strict else "; which interface is strict was not read")
        + ": forged ones, or those of an asymmetric route",
        evidence=(case.seen(name, "reverse-path-drops"), case.setting(RP_FILTER)),
        here={RemedyKind.SYSCTL: f"{RP_FILTER} = 2, where routes are asymmetric on purpose"} if strict else {},
        settings=(
            Proposal(
                key=RP_FILTER,
                operator=Operator.EXACTLY,
                value="2",
                actual="1",
                why="the strict reverse path filter drops packets whose answers take another interface",
            ),
        )
        if strict
        else (),
    )


def recycle(case: Case) -> Iterator[Seen]:
    """Name tcp_tw_recycle on a kernel that still has it."""
    if case.text(RECYCLE) != "1":
        return
    dropped = case.grown_if_counted("TcpExt.PAWSPassive")
    yield Seen(
        cause="tw_recycle_nat",
        confidence=Confidence.HIGH if dropped else Confidence.POSSIBLE,
        because="the kernel counts SYNs that it ignored for their timestamps"
        if dropped
        else "it is switched on; no SYN was ignored in the window",
        evidence=(case.setting(RECYCLE), *case.seen_if_counted("TcpExt.PAWSPassive")),
        here={RemedyKind.SYSCTL: f"{RECYCLE} = 0, and delete the line from the files"},
        settings=(
            Proposal(
                key=RECYCLE,
                operator=Operator.EXACTLY,
                value="0",
                actual="1",
                why="clients behind one address are ignored by turns",
            ),
        ),
    )
