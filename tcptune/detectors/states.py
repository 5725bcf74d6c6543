"""Sockets that stay where they should not: CLOSE-WAIT, FIN-WAIT-2, and full receive queues."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, NotKnown, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.sockets import SocketState, StateOwner

FIN_TIMEOUT = "net.ipv4.tcp_fin_timeout"
ZERO_WINDOW = "TcpExt.TCPToZeroWindowAdv"
_SURE_S = 60
_FEW = 0.02
_FULL_BYTES = 16384
"""Of one connection: what is unread of a program that is at work is less (tcp_rmem begins with 131072)."""


def close_wait(case: Case) -> Iterator[Seen]:
    """Name the processes that do not close what their peers have ended."""
    for now, was in _held(case, SocketState.CLOSE_WAIT, "close-waits"):
        if now.pid is None and was < case.bound("close-waits"):
            # Of several programs together, a few of each come and go.
            continue
        stays = now.quiet_s is not None and now.quiet_s >= max(case.elapsed_s, _SURE_S)
        grows = now.sockets - was
        if not stays and grows < case.bound("close-waits") and was < case.bound("close-waits"):
            continue
        if now.quiet_s is not None and now.quiet_s < case.elapsed_s and grows < case.bound("close-waits"):
            # None of them was there in the first sample: they come and go.
            continue
        told = now.sockets - now.unread >= case.bound("close-waits")
        if not told and grows < case.bound("close-waits") and now.sockets < _FEW * _working(case, now):
            # The end waits to be read: long answers, whose clients have ended their half, make a few.
            continue
        yield Seen(
            cause="state.close_wait_leak",
            confidence=_sure(now) if (stays and told) or _leaks(case, now, was) else Confidence.LIKELY,
            because="no kernel timer ends them"
            + (f"; one has been there for {now.quiet_s:.0f} s" if now.quiet_s else "")
            + (f", and there are {grows} more than in the first sample" if grows > 0 else ""),
            evidence=(_count(case, now, "close-waits"), *_quiet(now)),
            about=_named(now),
            here={RemedyKind.APP: f"{now.name or 'the process'} has to close {now.sockets} ended connections"},
            ruled_out=("state.fin_wait2", "timeout.idle_dead_peer"),
        )


def _working(case: Case, one: StateOwner) -> int:
    """Return the connections of the same process that both ends keep open."""
    return sum(other.sockets for other in _owners(case, SocketState.ESTABLISHED) if other.pid == one.pid)


def _leaks(case: Case, now: StateOwner, was: int) -> bool:
    """Say whether those of the first sample are still there, and many more came."""
    many = case.bound("close-waits")
    return was >= many and now.sockets - was >= many and (now.quiet_s or 0) >= case.elapsed_s


def fin_wait2(case: Case) -> Iterator[Seen]:
    """Name half-closed connections: those of a process, and those that the kernel alone holds."""
    alone = case.sockets.unowned(SocketState.FIN_WAIT2)
    if alone >= case.bound("fin-waits"):
        period = case.number(FIN_TIMEOUT)
        yield Seen(
            cause="state.fin_wait2",
            confidence=Confidence.LIKELY,
            because="the kernel holds them until the peer closes, or until its own timeout",
            evidence=(
                Evidence(
                    source=Source.SOCKETS,
                    name="FIN-WAIT-2 without a process",
                    value=alone,
                    unit="sockets",
                    threshold=case.bound("fin-waits"),
                ),
                case.setting(FIN_TIMEOUT),
            ),
            settings=(
                Proposal(
                    key=FIN_TIMEOUT,
                    operator=Operator.AT_MOST,
                    value="30",
                    actual=str(period),
                    why="peers leave their half open, and each such connection is kept for as long",
                ),
            )
            if period is not None and period > 30
            else (),
            ruled_out=("state.fin_wait2_owned", "state.close_wait_leak"),
        )
    for now, _ in _held(case, SocketState.FIN_WAIT2, "half-closed"):
        if now.quiet_s is not None and now.quiet_s >= max(case.elapsed_s, _SURE_S):
            yield Seen(
                cause="state.fin_wait2_owned",
                confidence=_sure(now),
                because=f"a process has them, so no kernel timeout ends them; one has waited for {now.quiet_s:.0f} s",
                evidence=(_count(case, now, "half-closed"), *_quiet(now)),
                about=_named(now),
                ruled_out=("state.fin_wait2", "state.close_wait_leak"),
            )


def slow_readers(case: Case) -> Iterator[Seen]:
    """Name the processes that do not read what has arrived."""
    closing = case.rate(ZERO_WINDOW) >= case.bound("closed-windows") and case.share_of_opens(
        case.grown(ZERO_WINDOW)
    ) >= case.bound("closed-windows-share")
    dropped = case.grown_if_counted("TcpExt.TCPRcvQDrop") + case.grown_if_counted("TcpExt.PruneCalled")
    dropping = dropped / case.elapsed_s >= case.bound("closed-windows")
    if not closing and not dropping:
        return
    evidence = tuple(case.seen_if_counted(ZERO_WINDOW, "TcpExt.PruneCalled", "TcpExt.TCPRcvQDrop"))
    before = {one.pid: one.unread_bytes for one in _owners(case, SocketState.ESTABLISHED, first=True)}
    full = [
        one
        for one in _owners(case, SocketState.ESTABLISHED)
        if min(one.unread_bytes, before.get(one.pid, 0)) >= max(case.bound("unread-bytes"), one.unread * _FULL_BYTES)
    ]
    for one in full:
        yield Seen(
            cause="perf.slow_reader",
            confidence=_sure(one),
            because="its receive queues were full in both samples, and the kernel "
            + ("closes windows" if closing else "throws away what arrives"),
            evidence=(
                Evidence(
                    source=Source.SOCKETS,
                    name=f"{_named(one)}, arrived and not read",
                    value=one.unread_bytes,
                    unit="bytes",
                    threshold=case.bound("unread-bytes"),
                ),
                *evidence,
            ),
            about=_named(one),
            ruled_out=("perf.window_limited",),
        )
    if not full and closing:
        yield Seen(
            cause="perf.slow_reader",
            confidence=Confidence.LIKELY,
            because="the kernel closes windows; whose, the two samples do not show",
            evidence=evidence,
        )


def _held(case: Case, state: SocketState, bound: str) -> Iterator[tuple[StateOwner, int]]:
    """Yield the owners of enough sockets in a state, with how many those had in the first sample. Raises NotKnown."""
    now = _owners(case, state)
    before = {one.pid: one.sockets for one in _owners(case, state, first=True)}
    for one in now:
        if one.sockets >= case.bound(bound):
            yield one, before.get(one.pid, 0)
    held = case.sockets.count(state) - case.sockets.unowned(state)
    if not case.sockets.owners_known and held - sum(one.sockets for one in now) >= case.bound(bound):
        raise NotKnown(f"{held} sockets are in {state}, and whose they are was not told")


def _owners(case: Case, state: SocketState, *, first: bool = False) -> list[StateOwner]:
    sockets = case.sockets_before if first else case.sockets
    return [one for one in sockets.owners if one.state is state and one.owned]


def _sure(one: StateOwner) -> Confidence:
    # All that have no name are counted together: none of them alone may have many.
    return Confidence.LIKELY if one.pid is None else Confidence.HIGH


def _count(case: Case, one: StateOwner, bound: str) -> Evidence:
    return Evidence(
        source=Source.SOCKETS,
        name=f"{_named(one)}, {one.state}",
        value=one.sockets,
        unit="sockets",
        threshold=case.bound(bound),
    )


def _quiet(one: StateOwner) -> Iterator[Evidence]:
    if one.quiet_s is not None:
        yield Evidence(
            source=Source.SOCKETS, name="the longest without a word", value=round(one.quiet_s, 1), unit="seconds"
        )


def _named(one: StateOwner) -> str:
    return f"{one.name or 'process'} ({one.pid})" if one.pid is not None else "processes that were not seen"
