"""Limits of open files, of one process and of the host; and memory that runs out."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors import kernel_log
from tcptune.detectors.case import Case, NotKnown, Seen, power_of_two
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, NofileProposal, Operator, Proposal, Source
from tcptune.domain.sockets import SocketState
from tcptune.domain.state import Process
from tcptune.domain.strain import KernelMessage
from tcptune.knowledge.surroundings import program

FILE_MAX = "fs.file-max"
NR_OPEN = "fs.nr_open"
_USUAL = 65536
_MOST_OF_THEM = 0.5
_SHOWN = 4


def files(case: Case) -> Iterator[Seen]:
    """Name processes that have as many files open as they may, or nearly."""
    unknown = 0
    for process in case.processes.values():
        if process.open_files is None or process.nofile_soft is None:
            unknown += not _far_below(case, process)
            continue
        share = 100 * process.open_files / max(1, process.nofile_soft)
        if share >= case.bound("files-near"):
            yield _emfile(case, process, full=share >= case.bound("files-used"))
    if case.plain and (hidden := _hidden(case)):
        raise NotKnown(f"this login does not see whose files those are: {hidden}", root=True)
    if not case.processes and case.listeners.listeners:
        raise NotKnown("processes that listen were not seen: that takes root on the host, as --become gives it")
    if unknown:
        raise NotKnown(f"open files of {unknown} processes were not counted: this login may not look", root=case.plain)


def host_files(case: Case) -> Iterator[Seen]:
    """Name a host whose table of open files is full."""
    pressure = case.pressure
    if pressure.open_files is None or not pressure.max_files:
        raise NotKnown("open files of the host were not counted")
    share = 100 * pressure.open_files / pressure.max_files
    logged = case.logged(KernelMessage.FILE_MAX)
    if share < case.bound("host-files-used") and not logged:
        return
    yield Seen(
        cause="limit.enfile",
        confidence=Confidence.HIGH,
        because="the kernel says so in its log" if logged else "the table is full for everybody but root",
        evidence=(
            Evidence(
                source=Source.LIMIT,
                name="open files of the host",
                value=pressure.open_files,
                unit="files",
                threshold=float(pressure.max_files),
            ),
        ),
        here={RemedyKind.SYSCTL: f"{FILE_MAX} = {2 * pressure.max_files}"},
        settings=(
            Proposal(
                key=FILE_MAX,
                operator=Operator.AT_LEAST,
                value=str(2 * pressure.max_files),
                actual=case.text(FILE_MAX),
                why=f"{pressure.open_files} files are open, and {pressure.max_files} may be",
            ),
        ),
        ruled_out=("limit.emfile",),
    )


def memory(case: Case) -> Iterator[Seen]:
    """Name a host that kills processes for memory, or swaps all the time."""
    now, was = case.pressure, case.pressure_before
    kills = _grown(was.oom_kills, now.oom_kills)
    logged = case.logged(KernelMessage.OOM_KILLER)
    if kernel_log.of_a_group(case):
        # The group's limit was reached, and the host may have memory in plenty.
        kills = logged = 0
    swapped = _grown(was.swapped_in_pages, now.swapped_in_pages) + _grown(was.swapped_out_pages, now.swapped_out_pages)
    short = (
        now.available_bytes is not None
        and now.memory_bytes is not None
        and 100 * now.available_bytes / max(1, now.memory_bytes) < case.bound("memory-available")
    )
    rate = swapped / case.elapsed_s
    if not kills and not logged and not (short and rate >= case.bound("swapped-pages")):
        return
    evidence = [
        Evidence(source=Source.MEMORY, name="processes killed for memory", value=kills, unit="processes"),
        Evidence(
            source=Source.MEMORY,
            name="swapped in and out",
            value=round(rate, 1),
            unit="pages per second",
            threshold=case.bound("swapped-pages"),
        ),
    ]
    if now.available_bytes is not None:
        evidence.append(
            Evidence(source=Source.MEMORY, name="memory available", value=now.available_bytes, unit="bytes")
        )
    unread = case.second.kernel_log is None or case.shares_log
    yield Seen(
        cause="limit.memory_swap",
        confidence=Confidence.HIGH if logged or (kills and (short or not unread)) else Confidence.LIKELY,
        because=_for_memory(sure=short or not unread) if kills or logged else "it swaps, and memory is short",
        evidence=tuple(evidence),
    )


def _for_memory(*, sure: bool) -> str:
    said = "the kernel killed a process for memory"
    return said if sure else f"{said}: the host's, or that of a group alone; its log, which tells, was not read"


def _hidden(case: Case) -> str:
    """Return what is held open by processes that only root sees, in words; nothing where there is none."""
    listeners = case.second.listeners.listeners if case.second.listeners else ()
    ports = [str(port) for port in sorted({one.port for one in listeners if not one.pids})]
    more = f" and {len(ports) - _SHOWN} more" if len(ports) > _SHOWN else ""
    owners = case.second.sockets.owners if case.second.sockets else ()
    held = sum(one.sockets for one in owners if one.owned and one.pid is None)
    parts = [f"listeners on port {', '.join(ports[:_SHOWN])}{more}"] if ports else []
    return " and ".join([*parts, *([f"{held} connections"] if held else [])])


def _far_below(case: Case, process: Process) -> bool:
    """Say whether the table of open files was never so large that the limit is near."""
    most, soft = process.open_files_at_most, process.nofile_soft
    return most is not None and soft is not None and 100 * most / max(1, soft) < case.bound("files-near")


def _grown(before: int | None, after: int | None) -> int:
    return max(0, after - before) if before is not None and after is not None else 0


def _emfile(case: Case, process: Process, *, full: bool) -> Seen:
    soft, used = process.nofile_soft or 0, process.open_files or 0
    most = case.number(NR_OPEN) if case.text(NR_OPEN) is not None else None
    wanted = max(_USUAL, power_of_two(2 * soft))
    if most is not None:
        wanted = min(wanted, most)
    more = wanted > soft
    name = f"{process.name} ({process.pid})"
    dead = _ended_sockets(case, process.pid)
    leaks = dead >= _MOST_OF_THEM * used
    lowered = _by_itself(case, process)
    here = {
        RemedyKind.LIMIT: _raised(process, wanted, lowered)
        if more or lowered is not None
        else f"{NR_OPEN} is {most}: no process can be allowed more, so raise that first",
    }
    if leaks:
        here[RemedyKind.APP] = f"{dead} of its {used} files are connections in CLOSE-WAIT: a higher limit delays it"
    return Seen(
        cause="limit.emfile",
        confidence=Confidence.HIGH if full else Confidence.POSSIBLE,
        because="its next accept(), socket() or open() fails" if full else "the next burst takes the rest",
        evidence=(
            Evidence(source=Source.LIMIT, name=f"{name}, open files", value=used, unit="files", threshold=float(soft)),
            *case.seen_if_counted("TcpExt.ListenOverflows"),
        ),
        about=name,
        here=here,
        nofile=None
        if leaks or lowered is not None or not more
        else NofileProposal(
            process=process.name,
            at_least=wanted,
            actual=soft,
            why=f"{used} files are open, and {soft} may be: accept() fails at the limit",
        ),
        ruled_out=("limit.enfile",),
    )


def _by_itself(case: Case, process: Process) -> int | None:
    """Return what another process of the same service may open, where that is more: this one has set its own limit."""
    others = [
        one.nofile_soft
        for one in case.processes.values()
        if (one.name, one.unit) == (process.name, process.unit) and one.nofile_soft is not None
    ]
    most = max(others, default=0)
    return most if most > (process.nofile_soft or 0) else None


def _raised(process: Process, wanted: int, lowered: int | None) -> str:
    if lowered is None:
        return f"LimitNOFILE={wanted} for {process.unit or process.name}, then a restart"
    known = program(process.name)
    knob = known.files_knob if known is not None else ""
    where = knob.replace(" N", f" {wanted}", 1) if knob else f"{wanted} in the configuration of {process.name}"
    return f"{where}: {process.name} was started with {lowered} and sets this limit itself: LimitNOFILE does not help"


def _ended_sockets(case: Case, pid: int) -> int:
    if case.second.sockets is None:
        return 0
    owners = case.second.sockets.owners
    return sum(one.sockets for one in owners if one.pid == pid and one.state is SocketState.CLOSE_WAIT)
