# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/strain.py by tests/collection/copies.py: change it there.
"""Where a host runs short: memory, descriptors, processors, links; and what its kernel complained of."""

from __future__ import annotations

from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import StrEnum
from typing import Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen


class Pressure(Frozen):
    """What TCP takes of the host, beside what it may take. None is what this kernel or namespace does not tell."""

    uptime_s: float
    """The host's own clock, to a hundredth of a second: two of them give the time between two samples."""
    tcp_pages: int | None = None
    """Pages that the sockets of all network namespaces hold now (sockstat: TCP mem)."""
    tcp_mem_pages: tuple[int, int, int] | None = None
    """net.ipv4.tcp_mem: below the first no pressure, from the second on pressure, beyond the third refusal."""
    orphans: int | None = None
    """Of all network namespaces."""
    max_orphans: int | None = None
    time_waits: int | None = None
    max_time_waits: int | None = None
    open_files: int | None = None
    """Of the whole machine (fs.file-nr), as the next."""
    max_files: int | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    """What programs could take without swapping (MemAvailable)."""
    swapped_in_pages: int | None = None
    """Since boot, as the next two: compare two samples."""
    swapped_out_pages: int | None = None
    oom_kills: int | None = None
    neighbours_refused: int | None = None
    """Since boot: how often the table of neighbours was full (table_fulls of arp_cache and ndisc_cache)."""


class SoftnetCpu(Frozen):
    """One processor's row of /proc/net/softnet_stat, since boot. The numbers have 32 bits and begin again at 0."""

    cpu: int
    """Its number; before Linux 5.10, which does not tell it, the row's place."""
    processed: int
    dropped: int
    """The backlog was full (net.core.netdev_max_backlog)."""
    time_squeeze: int
    """Its turn ended with packets left over (netdev_budget, netdev_budget_usecs)."""
    received_rps: int | None = None
    flow_limit_count: int | None = None


class LinkDrops(Frozen):
    """What one interface lost or mangled since it came up: names of /sys/class/net/*/statistics -> count.

    Among them rx_dropped, rx_errors, rx_missed_errors, rx_fifo_errors, rx_over_errors, rx_crc_errors, rx_nohandler,
    tx_dropped, tx_errors, tx_carrier_errors, tx_fifo_errors, collisions; and carrier_changes. Beside them rx_packets
    and tx_packets, which the others are a share of.
    """

    name: str
    counts: dict[str, int]


class Drops(Frozen):
    """What was lost before TCP saw it. softnet is of the whole machine, links are of the network namespace."""

    softnet: tuple[SoftnetCpu, ...] = ()
    links: tuple[LinkDrops, ...] = ()
    links_left_out: int = 0
    cpus_left_out: int = 0
    notes: tuple[str, ...] = ()


class KernelMessage(StrEnum):
    """Messages of the kernel that bear on TCP, with the function that prints them (Linux 6.12 unless said)."""

    POSSIBLE_SYN_FLOODING = "possible_syn_flooding"
    """tcp_syn_flood_action. Once in the life of a listener: that it is old says nothing of today."""
    TOO_MANY_ORPHANS = "too_many_orphans"
    """tcp_check_oom."""
    TCP_OUT_OF_MEMORY = "tcp_out_of_memory"
    """tcp_check_oom."""
    TW_OVERFLOW = "tw_overflow"
    """tcp_time_wait before Linux 3.4 or so; later kernels count TCPTimeWaitOverflow and say nothing."""
    CONNTRACK_FULL = "conntrack_full"
    """__nf_conntrack_alloc."""
    NEIGHBOR_OVERFLOW = "neighbor_overflow"
    """neigh_alloc."""
    FILE_MAX = "file_max"
    """alloc_empty_file."""
    LINK_DOWN = "link_down"
    """phy_print_status, and the drivers of network cards."""
    TX_TIMEOUT = "tx_timeout"
    """dev_watchdog."""
    MARTIAN = "martian"
    """ip_handle_martian_source, only with log_martians."""
    PAGE_ALLOC = "page_alloc"
    """warn_alloc."""
    OOM_KILLER = "oom_killer"
    """__oom_kill_process, dump_oom_summary."""
    SHRUNK_WINDOW = "shrunk_window"
    """tcp_retransmit_timer, in newer kernels for those who debug alone."""


class KernelLine(Frozen):
    """One line of the kernel's log."""

    message: KernelMessage
    at_s: float | None
    """Seconds since boot. None where the kernel does not stamp its lines (printk.time)."""
    text: str
    """At most 300 bytes of it."""


class MessageCount(Frozen):
    """How often the log holds a message."""

    message: KernelMessage
    lines: int
    first_s: float | None
    last_s: float | None


class KernelLog(Frozen):
    """What the kernel's log says of TCP. Of the whole machine, also where it was read in a container."""

    source: Literal["dmesg", "journal"]
    lines: int
    """All lines that were looked through."""
    since_s: float | None
    """Time of the oldest of them, in seconds since boot: what was before is forgotten."""
    counts: tuple[MessageCount, ...] = ()
    """Messages that are there. One that is missing was not printed since `since_s`."""
    newest: tuple[KernelLine, ...] = ()
    """The newest few lines of each message, oldest first."""
