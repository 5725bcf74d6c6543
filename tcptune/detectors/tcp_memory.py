"""Memory and orphans of TCP as a whole, and the buffers of single connections."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, NotKnown, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.sockets import SocketState
from tcptune.domain.strain import KernelMessage, Pressure

ABORTS = "TcpExt.TCPAbortOnMemory"
MAX_ORPHANS = "net.ipv4.tcp_max_orphans"
TCP_MEM = "net.ipv4.tcp_mem"
RMEM = "net.ipv4.tcp_rmem"
WMEM = "net.ipv4.tcp_wmem"
WANT_ZERO = "TcpExt.TCPWantZeroWindowAdv"
_ORPHAN_BYTES = 65536
_MOST_OF_MEMORY = 0.5
"""Of what all orphans could take; tcp_mem ends them long before."""
_USUAL_RMEM = 6291456
_USUAL_WMEM = 4194304
_USUAL_PARTS = (0.046, 0.0625, 0.093)
"""Of the memory: what the kernel gives tcp_mem by itself (net/ipv4/tcp.c, tcp_init_mem)."""


def orphans_and_memory(case: Case) -> Iterator[Seen]:
    """Name limits of TCP as a whole that are reached."""
    aborts = case.rate(ABORTS) >= case.bound("memory-aborts")
    orphan_lines = case.logged(KernelMessage.TOO_MANY_ORPHANS)
    memory_lines = case.logged(KernelMessage.TCP_OUT_OF_MEMORY)
    pressures = case.grown_if_counted("TcpExt.TCPMemoryPressures")
    evidence = [case.seen(ABORTS, "memory-aborts")]
    evidence += case.seen_if_counted("TcpExt.TCPMemoryPressures", "TcpExt.TCPAbortFailed")
    if case.second.pressure is None and aborts:
        yield _seen("the kernel counts connections that it cut off", Confidence.HIGH, evidence)
    now = case.pressure
    crowd = _share(now.orphans, now.max_orphans) >= case.bound("orphans-share")
    level = now.tcp_pages is not None and now.tcp_mem_pages is not None
    pressed = level and (now.tcp_pages or 0) >= (now.tcp_mem_pages or (0, 1, 0))[1]
    refused = level and (now.tcp_pages or 0) >= (now.tcp_mem_pages or (0, 0, 1))[2]
    if not (aborts or orphan_lines or memory_lines or crowd or pressed or pressures):
        return
    evidence += _levels(now)
    sure = aborts or bool(orphan_lines or memory_lines) or refused
    of_orphans = crowd or orphan_lines or (aborts and not (pressed or pressures or memory_lines))
    yield _seen(
        _why(cut=aborts, orphans=bool(of_orphans), memory=bool(pressed or pressures or memory_lines)),
        Confidence.HIGH if sure else Confidence.LIKELY,
        evidence,
        settings=tuple(_orphan_limit(case, now) if of_orphans else _memory_limit(case, now)),
    )


def buffers(case: Case) -> Iterator[Seen]:
    """Name send buffers that hold connections back, and receive buffers that are smaller than what was promised."""
    limited = case.second.sockets.send_buffer_limited if case.second.sockets is not None else None
    least = case.bound("buffer-limited")
    if limited is not None and limited >= least and not _lowered(case, WMEM, _USUAL_WMEM):
        # Of very many downloads a few are always held back by the largest buffer that there is.
        least = max(least, case.sockets.count(SocketState.ESTABLISHED) * case.bound("buffer-limited-share") / 100)
    if limited is not None and limited >= least:
        held = Evidence(
            source=Source.SOCKETS,
            name="held back by the send buffer",
            value=limited,
            unit="connections",
            threshold=round(least),
        )
        yield _too_small(case, WMEM, _USUAL_WMEM, "connections wait for their own send buffer half of the time", held)
    # A few dozen uploads at once make as many with the buffers that the kernel gives by itself.
    if case.rate(WANT_ZERO) >= case.bound("overfull-windows") and _lowered(case, RMEM, _USUAL_RMEM):
        overfull = case.seen(WANT_ZERO, "overfull-windows")
        yield _too_small(case, RMEM, _USUAL_RMEM, "windows are full all the time", overfull)


def _too_small(case: Case, key: str, usual: int, because: str, evidence: Evidence) -> Seen:
    """Return the cause; likely where the kernel's limit was lowered. Raises NotKnown."""
    sizes, small = _sizes(case, key), _lowered(case, key, usual)
    wanted = f"{sizes[0]} {sizes[1]} {usual}"
    why = "buffers are smaller than what the path holds"
    return Seen(
        cause="perf.window_limited",
        confidence=Confidence.LIKELY if small else Confidence.POSSIBLE,
        because=because + (f", and no buffer may be larger than {sizes[2]}" if small else ""),
        evidence=(evidence, case.setting(key)),
        here={RemedyKind.SYSCTL: f"{key} = {wanted} at least"} if small else {},
        settings=(Proposal(key=key, operator=Operator.AT_LEAST, value=wanted, actual=case.text(key), why=why),)
        if small
        else (),
    )


