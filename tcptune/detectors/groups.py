"""Which causes each group can name: what is not known where a group was not judged."""

from __future__ import annotations

CAUSES: dict[str, tuple[str, ...]] = {
    "accept-queue": (
        "listen.accept_queue_overflow",
        "listen.abort_on_overflow",
        "listen.backlog_small_in_app",
        "listen.somaxconn_captured",
    ),
    "syn-queue": ("listen.syn_queue_full",),
    "closed-listeners": ("listen.closed_with_queue",),
    "open-files": ("limit.emfile",),
    "open-files-of-host": ("limit.enfile",),
    "memory": ("limit.memory_swap",),
    "conntrack": ("drop.conntrack_full",),
    "ports": ("port_exhaustion",),
    "time-wait-table": ("reset.tw_overflow",),
    "tcp-memory": ("reset.orphan_or_memory",),
    "close-wait": ("state.close_wait_leak",),
    "half-closed": ("state.fin_wait2", "state.fin_wait2_owned"),
    "aborts": (
        "reset.unread_data_on_close",
        "reset.so_linger_zero",
        "reset.write_after_peer_close",
        "reset.process_crash",
    ),
    "attempts": (
        "connect_timeout.drop",
        "connect_latency.steps",
        "noroute.firewall_or_route",
        "refused.closed_port",
        "refused.firewall_reject",
    ),
    "cancelled": ("connect.cancelled_by_client",),
    "reverse-path": ("connect_timeout.rp_filter",),
    "recycle": ("tw_recycle_nat",),
    "unanswered": ("reset.l4_idle_middlebox", "timeout.peer_vanished"),
    "idle-path": ("reset.l4_idle_middlebox",),
    "tracking": ("reset.conntrack_invalid", "reset.conntrack_lowered"),
    "dead-peers": ("timeout.idle_dead_peer",),
    "processors": ("limit.cpu_softirq", "drop.softnet_backlog"),
    "cards": ("drop.nic_ring",),
    "links": ("drop.link_flap",),
    "neighbours": ("drop.neighbor_overflow",),
    "slow-readers": ("perf.slow_reader",),
    "buffers": ("perf.window_limited",),
    "packet-size": ("drop.pmtu_blackhole",),
    "loss": ("perf.loss",),
    "injected": ("reset.security_device",),
    "time-waits": ("state.time_wait_many",),
    # The other lines of the log have counters that need no root: those groups judge them.
    "kernel-log": ("limit.enfile", "limit.memory_swap", "drop.link_flap", "perf.slow_reader"),
    "files": ("refused.closed_port", "refused.firewall_reject", "reset.l4_idle_middlebox"),
}
"""Name of a group -> the causes it can name."""
