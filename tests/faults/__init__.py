"""Faults of the network, made for real on lab hosts: what a diagnosis has to find. And hosts that are well.

A fault is a function that makes a scene, with the fault or without it, and a line in FAULTS:

    with Stage(lab, hosts(fault.hosts)) as stage, fault.make(stage, True) as scene:
        measured = measure(scene)                       its load, and what the hosts' /proc says meanwhile
        with scene.under_load(seconds=6):               or: the load alone, while somebody else looks
            look_at(stage.hosts[scene.diagnosed])
        scene.cure()                                    where there is one: then measure again

`python -m tests.faults` makes all of them and prints the table of docs/explanation/faults.md.

What the lab cannot have: netem is not in every kernel, so nft loses packets (tests/vm has netem); nf_conntrack_max is
the machine's, and read-only in a host, so the table is filled instead.
"""

from __future__ import annotations

from dataclasses import replace

from tests.faults import closing, healthy, limits, listeners, paths, proxies
from tests.faults.fault import Fault, Load, Measurement, Scene, measure, over_ipv6
from tests.faults.stage import Host, Stage, missing

__all__ = [
    "FAULTS",
    "HEALTHY",
    "SIX",
    "STORIES",
    "Fault",
    "Host",
    "Load",
    "Measurement",
    "Scene",
    "Stage",
    "measure",
    "missing",
]

RACE = "reset.keepalive_race"
REUSE = ("eof.idle_reuse", "reset.write_after_peer_close")
QUEUE = "listen.accept_queue_overflow"

IPV4 = (
    Fault("accept-queue-overflow", QUEUE, "sysctl", listeners.SOMAXCONN, listeners.somaxconn_small),
    Fault("backlog-small", "listen.backlog_small_in_app", "app", None, listeners.backlog_small, also=(QUEUE,)),
    Fault("backlog-captured", "listen.somaxconn_captured", "app", None, listeners.somaxconn_captured, also=(QUEUE,)),
    Fault("slow-accept", QUEUE, "app", None, listeners.slow_accept),
    Fault(
        "abort-on-overflow",
        "listen.abort_on_overflow",
        "sysctl",
        listeners.ABORT,
        listeners.abort_on_overflow,
        also=(QUEUE, "listen.backlog_small_in_app"),
    ),
    Fault("syn-flood", "listen.syn_queue_full", "network", None, listeners.syn_flood),
    Fault(
        "syn-flood-no-cookies", "listen.syn_queue_full", "sysctl", listeners.SYNCOOKIES, listeners.syn_flood_no_cookies
    ),
    Fault(
        "port-exhaustion",
        "port_exhaustion",
        "sysctl",
        paths.PORTS,
        paths.port_exhaustion,
        also=("state.time_wait_many",),
    ),
    Fault("conntrack-full", "drop.conntrack_full", "sysctl", paths.TRACKED_MAX, paths.conntrack_full),
    Fault("closed-port", "refused.closed_port", "app", None, paths.closed_port),
    Fault("firewall-reject", "refused.firewall_reject", "network", None, paths.firewall_reject),
    Fault("firewall-drop", "connect_timeout.drop", "network", None, paths.firewall_drop),
    Fault("idle-drop", "reset.l4_idle_middlebox", "sysctl", paths.KEEPALIVE_TIME, paths.idle_middlebox, hosts=3),
    Fault("idle-reset", "reset.l4_idle_middlebox", "sysctl", paths.KEEPALIVE_TIME, paths.idle_middlebox_reset, hosts=3),
    Fault("packet-loss", "perf.loss", "network", None, paths.packet_loss),
    Fault("close-wait-leak", "state.close_wait_leak", "app", None, closing.close_wait_leak),
    Fault("unread-data", "reset.unread_data_on_close", "app", None, closing.unread_data),
    Fault("linger-zero", "reset.so_linger_zero", "app", None, closing.linger_zero),
    Fault("time-wait-overflow", "reset.tw_overflow", "sysctl", closing.BUCKETS, closing.time_wait_overflow),
    Fault("descriptor-limit", "limit.emfile", "limit", None, limits.descriptor_limit),
    Fault("proxy-idle-timeout", RACE, "proxy", None, proxies.idle_shorter_than_pool, also=REUSE),
    Fault("upstream-idle-race", RACE, "proxy", None, proxies.upstream_idle_race, also=REUSE),
)

SIX = "-ipv6"
OVER_IPV6 = ("accept-queue-overflow", "port-exhaustion", "closed-port", "firewall-reject")
"""Faults that are made over IPv6 as well, and have the same cause there."""

FAULTS = (
    *IPV4,
    *(replace(one, name=f"{one.name}{SIX}", make=over_ipv6(one.make)) for one in IPV4 if one.name in OVER_IPV6),
)

HEALTHY = (
    Fault("busy", None, None, None, healthy.busy),
    Fault("many-time-wait", None, None, None, healthy.many_time_wait),
    Fault("long-idle", None, None, None, healthy.long_idle),
    Fault("few-resets", None, None, None, healthy.few_resets),
)

STORIES = ("accept-queue-overflow", "port-exhaustion", "conntrack-full", "descriptor-limit", "proxy-idle-timeout")
"""The faults that are told from the error rate before their cure to that after it."""