def _sizes(case: Case, key: str) -> tuple[int, ...]:
    sizes = case.numbers(key)
    if sizes is None or len(sizes) != 3:
        raise NotKnown(f"{key} is not three numbers here")
    return sizes


def _lowered(case: Case, key: str, usual: int) -> bool:
    """Say whether no buffer may grow to what the kernel allows by itself. Raises NotKnown."""
    return _sizes(case, key)[2] < usual


def _seen(because: str, sure: Confidence, evidence: list[Evidence], settings: tuple[Proposal, ...] = ()) -> Seen:
    return Seen(
        cause="reset.orphan_or_memory",
        confidence=sure,
        because=because,
        evidence=tuple(evidence),
        here={RemedyKind.SYSCTL: "; ".join(f"{one.key} = {one.value}" for one in settings)} if settings else {},
        settings=settings,
    )


def _why(*, cut: bool, orphans: bool, memory: bool) -> str:
    reason = " and ".join(
        part for part, there in (("too many orphans", orphans), ("too little memory for TCP", memory)) if there
    )
    return f"{reason}; the kernel cuts connections off" if cut else reason


def _share(used: int | None, most: int | None) -> float:
    return 100 * used / most if used is not None and most else 0.0


def _levels(now: Pressure) -> Iterator[Evidence]:
    if now.orphans is not None and now.max_orphans is not None:
        yield Evidence(
            source=Source.MEMORY, name="orphans", value=now.orphans, unit="sockets", threshold=float(now.max_orphans)
        )
    if now.tcp_pages is not None and now.tcp_mem_pages is not None:
        yield Evidence(
            source=Source.MEMORY,
            name="memory of TCP",
            value=now.tcp_pages,
            unit="pages",
            threshold=float(now.tcp_mem_pages[1]),
        )


def _orphan_limit(case: Case, now: Pressure) -> Iterator[Proposal]:
    memory = case.memory_bytes
    if now.max_orphans and memory is not None and 2 * now.max_orphans * _ORPHAN_BYTES <= _MOST_OF_MEMORY * memory:
        yield Proposal(
            key=MAX_ORPHANS,
            operator=Operator.AT_LEAST,
            value=str(2 * now.max_orphans),
            actual=case.text(MAX_ORPHANS),
            why="connections that no process holds any more are cut off; each takes up to 64 KiB",
        )


def _memory_limit(case: Case, now: Pressure) -> Iterator[Proposal]:
    """Propose what the kernel gives by itself, where somebody has taken some of it away."""
    memory, page = case.second.system.memory_bytes, case.second.system.page_size_bytes
    if not memory or not page or now.tcp_mem_pages is None:
        return
    usual = [int(part * memory / page) for part in _USUAL_PARTS]
    if now.tcp_mem_pages[2] < usual[2] * 0.8:
        yield Proposal(
            key=TCP_MEM,
            operator=Operator.AT_LEAST,
            value=" ".join(map(str, usual)),
            actual=case.text(TCP_MEM),
            why="TCP as a whole is short of memory, and its limit is below what the kernel gives by itself",
        )
