"""What a host's /proc says of its network: counters, states of sockets, listeners, descriptors.

It is read from outside, and by the plainest means: what a diagnosis says of a fault is compared with this.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

STATES = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "06": "TIME_WAIT",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
}
"""As /proc/net/tcp numbers them; include/net/tcp_states.h."""
KMSG = Path("/dev/kmsg")


def counters(proc: Path) -> dict[str, int]:
    """Give the counters of a network namespace by names as `TcpExt.ListenOverflows`, and `conntrack.drop`.

    `proc` is the folder of any process in it.
    """
    found: dict[str, int] = {}
    for file in ("net/snmp", "net/netstat"):
        lines = (proc / file).read_text().splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            prefix, _, columns = names.partition(":")
            numbers = values.partition(":")[2].split()
            found |= {f"{prefix}.{name}": int(number) for name, number in zip(columns.split(), numbers, strict=True)}
    return found | _conntrack(proc)


def states(proc: Path, *, but_port: int = 22) -> dict[str, int]:
    """Count sockets by state, as `state.TIME_WAIT`; the sessions of sshd are left out."""
    counted: Counter[str] = Counter()
    for local, _, state in _sockets(proc):
        if local != but_port:
            counted[f"state.{STATES.get(state, state)}"] += 1
    return dict(counted)


def listening(proc: Path) -> set[int]:
    """Give the ports that are listened on."""
    return {local for local, _, state in _sockets(proc) if STATES.get(state) == "LISTEN"}


def local_ports(proc: Path) -> set[int]:
    """Give the ports that sockets have at this end."""
    return {local for local, _, _ in _sockets(proc)}


def queue_limits(said: str) -> dict[int, int]:
    """Give the most that may wait in front of each port, from what `ss -Hltn` says."""
    rows = [line.split() for line in said.splitlines()]
    return {int(row[3].rpartition(":")[2]): int(row[2]) for row in rows}


def queues(proc: Path, limits: Mapping[int, int], *, but_port: int = 22) -> dict[str, int]:
    """Give the most that waits in a queue, the smallest queue, and how many hold more than they may.

    The kernel takes one more than the limit, and only then calls a queue full.
    """
    rows = _rows(proc)
    # A listener has in rx_queue what waits in front of accept().
    waiting = {
        int(row[1].partition(":")[2], 16): int(row[4].partition(":")[2], 16)
        for row in rows
        if STATES.get(row[3]) == "LISTEN"
    }
    waiting.pop(but_port, None)
    if not waiting:
        return {}
    known = [limits[port] for port in waiting if port in limits]
    return {
        "listener.waiting": max(waiting.values()),
        "listener.limit": min(known, default=0),
        "listener.over_full": sum(number > limits[port] for port, number in waiting.items() if port in limits),
    }


def descriptors(pid: int) -> dict[str, int]:
    """Give how many descriptors a process has open, and how many it may have."""
    used = len(os.listdir(f"/proc/{pid}/fd"))
    limits = re.search(r"^Max open files\s+(\d+)", Path(f"/proc/{pid}/limits").read_text(), re.M)
    limit = int(limits[1]) if limits else 0
    return {"descriptors.used": used, "descriptors.limit": limit, "descriptors.at_limit": int(used >= limit)}


def children(pid: int) -> list[int]:
    """Give the children of a process; of one that has ended, none."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class KernelLog:
    """What the kernel says from now on, of all namespaces. `lines` is empty where it may not be read."""

    def __init__(self) -> None:
        try:
            self._descriptor: int | None = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError:
            self._descriptor = None

    def lines(self) -> list[str]:
        """Give the new lines, without their stamp."""
        found = []
        while self._descriptor is not None:
            try:
                found.append(os.read(self._descriptor, 8192).decode(errors="replace").partition(";")[2].strip())
            except BlockingIOError:
                break
        return found

    def close(self) -> None:
        """Read no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _sockets(proc: Path) -> list[tuple[int, int, str]]:
    """Give local port, remote port and state of each socket."""
    return [(int(row[1].partition(":")[2], 16), int(row[2].partition(":")[2], 16), row[3]) for row in _rows(proc)]


def _rows(proc: Path) -> list[list[str]]:
    """Give what the kernel says of each socket, IPv4 and IPv6, split at spaces."""
    lines = [(proc / "net" / name).read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    return [line.split() for line in chain.from_iterable(lines)]


def _conntrack(proc: Path) -> dict[str, int]:
    try:
        header, *rows = (proc / "net/stat/nf_conntrack").read_text().splitlines()
    except FileNotFoundError:
        return {}
    columns = zip(*(row.split() for row in rows), strict=True)
    # One row for each processor, hexadecimal. `entries` is the same in all of them, and no counter.
    return {
        f"conntrack.{name}": sum(int(number, 16) for number in column)
        for name, column in zip(header.split(), columns, strict=True)
        if name != "entries"
    }
