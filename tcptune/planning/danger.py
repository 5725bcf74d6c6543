"""Changes that can strand a host or take its services down: named with the reason, so that somebody has to allow them.

The catalogue knows which settings are of high risk. What this host's own state makes dangerous is worked out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.parameters import Parameter, Risk
from tcptune.domain.ports import ports
from tcptune.domain.values import numbers

PORT_RANGE = "net.ipv4.ip_local_port_range"
RESERVED = "net.ipv4.ip_local_reserved_ports"
CONNTRACK_MAX = "net.netfilter.nf_conntrack_max"
TCP_MEM = "net.ipv4.tcp_mem"
TIME_WAIT = "net.ipv4.tcp_max_tw_buckets"
BUFFERS = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")

_SSH_PORT = 22
_SSH_SERVERS = frozenset({"sshd", "sshd-session", "dropbear"})


class _Write(NamedTuple):
    """A value that is to be written, the host it is for, and what else is written there."""

    after: tuple[int, ...]
    facts: HostFacts
    planned: Mapping[str, str]


def danger(parameter: Parameter, planned: Mapping[str, str], facts: HostFacts) -> str | None:
    """Return why a host's new value has to be allowed by name, or None where it need not be.

    `planned` are the values that the host is to have by key, this one's too. What repeats the value that runs already,
    for the next boot, is no danger.
    """
    now = facts.sysctl.get(parameter.key)
    after = planned[parameter.key]
    if isinstance(now, Value) and now.text == after:
        return None
    reasons = [parameter.risk_note] if parameter.risk is Risk.HIGH else []
    wanted = numbers(after)
    check = _CHECKS.get(parameter.key)
    if check is not None and wanted and (reason := check(_Write(wanted, facts, planned))):
        reasons.insert(0, reason)
    return " ".join(f"{reason.strip().rstrip('.')}." for reason in reasons) or None


def _ssh_port_in_range(write: _Write) -> str | None:
    low, high = write.after
    reading = write.facts.sysctl.get(RESERVED)
    reserved = ports(write.planned.get(RESERVED, reading.text if isinstance(reading, Value) else ""))
    taken = sorted(port for port in _ssh_ports(write.facts) if low <= port <= high and port not in reserved)
    if not taken:
        return None
    shown = ", ".join(map(str, taken))
    return (
        f"SSH listens on {shown}, within the new range: a connection of this host may take the port while it restarts"
    )


def _ssh_ports(facts: HostFacts) -> set[int]:
    """Return the ports SSH listens on; 22 where nothing tells."""
    if facts.listeners is None:
        return {_SSH_PORT}
    servers = {process.pid for process in facts.listeners.processes if process.name in _SSH_SERVERS}
    return {
        listener.port
        for listener in facts.listeners.listeners
        if listener.port == _SSH_PORT or servers.intersection(listener.pids)
    }


def _table_full(write: _Write) -> str | None:
    tracked = write.facts.conntrack.count if write.facts.conntrack else None
    if tracked is None or write.after[0] > tracked:
        return None
    return f"{tracked} connections are tracked now: every new one is dropped at once, a login over SSH too"


def _memory_short(write: _Write) -> str | None:
    page, memory = write.facts.system.page_size_bytes, write.facts.system.memory_bytes
    used = (write.facts.counters or {}).get("sockstat.TCP.mem")
    if page and memory and write.after[0] * page > memory:
        return f"it counts pages of {page} bytes: its first number is already more than the RAM of this host"
    if used is not None and write.after[-1] <= used:
        return f"TCP uses {used} pages now, no fewer than the new limit: connections lose their data at once"
    return None


def _time_wait_short(write: _Write) -> str | None:
    waiting = (write.facts.counters or {}).get("sockstat.TCP.tw")
    if waiting is None or write.after[0] > waiting:
        return None
    return f"{waiting} sockets are in TIME_WAIT now: further ones are dropped, and late segments reset new connections"


def _buffers_too_large(write: _Write) -> str | None:
    memory, open_now = write.facts.system.memory_bytes, (write.facts.counters or {}).get("Tcp.CurrEstab")
    if not memory or not open_now or open_now * write.after[1] <= memory:
        return None
    return f"{open_now} connections are open: {write.after[1]} bytes for each of them is more than the RAM of this host"


_CHECKS: dict[str, Callable[[_Write], str | None]] = {
    PORT_RANGE: _ssh_port_in_range,
    CONNTRACK_MAX: _table_full,
    TCP_MEM: _memory_short,
    TIME_WAIT: _time_wait_short,
    **dict.fromkeys(BUFFERS, _buffers_too_large),
}
