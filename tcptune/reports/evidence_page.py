"""What was read for a diagnosis, as part of one host's page. It shows numbers and judges none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tcptune.domain.facts import HostFacts
from tcptune.domain.port_room import port_room
from tcptune.domain.sockets import KeepAlive, PeerUse, SocketProcess, Sockets, SocketState, StateOwner
from tcptune.domain.strain import Drops, KernelLog, Pressure
from tcptune.reports.layout import aligned, count

_ROWS = 10
_TRAFFIC = frozenset({"rx_packets", "tx_packets", "carrier_changes"})
_MIB = 2**20


def evidence(facts: HostFacts) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield the name of each section that was read, and its lines."""
    if facts.sockets is not None:
        yield "sockets", _sockets(facts.sockets, port_room(facts))
    if facts.pressure is not None:
        yield "pressure", _pressure(facts.pressure, facts.system.page_size_bytes)
    if facts.drops is not None:
        yield "drops", _drops(facts.drops)
    if facts.kernel_log is not None:
        yield "kernel_log", _log(facts.kernel_log)


def _sockets(found: Sockets, room: int | None) -> Iterator[str]:
    notes = [*found.notes, *([f"{found.unlisted} more were not looked at"] if found.unlisted else [])]
    source = "ss" if found.source == "ss" else "/proc/net/tcp"
    yield f"sockets, as {source} tells{_noted(notes)}"
    yield from aligned(
        (one.state, str(one.sockets), f"{one.unowned} of no process" if one.unowned else "") for one in found.states
    )
    yield from aligned(
        [
            ("keepalive", _keepalive(found.keepalive)),
            ("retransmitting", f"{found.retransmitting}, at most {found.most_retransmissions} times in a row"),
            ("peer takes no data", str(found.zero_window)),
        ]
    )
    yield from _cut(
        "opened from here to",
        [("from", "to", "ports used", "retransmitting", "states"), *(_peer(peer, room) for peer in found.peers)],
        found.peers_left_out,
    )
    yield from _cut(
        "come in on",
        [
            ("port", "wait for accept()", "for", "unread", "retransmitting", "states"),
            *(
                (
                    *(str(p.port), str(p.unaccepted), _duration(p.waiting_s)),
                    *(str(p.unread), str(p.retransmitting), _states(p.states)),
                )
                for p in found.ports
            ),
        ],
        found.ports_left_out,
    )
    processes = {process.pid: process for process in found.processes}
    yield from _cut(
        "held by",
        [
            ("process", "state", "sockets", "unread", "longest quiet", "open files"),
            *(_owner(one, processes.get(one.pid or 0)) for one in found.owners),
        ],
        found.owners_left_out,
    )


def _cut(title: str, rows: Sequence[tuple[str, ...]], left_out: int) -> Iterator[str]:
    if len(rows) == 1:
        return
    yield f"  {title}"
    yield from aligned(rows[: _ROWS + 1], indent="    ")
    more = left_out + max(0, len(rows) - 1 - _ROWS)
    if more:
        yield f"    and {more} more"


def _keepalive(found: KeepAlive) -> str:
    parts = [f"on for {found.on}, off for {found.off} established"]
    if found.unknown:
        parts.append(f"not known for {found.unknown}")
    if found.soonest_s is not None and found.latest_s is not None:
        parts.append(f"next probes in {found.soonest_s:.0f} to {found.latest_s:.0f} s")
    if found.unanswered:
        parts.append(f"{found.unanswered} had no answer to the last one")
    return ", ".join(parts)


def _peer(peer: PeerUse, room: int | None) -> tuple[str, ...]:
    used = str(peer.in_range) if room is None else f"{peer.in_range} of {room}"
    to = f"[{peer.address}]:{peer.port}" if ":" in peer.address else f"{peer.address}:{peer.port}"
    return (peer.local, to, used, str(peer.retransmitting), _states(peer.states))


def _owner(owner: StateOwner, process: SocketProcess | None) -> tuple[str, ...]:
    nobody = "not known" if owner.owned else "no process"
    who = nobody if owner.pid is None else f"{owner.name} {owner.pid}"
    files = ""
    if process is not None and process.open_files is not None:
        limit = process.nofile_soft if process.nofile_soft is not None else "?"
        files = f"{process.open_files} of {limit}"
    return (who, owner.state, str(owner.sockets), str(owner.unread), _duration(owner.quiet_s), files)


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"


def _states(states: Mapping[SocketState, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in states.items())


def _pressure(found: Pressure, page_bytes: int | None) -> Iterator[str]:
    yield "what TCP takes, of what it may"
    limit = found.tcp_mem_pages[2] if found.tcp_mem_pages else None
    rows = [
        ("memory of TCP", _of(found.tcp_pages, limit, "pages")),
        ("orphans", _of(found.orphans, found.max_orphans)),
        ("TIME_WAIT", _of(found.time_waits, found.max_time_waits)),
        ("open files", _of(found.open_files, found.max_files)),
    ]
    if found.memory_bytes is not None and found.available_bytes is not None:
        known = found.tcp_pages is not None and page_bytes is not None
        tcp = f", TCP has {(found.tcp_pages or 0) * (page_bytes or 0) / _MIB:.0f} MiB" if known else ""
        free = f"{found.available_bytes / _MIB:.0f} of {found.memory_bytes / _MIB:.0f} MiB available{tcp}"
        rows.append(("memory", free))
    since = {
        "pages swapped out": found.swapped_out_pages,
        "killed for want of memory": found.oom_kills,
        "refusals of the neighbour table": found.neighbours_refused,
    }
    told = ", ".join(f"{name} {'not known' if number is None else number}" for name, number in since.items())
    yield from aligned([*rows, ("since boot", told)])


def _of(number: int | None, limit: int | None, unit: str = "") -> str:
    if number is None:
        return "not known"
    bound = "" if limit is None else f" of {limit}"
    return f"{number}{bound}{f' {unit}' if unit else ''}"


def _drops(found: Drops) -> Iterator[str]:
    yield f"drops, since boot{_noted(found.notes)}"
    rows = [
        (f"processor {cpu.cpu}", f"dropped {cpu.dropped}, out of time {cpu.time_squeeze}, of {cpu.processed}")
        for cpu in found.softnet
        if cpu.dropped or cpu.time_squeeze
    ]
    for link in found.links:
        bad = [f"{name} {number}" for name, number in link.counts.items() if number and name not in _TRAFFIC]
        if bad:
            rows.append((link.name, ", ".join(bad)))
    yield from aligned(rows) or ["  none"]
    if left_out := found.links_left_out + found.cpus_left_out:
        yield f"  and {left_out} more that were not looked at"


def _log(found: KernelLog) -> Iterator[str]:
    since = "" if found.since_s is None else f", from {found.since_s:.0f} s after boot on"
    where = "dmesg" if found.source == "dmesg" else "the journal"
    yield f"kernel's log ({count(found.lines, 'line')} of {where}{since})"
    yield from aligned((one.message, count(one.lines, "time"), _text(found, one.message)) for one in found.counts) or [
        "  nothing that bears on TCP"
    ]


def _text(found: KernelLog, message: str) -> str:
    texts = [line.text for line in found.newest if line.message == message]
    return texts[-1] if texts else ""


def _noted(notes: Iterable[str]) -> str:
    said = "; ".join(notes)
    return f" ({said})" if said else ""
