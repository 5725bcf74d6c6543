"""Connections that end in a reset: who sent it, and why.

OutRsts proves that this host sent resets; the TCPAbort counters say why. EstabResets counts connections that ended
without a FIN, whoever began it. Close with SO_LINGER 0 leaves ESTABLISHED, so both rise; data that meets a socket which
was closed before finds it in FIN-WAIT, and EstabResets stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tcptune.detectors.case import Case, NotKnown, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, NotExplained, Operator, Proposal, Source
from tcptune.domain.state import Listener
from tcptune.domain.strain import KernelMessage

ON_CLOSE = "TcpExt.TCPAbortOnClose"
ON_DATA = "TcpExt.TCPAbortOnData"
ESTAB = "Tcp.EstabResets"
OUT = "Tcp.OutRsts"
MAX_TW = "net.ipv4.tcp_max_tw_buckets"
_MOSTLY = 0.8
_TW_BYTES = 256
_MOST_OF_MEMORY = 0.1
_OWN = (
    ON_CLOSE,
    ON_DATA,
    "TcpExt.TCPAbortOnMemory",
    "TcpExt.TCPAbortOnLinger",
    "TcpExt.TCPTimeWaitOverflow",
    "TcpExt.EmbryonicRsts",
)
_SHOWN = 3


def aborts(case: Case) -> Iterator[Seen]:
    """Name programs that close with unread data, or with SO_LINGER 0, and peers that write after the end."""
    ended = list(_ended(case))
    if sure := _weight(case, ON_CLOSE):
        if ended and case.grown(ON_CLOSE) >= case.bound("attempts"):
            yield _crash(case, ended)
        else:
            yield Seen(
                cause="reset.unread_data_on_close",
                confidence=sure,
                because=f"the kernel counts it: {_share(case, ON_CLOSE)}",
                evidence=(case.seen(ON_CLOSE, "aborts"), case.seen(OUT), case.seen(ESTAB)),
                here=_holders(case),
                ruled_out=("reset.so_linger_zero",),
            )
    if sure := _weight(case, ON_DATA):
        yield _on_data(case, sure)


def closed_queues(case: Case) -> Iterator[Seen]:
    """Name listeners that went away with connections in their queue."""
    now: dict[tuple[str, int], list[Listener]] = {}
    for other in case.listeners.listeners:
        now.setdefault((other.address, other.port), []).append(other)
    gone = [
        one
        for one in case.listeners_before
        if one.queue >= case.bound("attempts") and _missing(one, now.get((one.address, one.port), []))
    ]
    resets = case.grown(OUT) - case.grown(ON_CLOSE) - case.grown(ON_DATA)
    failed = case.grown_if_counted("TcpExt.TCPMigrateReqFailure")
    one = max(gone, key=lambda listener: listener.queue, default=None)
    # Each of them gets one: fewer than half are those of any busy host.
    if one is None or 2 * resets < one.queue:
        return
    yield Seen(
        cause="listen.closed_with_queue",
        confidence=Confidence.LIKELY,
        because="connections waited for accept() when the listener was closed, and resets were sent since",
        evidence=(
            Evidence(
                source=Source.LISTENER, name=f"{one.address}:{one.port}, waiting", value=one.queue, unit="connections"
            ),
            case.seen(OUT),
            *(case.seen_if_counted("TcpExt.TCPMigrateReqFailure") if failed else ()),
        ),
        about=f"{one.address}:{one.port}",
    )


def time_wait_table(case: Case) -> Iterator[Seen]:
    """Name a full table of TIME-WAIT connections."""
    name = "TcpExt.TCPTimeWaitOverflow"
    if case.rate(name) < case.bound("time-wait-overflows"):
        return
    most = case.number(MAX_TW)
    wanted, memory = max(262144, 2 * (most or 0)), case.memory_bytes
    if memory is not None:
        wanted = min(wanted, int(_MOST_OF_MEMORY * memory / _TW_BYTES))
    more = wanted > (most or 0)
    yield Seen(
        cause="reset.tw_overflow",
        confidence=Confidence.HIGH,
        because="the kernel counts it",
        evidence=(case.seen(name, "time-wait-overflows"), case.seen(OUT), case.setting(MAX_TW)),
        here={
            RemedyKind.SYSCTL: f"{MAX_TW} = {wanted}; an entry takes {_TW_BYTES} bytes"
            if more
            else f"{most} entries of {_TW_BYTES} bytes are a tenth of the memory already"
        },
        settings=(
            Proposal(
                key=MAX_TW,
                operator=Operator.AT_LEAST,
                value=str(wanted),
                actual=case.text(MAX_TW),
                why="peers that close late are reset, because the table of TIME-WAIT connections is full",
            ),
        )
        if more
        else (),
        ruled_out=("state.time_wait_many",),
    )


def injected(case: Case) -> Iterator[Seen]:
    """Name resets and SYNs that do not fit the sequence, which the kernel answered with a challenge."""
    name = "TcpExt.TCPChallengeACK"
    many = case.rate(name) >= case.bound("challenge-acks")
    if not many or case.share_of_opens(case.grown(name)) < case.bound("challenge-share") or case.grown(ESTAB) == 0:
        return
    yield Seen(
        cause="reset.security_device",
        confidence=Confidence.POSSIBLE,
        because="segments come in that do not fit the sequence; a peer that was booted sends such, too",
        evidence=(case.seen(name, "challenge-acks"), *case.seen_if_counted("TcpExt.TCPSYNChallenge"), case.seen(ESTAB)),
    )


def received(case: Case) -> int:
    """Return connections that ended by a reset from outside. Raises NotKnown."""
    own = sum(case.grown_if_counted(name) for name in (ON_CLOSE, ON_DATA, "TcpExt.TCPAbortOnTimeout"))
    return max(0, case.grown(ESTAB) - own)


def many_received(case: Case) -> bool:
    """Say whether more connections end by a reset from outside than clients that leave early make. Raises NotKnown."""
    came = received(case)
    often = came / case.elapsed_s >= case.bound("received-resets")
    return often and case.share_of_opens(came) >= case.bound("received-resets-share")


def stray(case: Case) -> int:
    """Return resets that this host sent for sockets that do not exist. Raises NotKnown."""
    return max(0, case.grown(OUT) - sum(case.grown_if_counted(name) for name in _OWN))


def many_stray(case: Case) -> bool:
    """Say whether these are more than scanners and late segments make. Raises NotKnown."""
    sent = stray(case)
    often = sent / case.elapsed_s >= case.bound("stray-resets")
    return often and case.share_of_opens(sent) >= case.bound("stray-resets-share")


def unexplained(case: Case) -> Iterator[NotExplained]:
    """Yield resets that are too many, and whose reason no counter of this host tells."""
    if many_received(case):
        yield NotExplained(
            what="peers, or something between, reset connections of this host",
            evidence=(case.seen(ESTAB, "received-resets"), case.seen(OUT), *case.seen_if_counted(ON_CLOSE, ON_DATA)),
            next="a capture tells who sent them: health checks that end by a reset make such, too; "
            "diagnose the other end as well",
        )
    if many_stray(case):
        yield NotExplained(
            what="this host answers segments for sockets that do not exist",
            evidence=(case.seen(OUT, "stray-resets"), *case.seen_if_counted(*_OWN)),
            next="a capture of resets tells who asks: a closed port, a scan, peers that write after the end, "
            "or segments that come late or twice",
        )


def _weight(case: Case, name: str) -> Confidence | None:
    """Return how sure a count of aborts makes; None for what every busy host has."""
    events, share = case.grown(name), case.share_of_opens(case.grown(name))
    if events < case.bound("attempts") or case.rate(name) < case.bound("aborts"):
        return None
    if share < case.bound("aborts-share"):
        return None
    return Confidence.HIGH if share >= case.bound("aborts-most") else Confidence.LIKELY


def _share(case: Case, name: str) -> str:
    return f"{case.grown(name)} times beside {case.opens} connections that began"


def _on_data(case: Case, sure: Confidence) -> Seen:
    data, close, ended = case.grown(ON_DATA), case.grown(ON_CLOSE), case.grown(ESTAB)
    evidence = (case.seen(ON_DATA, "aborts"), case.seen(ESTAB), case.seen(OUT))
    if ended - close < _MOSTLY * data:
        return Seen(
            cause="reset.write_after_peer_close",
            confidence=Confidence.LIKELY,
            because="data meets sockets that this host has closed before: EstabResets does not rise with it",
            evidence=evidence,
            ruled_out=("reset.so_linger_zero",) if ended - close < data / 2 else (),
        )
    explained = ended <= (data + close) / _MOSTLY
    because = f"connections end by it that were established: {_share(case, ON_DATA)}"
    if _talks_to_itself(case) and case.grown("Tcp.ActiveOpens") >= data / 2:
        # Who writes after the other end's close() counts its reset here, too: once in all, as an abort does alone.
        return Seen(
            cause="reset.so_linger_zero",
            confidence=Confidence.POSSIBLE,
            because=f"{because}; where both ends are on this host, data after a close() makes the same numbers",
            evidence=evidence,
            here=_holders(case),
        )
    # A client that gives up and throws its connection away makes the same numbers, by design.
    thrown = case.grown("Tcp.ActiveOpens") > case.grown("Tcp.PassiveOpens")
    if thrown:
        sure = Confidence.LIKELY
    return Seen(
        cause="reset.so_linger_zero",
        confidence=sure if explained else Confidence.LIKELY,
        because=because + ("; health checks of proxies, and clients that give up, do so by design" if thrown else ""),
        evidence=evidence,
        here=_holders(case),
        ruled_out=("reset.write_after_peer_close", "reset.unread_data_on_close") if explained else (),
    )


def _talks_to_itself(case: Case) -> bool:
    """Say whether connections begin and end on this host, as those of a proxy to the program behind it."""
    seen = (case.first.sockets, case.second.sockets)
    return any(peer.local == peer.address for sockets in seen if sockets is not None for peer in sockets.peers)


def _holders(case: Case) -> dict[RemedyKind, str]:
    """Return whom to ask: the programs with the most connections. Which of them it was, no counter tells."""
    ports = case.second.sockets.ports if case.second.sockets else ()
    listeners = {one.port: one for one in case.second.listeners.listeners} if case.second.listeners else {}
    names = [
        f"{case.processes[pid].name} on port {port.port}"
        for port in ports
        for pid in (listeners[port.port].pids[:1] if port.port in listeners else ())
        if pid in case.processes
    ]
    if not names:
        return {}
    return {RemedyKind.APP: f"look first at {', '.join(names[:_SHOWN])}: they have the most connections"}


def _missing(one: Listener, same: Iterable[Listener]) -> bool:
    """Say whether a listener is gone, or is another program's by now. `same`: what listens there now."""
    return not any(set(one.pids) & set(other.pids) or not one.pids or not other.pids for other in same)


