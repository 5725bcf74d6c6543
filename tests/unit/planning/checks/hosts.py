"""Hosts for tests of checks: a fresh Debian, and what a test changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tcptune.domain.concerns import Concern
from tcptune.domain.facts import HostFacts, Reading
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.profile import Entry
from tcptune.domain.state import Conntrack, Listener, Listeners, Process, Rival, Rivals, TextFile, Virtualization
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tests.unit.builders import facts, profile, rule

GIB = 1 << 30
RESERVED = "net.ipv4.ip_local_reserved_ports"
UNPRIVILEGED = "net.ipv4.ip_unprivileged_port_start"
TIMESTAMPS = "net.ipv4.tcp_timestamps"
TW_REUSE = "net.ipv4.tcp_tw_reuse"
TW_BUCKETS = "net.ipv4.tcp_max_tw_buckets"
TCP_MEM = "net.ipv4.tcp_mem"
WMEM = "net.ipv4.tcp_wmem"
SCALING = "net.ipv4.tcp_window_scaling"
MODERATE = "net.ipv4.tcp_moderate_rcvbuf"
KEEPALIVE = "net.ipv4.tcp_keepalive_time"
INTVL = "net.ipv4.tcp_keepalive_intvl"
CONNTRACK_MAX = "net.netfilter.nf_conntrack_max"
BUCKETS = "net.netfilter.nf_conntrack_buckets"
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"

FRESH = {
    "net.core.somaxconn": "4096",
    "net.ipv4.ip_local_port_range": "32768 60999",
    RESERVED: "",
    UNPRIVILEGED: "1024",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_max_syn_backlog": "1024",
    TIMESTAMPS: "1",
    TW_REUSE: "2",
    TW_BUCKETS: "65536",
    TCP_MEM: "190000 254000 380000",
    "net.ipv4.tcp_rmem": "4096 131072 6291456",
    WMEM: "4096 16384 4194304",
    SCALING: "1",
    MODERATE: "1",
    KEEPALIVE: "7200",
    INTVL: "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    CONNTRACK_MAX: "262144",
    BUCKETS: "262144",
    ESTABLISHED: "432000",
}
"""What Linux 6.12 has with 16 GiB, and nobody touched."""


def listener(
    port: int, backlog: int | None, name: str | None = "nginx", queue: int = 0, address: str = "192.0.2.1"
) -> Any:
    """Return a listener and its process; a process without a name is one that was not seen."""
    pids = () if name is None else (_pid(name),)
    return Listener(address=address, port=port, queue=queue, backlog=backlog, pids=pids), name


def listening(*pairs: Any, source: str = "ss", left_out: int = 0, units: Mapping[str, str] | None = None) -> Listeners:
    """Return what listens."""
    found = dict.fromkeys(name for _, name in pairs if name is not None)
    processes = tuple(Process(pid=_pid(name), name=name, unit=(units or {}).get(name)) for name in found)
    return Listeners.model_validate(
        {"source": source, "listeners": [one for one, _ in pairs], "left_out": left_out, "processes": processes}
    )


def _pid(name: str) -> int:
    return 1000 + sum(name.encode())


SSHD = listener(22, 128, "sshd")


def rival(name: str, *, running: bool | None = True, **fields: Any) -> Rival:
    return Rival.model_validate({"name": name, "running": running, **fields})


def host(
    sysctl: Mapping[str, str | Reading] | None = None,
    files: Mapping[str, str | None] | None = None,
    *,
    without: tuple[str, ...] = (),
    name: str = "web1",
    listeners: Listeners | None = None,
    conntrack: Conntrack | None = None,
    rivals: tuple[Rival, ...] = (),
    rival_notes: tuple[str, ...] = (),
    machine: str | None = None,
    counters: dict[str, int] | None = None,
    config_files: tuple[TextFile, ...] = (),
    gaps: Mapping[str, str] | None = None,
    **system: Any,
) -> HostFacts:
    """Return a fresh host with some things otherwise. What is named in `gaps` was not read; `without` are keys."""
    values = {key: value for key, value in {**FRESH, **(sysctl or {})}.items() if key not in without}
    known = {
        "listeners": listeners or listening(SSHD),
        "conntrack": conntrack or Conntrack(loaded=True, count=10, max=262144, buckets=262144),
        "rivals": Rivals(found=rivals, notes=rival_notes),
        "counters": counters or {},
        "config_files": config_files,
        "gaps": dict(gaps or {}),
    }
    known |= dict.fromkeys(gaps or {}, None)
    known["gaps"] = dict(gaps or {})
    known.pop("sysctl_files", None)
    given = {"memory_bytes": 16 * GIB, "virtualization": Virtualization(machine=machine, container=None, signs=())}
    return facts(name, values, files, **{**given, **system}).model_copy(update=known)


def concerns(
    check: str, found: HostFacts, *entries: Entry, declared: Declared = NOTHING_DECLARED
) -> tuple[Concern, ...]:
    """Return what one check says of a host."""
    audit = audit_host(found, profile(*(entries or (rule(TW_REUSE, "2"),))), catalogue(), declared=declared)
    return tuple(one for one in audit.concerns if one.check == check)


def gap(check: str, found: HostFacts, *entries: Entry) -> str | None:
    """Return why a check could not judge a host, or None where it could."""
    audit = audit_host(found, profile(*(entries or (rule(TW_REUSE, "2"),))), catalogue())
    return next((one.why for one in audit.not_judged if one.check == check), None)
