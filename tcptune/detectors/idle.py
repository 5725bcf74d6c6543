"""Connections that get no answer any more: a peer that is gone, or a path that forgot them while they were idle."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, NotKnown, Seen
from tcptune.detectors.resets import many_received
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.sockets import PeerUse, PortUse, SocketState, StateOwner
from tcptune.domain.surroundings import IdleTimeout
from tcptune.knowledge.surroundings import idle_timeouts

KEEPALIVE = "net.ipv4.tcp_keepalive_time"
ESTABLISHED_TIMEOUT = "net.netfilter.nf_conntrack_tcp_timeout_established"
GIVEN_UP = "TcpExt.TCPAbortOnTimeout"
INVALID = "nf_conntrack.invalid"
LOOSE = "net.netfilter.nf_conntrack_tcp_loose"
_PICKED_UP = "1"
"""Of nf_conntrack_tcp_loose, and the kernel's default."""
_PASSING = (
    SocketState.SYN_SENT,
    SocketState.SYN_RECV,
    SocketState.FIN_WAIT1,
    SocketState.CLOSING,
    SocketState.LAST_ACK,
)
_SHORT_S = 86400
"""Below a day somebody has lowered it: the kernel's default is five."""
_PART = 0.6
"""Of a timeout: two probes fit into it."""
_FEWEST_FILES = 1024
"""What a process may open where nobody has raised it."""


def unanswered(case: Case) -> Iterator[Seen]:
    """Name peers that answer nothing on connections that were established."""
    stuck = list(_stuck(case))
    given_up = max(0, case.grown(GIVEN_UP) - case.grown("Tcp.AttemptFails"))
    many = given_up >= case.bound("attempts") and case.share_of_opens(given_up) >= case.bound("timeouts-share")
    if not stuck and not many:
        return
    counted = (*case.seen_if_counted(GIVEN_UP, "TcpExt.TCPTimeouts"), *case.seen_if_counted("TcpExt.TCPKeepAlive"))
    shown = tuple(
        Evidence(
            source=Source.SOCKETS,
            name=f"{_named(one)}, sent again {one.most_retransmissions} times in a row",
            value=one.retransmitting,
            unit="connections",
            threshold=case.bound("stuck-sockets"),
        )
        for one in stuck[:3]
    )
    # The peer is there where other connections to it work: then the path has forgotten these. Clients are many peers.
    alive = [
        one
        for one in stuck
        if isinstance(one, PeerUse) and one.states.get(SocketState.ESTABLISHED, 0) > one.retransmitting
    ]
    forgotten = bool(alive) and len(alive) == len(stuck)
    known = _timeout(case)
    yield Seen(
        cause="reset.l4_idle_middlebox" if forgotten else "timeout.peer_vanished",
        confidence=Confidence.LIKELY,
        because="some connections are not answered while others with the same end work: the path has forgotten them"
        if forgotten
        else "established connections are not answered any more",
        evidence=(*shown, *counted, case.setting(KEEPALIVE)),
        about=_named(stuck[0]) if len(stuck) == 1 else None,
        here=_advice(known) if forgotten else {},
        settings=_keepalive(case, known) if forgotten else (),
    )


def forgotten(case: Case) -> Iterator[Seen]:
    """Name a cloud that forgets idle connections, where resets come in and nothing keeps connections awake."""
    timeout, period = _timeout(case), case.number(KEEPALIVE)
    if timeout is None or period is None or period < timeout.seconds or case.grown("TcpExt.TCPKeepAlive"):
        return
    if not many_received(case):
        return
    yield Seen(
        cause="reset.l4_idle_middlebox",
        confidence=Confidence.POSSIBLE,
        because=f"resets come in, and no connection is probed within the {timeout.seconds} s of {timeout.name}",
        evidence=(
            case.seen("Tcp.EstabResets", "received-resets"),
            case.seen("TcpExt.TCPKeepAlive"),
            Evidence(
                source=Source.SETTING, name=KEEPALIVE, value=period, unit="seconds", threshold=float(timeout.seconds)
            ),
        ),
        here=_advice(timeout),
        settings=_keepalive(case, timeout),
    )


def dead_peers(case: Case) -> Iterator[Seen]:
    """Name processes whose files are nearly all idle connections that nothing ever probes."""
    sockets = case.sockets
    alive = sockets.keepalive
    watched = alive.on + alive.off
    if case.grown("TcpExt.TCPKeepAlive") or not watched or alive.on > watched * 0.1:
        return
    processes = {one.pid: one for one in sockets.processes}
    for owner in sockets.owners:
        process = processes.get(owner.pid) if owner.pid is not None else None
        if owner.state is not SocketState.ESTABLISHED or process is None or not process.nofile_soft:
            continue
        silent = owner.quiet_s is not None and owner.quiet_s >= case.bound("silence")
        if silent and 100 * owner.sockets / process.nofile_soft >= case.bound("files-near"):
            yield Seen(
                cause="timeout.idle_dead_peer",
                confidence=Confidence.POSSIBLE,
                because="established connections take its files, and nothing would tell if their peers were dead",
                evidence=(
                    Evidence(
                        source=Source.SOCKETS,
                        name=f"{owner.name} ({owner.pid}), established",
                        value=owner.sockets,
                        unit="sockets",
                        threshold=float(process.nofile_soft),
                    ),
                    Evidence(
                        source=Source.SOCKETS,
                        name="the longest without a word",
                        value=round(owner.quiet_s or 0),
                        unit="seconds",
                        threshold=case.bound("silence"),
                    ),
                    Evidence(source=Source.SOCKETS, name="without keepalive", value=alive.off, unit="sockets"),
                    case.seen("TcpExt.TCPKeepAlive"),
                ),
                about=f"{owner.name} ({owner.pid})",
            )
    unseen = sum(one.sockets for one in sockets.owners if _silent_and_unseen(case, one))
    if 100 * unseen / _FEWEST_FILES >= case.bound("files-near"):
        raise NotKnown(f"this login does not see who holds {unseen} connections that nothing probes", root=True)