def _ended(case: Case) -> Iterator[str]:
    """Yield listening processes that are gone, by name. None where listeners or processes were not seen.

    One whose ports had far fewer connections than were cut off is not what cut them off.
    """
    if case.first.listeners is None or case.second.listeners is None:
        return
    held = {pid for one in case.second.listeners.listeners for pid in one.pids}
    for process in case.first.listeners.processes:
        if process.pid not in held and held and 2 * _served(case, process.pid) >= case.grown(ON_CLOSE):
            yield process.name


def _served(case: Case, pid: int) -> float:
    """Return how many connections a process's ports had in the first sample; no bound where they were not read."""
    sockets = case.first.sockets
    if sockets is None or sockets.ports_left_out or case.first.listeners is None:
        return math.inf
    served = {one.port for one in case.first.listeners.listeners if pid in one.pids}
    return sum(one.sockets for one in sockets.ports if one.port in served)


def _may_be_killed(case: Case, name: str) -> bool:
    """Say whether the kernel's log names a process among those that it killed for memory, or names none."""
    log = case.second.kernel_log
    lines = [one.text for one in log.newest if one.message is KernelMessage.OOM_KILLER] if log is not None else []
    return not lines or any(f"({name})" in text or f"task={name}," in text for text in lines)


def _crash(case: Case, ended: list[str]) -> Seen:
    killed = case.logged(KernelMessage.OOM_KILLER)
    name = ended[0]
    try:
        kills = (case.pressure.oom_kills or 0) - (case.pressure_before.oom_kills or 0)
    except NotKnown:
        kills = 0
    if not _may_be_killed(case, name):
        killed = kills = 0
    return Seen(
        cause="reset.process_crash",
        confidence=Confidence.HIGH if killed or kills > 0 else Confidence.LIKELY,
        because=f"{name} is gone or another process since the first sample, and sockets were closed with unread data"
        + ("; the kernel killed a process for lack of memory" if killed or kills > 0 else ""),
        evidence=(
            Evidence(source=Source.LISTENER, name="listening process that ended", value=name),
            case.seen(ON_CLOSE, "aborts"),
            case.seen(OUT),
        ),
        about=name,
        ruled_out=("reset.so_linger_zero",),
    )
