"""One host's facts as a page for a person. What is not known is said, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tcptune.domain.facts import Absent, Collected, HostFacts, System, Unread, Unreadable, Value
from tcptune.domain.state import Conntrack, Link, Links, Listeners, Rival, Rivals
from tcptune.reports.evidence_page import evidence
from tcptune.reports.layout import aligned, count, visible

_TOLD = (
    "Tcp.CurrEstab",
    "sockstat.TCP.tw",
    "sockstat.TCP.orphan",
    "sockstat.TCP.mem",
    "Tcp.ActiveOpens",
    "Tcp.PassiveOpens",
    "Tcp.RetransSegs",
    "TcpExt.ListenOverflows",
    "TcpExt.ListenDrops",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.TCPTimeWaitOverflow",
    "softnet_stat.dropped",
    "softnet_stat.time_squeeze",
)
"""Counters worth a line on the page; the JSON lines hold all."""


def render(one: Collected) -> str:
    """Return the page, with an empty line at its end."""
    if isinstance(one, Unread):
        hint = f"\n    try: {one.hint}" if one.hint else ""
        return visible(f"? {one.host}  could not be read: {one.error}{hint}\n\n")
    return visible("\n".join([*_lines(one), "", ""]))


def _lines(facts: HostFacts) -> Iterator[str]:
    yield f"{facts.host}  read {facts.collected_at:%Y-%m-%d %H:%M:%S} UTC as uid {facts.system.user}"
    yield from aligned(_system(facts.system))
    yield from _settings(facts)
    if facts.config_files is not None:
        closed = [file.path for file in facts.config_files if file.content is None]
        yield f"  other files  {len(facts.config_files)} read{_noted(f'closed: {path}' for path in closed)}"
    for section, lines in (
        ("links", _links(facts.links)),
        ("listeners", _listeners(facts.listeners)),
        ("counters", _counters(facts.counters)),
        ("conntrack", _conntrack(facts.conntrack)),
        ("rivals", _rivals(facts.rivals)),
        *evidence(facts),
    ):
        if section not in facts.gaps:
            yield from lines
    yield from aligned(("?", section, f"not known: {why}") for section, why in facts.gaps.items())


def _system(system: System) -> Iterator[tuple[str, str]]:
    yield "kernel", f"{system.kernel} ({' '.join([system.distribution, system.version]).strip()})"
    memory = f"{system.memory_bytes / 2**30:.1f} GiB" if system.memory_bytes is not None else "memory not known"
    cpus = count(system.cpus, "processor") if system.cpus is not None else "processors not known"
    yield "machine", f"{memory}, {cpus}"
    if virtual := system.virtualization:
        inside = [
            *([f"{virtual.container} container"] if virtual.container else []),
            *([f"{virtual.machine} virtual machine"] if virtual.machine else []),
        ]
        kind = ", inside of: ".join(inside) or "no sign of a container or virtual machine"
        unread = [f"could not look at {sign}" for sign in virtual.unread]
        yield "inside", f"{kind}{_noted([*virtual.signs, *unread])}"
    if space := system.namespace:
        what = {True: "a child namespace", False: "the machine's own", None: "not known"}[space.child]
        yield "network", f"{what} ({space.sign})"
    if system.systemd is not None:
        yield "boots with", "systemd-sysctl" if system.systemd else "procps or nothing (systemd is not PID 1)"
    if system.uptime_s is not None:
        yield "up", f"{system.uptime_s // 86400} days {system.uptime_s % 86400 // 3600} h"


def _settings(facts: HostFacts) -> Iterator[str]:
    kinds: dict[type, int] = {}
    for reading in facts.sysctl.values():
        kinds[type(reading)] = kinds.get(type(reading), 0) + 1
    read_only = sum(1 for reading in facts.sysctl.values() if isinstance(reading, Value) and not reading.writable)
    parts = [f"{kinds.get(Value, 0)} read"]
    if facts.system.user == "0":
        parts.append(f"{read_only} of them read-only")
    parts += [f"{kinds[kind]} {word}" for kind, word in ((Absent, "absent"), (Unreadable, "closed")) if kind in kinds]
    files = "" if facts.boot_gap else f"; {count(len(facts.sysctl_files), 'file')} that a boot may read"
    yield f"  settings  {', '.join(parts)}{files}"


def _links(links: Links | None) -> Iterator[str]:
    if links is None:
        return
    yield f"links{_noted(links.notes)}"
    yield from aligned([("name", "state", "MTU", "Mbit/s", "errors and drops"), *map(_link, links.links)])
    if links.left_out:
        yield f"  and {links.left_out} more"


def _link(link: Link) -> tuple[str, ...]:
    bad = {
        "rx errors": link.rx_errors,
        "rx dropped": link.rx_dropped,
        "tx errors": link.tx_errors,
        "tx dropped": link.tx_dropped,
    }
    told = ", ".join(f"{name} {number}" for name, number in bad.items() if number) or "none"
    return (link.name, link.operstate or "?", _known(link.mtu), _known(link.speed_mbps, "-"), told)


def _listeners(listeners: Listeners | None) -> Iterator[str]:
    if listeners is None:
        return
    yield f"listeners, as {'ss' if listeners.source == 'ss' else '/proc/net/tcp'} tells{_noted(listeners.notes)}"
    processes = {process.pid: process for process in listeners.processes}
    rows = [("address", "port", "waiting", "backlog", "process (open files allowed)")]
    for one in listeners.listeners:
        who = []
        for pid in one.pids:
            process = processes.get(pid)
            unit = f" {process.unit}" if process and process.unit else ""
            limit = f" ({process.nofile_soft})" if process and process.nofile_soft is not None else ""
            who.append(f"{process.name if process else 'pid'} {pid}{unit}{limit}")
        if one.pids_left_out:
            who.append(f"{one.pids_left_out} more")
        rows.append((one.address, str(one.port), str(one.queue), _known(one.backlog), ", ".join(who) or "?"))
    yield from aligned(rows)
    if listeners.left_out:
        yield f"  and {listeners.left_out} more"


def _counters(counters: dict[str, int] | None) -> Iterator[str]:
    if counters is None:
        return
    yield "counters, since boot or the namespace's beginning"
    yield from aligned((name, str(counters[name])) for name in _TOLD if name in counters)


def _conntrack(conntrack: Conntrack | None) -> Iterator[str]:
    if conntrack is None:
        return
    if not conntrack.loaded:
        yield "connection tracking  not loaded"
    else:
        numbers = f"{_known(conntrack.count)} of {_known(conntrack.max)}, {_known(conntrack.buckets)} buckets"
        yield f"connection tracking  loaded, {numbers}"


def _rivals(rivals: Rivals | None) -> Iterator[str]:
    if rivals is None:
        return
    yield f"others who may write settings{_noted(rivals.notes)}"
    yield from aligned((rival.name, rival_state(rival)) for rival in rivals.found) or ["  none seen"]


def rival_state(rival: Rival) -> str:
    """Say whether a rival runs, starts at boot, what it is set to, and which files of it are there."""
    running = {True: "running", False: "not running", None: "running or not is not known"}[rival.running]
    detail = f"profile {rival.detail}" if rival.name == "tuned" and rival.detail else rival.detail
    parts = [running, *(["starts at boot"] if rival.enabled else []), *([detail] if detail else [])]
    return ", ".join([*parts, *rival.files])


def _known(number: int | None, otherwise: str = "?") -> str:
    return otherwise if number is None else str(number)


def _noted(notes: Iterable[str]) -> str:
    said = "; ".join(notes)
    return f" ({said})" if said else ""
