# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/pressure.py by tests/collection/copies.py: change it there.
"""What TCP takes of the host beside what it may take, and how often memory ran out. The host's clock comes with it."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.strain import Pressure

_LIMITS = (
    "/proc/sys/net/ipv4/tcp_mem",
    "/proc/sys/net/ipv4/tcp_max_orphans",
    "/proc/sys/net/ipv4/tcp_max_tw_buckets",
    "/proc/sys/fs/file-nr",
)
_NEIGHBOURS = ("/proc/net/stat/arp_cache", "/proc/net/stat/ndisc_cache")

SCRIPT = f"""
grep -s '' /proc/uptime {" ".join(_LIMITS)} {" ".join(_NEIGHBOURS)}
grep -s -E '^(TCP: |MemTotal|MemAvailable|pswp|oom_kill )' /proc/net/sockstat /proc/meminfo /proc/vmstat
"""


def parse(lines: Sequence[str]) -> Pressure:
    """Understand the section.

    Raises ValueError for a line that is none of ours, or where the host does not tell its uptime.
    """
    said: dict[str, list[str]] = {}
    for line in lines:
        path, colon, text = line.partition(":")
        if not colon or not path.startswith("/proc/"):
            raise ValueError(f"unexpected line {line!r}")
        said.setdefault(path, []).append(text)
    if "/proc/uptime" not in said:
        raise ValueError("/proc/uptime cannot be read")
    tcp_mem, orphans, time_waits, files = (_numbers(said.get(path, [""])[0]) for path in _LIMITS)
    sockets = _pairs(said.get("/proc/net/sockstat", [""])[0])
    memory = _named(said.get("/proc/meminfo", ()))
    events = _named(said.get("/proc/vmstat", ()))
    full = [number for path in _NEIGHBOURS if (number := _refused(said.get(path, [""]))) is not None]
    return Pressure(
        uptime_s=float(said["/proc/uptime"][0].split()[0]),
        tcp_pages=sockets.get("mem"),
        tcp_mem_pages=(tcp_mem[0], tcp_mem[1], tcp_mem[2]) if len(tcp_mem) == 3 else None,
        orphans=sockets.get("orphan"),
        max_orphans=orphans[0] if orphans else None,
        time_waits=sockets.get("tw"),
        max_time_waits=time_waits[0] if time_waits else None,
        open_files=files[0] if len(files) == 3 else None,
        max_files=files[2] if len(files) == 3 else None,
        memory_bytes=_bytes(memory.get("MemTotal:")),
        available_bytes=_bytes(memory.get("MemAvailable:")),
        swapped_in_pages=events.get("pswpin"),
        swapped_out_pages=events.get("pswpout"),
        oom_kills=events.get("oom_kill"),
        neighbours_refused=sum(full) if full else None,
    )


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _pairs(text: str) -> dict[str, int]:
    """Read 'TCP: inuse 2 orphan 0 tw 4 alloc 3 mem 1'."""
    words = text.split()[1:]
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def _named(lines: Sequence[str]) -> dict[str, int]:
    """Read lines such as 'MemTotal:  16384 kB' and 'pswpin 0'."""
    return {words[0]: int(words[1]) for words in map(str.split, lines)}


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * 1024


def _refused(lines: Sequence[str]) -> int | None:
    """Add up a column of the rows below the names, one a processor, in hexadecimal."""
    names = lines[0].split()
    if "table_fulls" not in names:
        return None  # older than Linux 4.2, which began to count it
    column = names.index("table_fulls")
    return sum(int(row.split()[column], 16) for row in lines[1:])