def _silent_and_unseen(case: Case, one: StateOwner) -> bool:
    hidden = case.plain and one.owned and one.pid is None and one.state is SocketState.ESTABLISHED
    return hidden and one.quiet_s is not None and one.quiet_s >= case.bound("silence")


def tracking(case: Case) -> Iterator[Seen]:
    """Name connection tracking that forgets idle connections, or takes what it sees for invalid."""
    if case.second.conntrack is not None and not case.second.conntrack.loaded:
        return
    if not case.has(INVALID) or case.rate(INVALID) < case.bound("invalid-packets"):
        return
    lasts, period = case.number(ESTABLISHED_TIMEOUT), case.number(KEEPALIVE)
    if lasts is not None and period is not None and lasts < _SHORT_S and lasts <= period:
        yield _lowered(case, lasts)
        if case.text(LOOSE) != _PICKED_UP:
            return
    liberal = "net.netfilter.nf_conntrack_tcp_be_liberal"
    if case.text(liberal) == "0" and many_received(case):
        yield Seen(
            cause="reset.conntrack_invalid",
            confidence=Confidence.LIKELY,
            because="packets are taken for invalid, and resets come in",
            evidence=(case.seen(INVALID, "invalid-packets"), case.seen("Tcp.EstabResets"), case.setting(liberal)),
            settings=(
                Proposal(
                    key=liberal,
                    operator=Operator.EXACTLY,
                    value="1",
                    actual="0",
                    why="packets outside the window are left untranslated, and their peers answer with resets",
                ),
            ),
        )


def _lowered(case: Case, lasts: int) -> Seen:
    wanted = max(60, int(lasts * _PART))
    return Seen(
        cause="reset.conntrack_lowered",
        # Where the next segment makes a new entry, it is not what is taken for invalid.
        confidence=Confidence.POSSIBLE if case.text(LOOSE) == _PICKED_UP else Confidence.LIKELY,
        because=f"entries of idle connections go after {lasts} s, and the kernel probes none before"
        + (f"; {LOOSE} is 1, so the next segment makes a new one" if case.text(LOOSE) == _PICKED_UP else ""),
        evidence=(case.seen(INVALID, "invalid-packets"), case.setting(ESTABLISHED_TIMEOUT), case.setting(KEEPALIVE)),
        here={RemedyKind.SYSCTL: f"{ESTABLISHED_TIMEOUT} = {_SHORT_S}, or {KEEPALIVE} = {wanted}"},
        settings=(
            Proposal(
                key=ESTABLISHED_TIMEOUT,
                operator=Operator.AT_LEAST,
                value=str(_SHORT_S),
                actual=str(lasts),
                why="connections that are idle for longer are forgotten, and their next segment is invalid",
            ),
        ),
    )


def _stuck(case: Case) -> Iterator[PeerUse | PortUse]:
    sockets = case.sockets
    both: tuple[PeerUse | PortUse, ...] = (*sockets.peers, *sockets.ports)
    for one in both:
        # Those that begin or end wait for a SYN-ACK or for the answer to a FIN: a full accept queue makes such, too.
        waiting = sum(one.states.get(state, 0) for state in _PASSING)
        least = case.bound("stuck-sockets")
        if isinstance(one, PortUse):
            # Among many clients some have always lost their network.
            least = max(least, one.sockets * case.bound("timeouts-share") / 100)
        many = one.retransmitting - waiting >= least
        if many and one.most_retransmissions >= case.bound("stuck-retransmissions"):
            yield one


def _named(one: PeerUse | PortUse) -> str:
    return f"{one.address}:{one.port}" if isinstance(one, PeerUse) else f"clients of port {one.port}"


def _timeout(case: Case) -> IdleTimeout | None:
    virtual = case.second.system.virtualization
    machine = virtual.machine if virtual is not None else None
    return next((one for one in idle_timeouts() if one.machine == machine), None)


def _advice(known: IdleTimeout | None) -> dict[RemedyKind, str]:
    if known is None:
        return {}
    return {
        RemedyKind.APP: f"TCP_KEEPIDLE below {known.seconds} s: {known.name} forgets then",
        RemedyKind.SYSCTL: f"{KEEPALIVE} = {int(known.seconds * _PART)}, for programs that switch keepalive on",
    }


def _keepalive(case: Case, known: IdleTimeout | None) -> tuple[Proposal, ...]:
    period = case.number(KEEPALIVE)
    if known is None or period is None or period < known.seconds:
        return ()
    return (
        Proposal(
            key=KEEPALIVE,
            operator=Operator.AT_MOST,
            value=str(int(known.seconds * _PART)),
            actual=str(period),
            why=f"{known.name} forgets connections that are idle for {known.seconds} s",
        ),
    )
