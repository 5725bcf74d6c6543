"""Faults on the way between two hosts: firewalls, tracking tables, ports that ran out, loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.fault import Scene
from tests.faults.nginx import PORT
from tests.faults.stage import Host, Stage
from tests.lab import LabError

PORTS = "net.ipv4.ip_local_port_range"
KEEPALIVE_TIME = "net.ipv4.tcp_keepalive_time"
KEEPALIVE_INTVL = "net.ipv4.tcp_keepalive_intvl"
TRACKED_MAX = "net.netfilter.nf_conntrack_max"
SSH = 22
MOST_FLOWS = 1_000_000
IDLE_S = 2
"""How long the middlebox remembers a connection on which nothing happens."""


@contextmanager
def closed_port(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """Nothing listens."""
    if not faulty:
        _serve(stage)
    yield Scene(
        stage,
        {"per_s": 20, "seconds": 2.0},
        shows={"load.ECONNREFUSED": 30, "server.Tcp.OutRsts": 30, "client.Tcp.AttemptFails": 30},
    )


@contextmanager
def firewall_reject(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The service listens, and a firewall in front of it answers with resets: they are not the kernel's own."""
    _serve(stage)
    if faulty:
        _input(stage.server, f"tcp dport {PORT} reject with tcp reset;")
    yield Scene(
        stage,
        {"per_s": 20, "seconds": 2.0},
        shows={"load.ECONNREFUSED": 30, "client.Tcp.AttemptFails": 30},
        still=("server.Tcp.OutRsts", "server.Tcp.PassiveOpens"),
    )


@contextmanager
def firewall_drop(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The service listens, and a firewall in front of it swallows SYNs. The client's kernel gives up after 3 s."""
    _serve(stage)
    stage.client.set("net.ipv4.tcp_syn_retries", 1)
    if faulty:
        _input(stage.server, f"tcp dport {PORT} drop;")
    yield Scene(
        stage,
        {"per_s": 10, "seconds": 3.0, "connect_timeout_s": 6.0},
        shows={
            "load.ETIMEDOUT": 20,
            "client.TcpExt.TCPSynRetrans": 20,
            "client.TcpExt.TCPAbortOnTimeout": 20,
            "client.Tcp.AttemptFails": 20,
            "client.state.SYN_SENT": 10,
        },
        still=("server.Tcp.OutRsts", "server.Tcp.PassiveOpens", "server.Tcp.InSegs"),
        diagnosed="client",
    )


@contextmanager
def port_exhaustion(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A client with 200 local ports closes 100 connections a second, and each keeps its port for a minute."""
    _serve(stage)
    client = stage.client
    if faulty:
        client.set(PORTS, "40000 40199")
    yield Scene(
        stage,
        {"per_s": 100, "seconds": 4.0},
        shows={"load.EADDRNOTAVAIL": 100, "client.ports.used_percent": 95},
        diagnosed="client",
        cure=lambda: client.set(PORTS, "32768 60999"),
    )


@contextmanager
def conntrack_full(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The server's table of tracked connections is full of established ones, so none is thrown out for a new one.

    The limit is the machine's and read-only within the lab, so the table is filled up to it: mostly 262,144 flows. For
    the same reason the way out is not to track the busy port; where the limit is one's own, it is raised.
    """
    server = stage.server
    track(server)
    if faulty:
        fill(server, assured=True)
    _serve(stage)
    yield Scene(
        stage,
        {"per_s": 20, "seconds": 3.0},
        shows={
            "load.timeout": 40,
            "server.conntrack.drop": 40,
            "server.conntrack.used_percent": 95,
            "log.conntrack_full": 1,
        },
        still=("server.Tcp.InSegs",),
        cure=lambda: track(server, but=(SSH, PORT)),
    )


def track(host: Host, but: tuple[int, ...] = (SSH,)) -> None:
    """Let a host track its connections, but for those to some ports: who looks at it has to get in."""
    ports = ", ".join(map(str, but))
    host.undo.callback(host.run, "conntrack", "--flush")
    host.rules(f"""
        chain in {{ type filter hook input priority 0; ct state invalid counter; }}
        chain early {{ type filter hook prerouting priority raw; tcp dport {{ {ports} }} notrack; }}
        chain late {{ type filter hook output priority raw; tcp sport {{ {ports} }} notrack; }}""")


def fill(host: Host, *, assured: bool) -> None:
    """Fill the tracking table to its limit. The kernel may throw out flows that are not assured."""
    limit = int(host.value(TRACKED_MAX))
    if limit > MOST_FLOWS:
        raise LabError(f"{TRACKED_MAX} is {limit}: too many flows to make", hint=f"set it to {MOST_FLOWS} or less")
    # The kernel tells only of the first ten packets that it drops in 5 s: let those be the load's.
    host.run("conntrack", "--flush")
    host.program("flows", count=limit, assured=assured).said(timeout_s=60)


@contextmanager
def idle_middlebox(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A firewall between the hosts forgets a connection after 2 s of silence, and swallows what comes for it then.

    The client has SO_KEEPALIVE on, with the kernel's times: two hours with the fault, one second without.
    """
    with _middlebox(stage, faulty, verdict="drop") as scene:
        scene.shows = {"load.timeout": 10, "client.TcpExt.TCPTimeouts": 10, "client.Tcp.RetransSegs": 10}
        scene.still = ("client.TcpExt.TCPKeepAlive",)
        yield scene


@contextmanager
def idle_middlebox_reset(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The same firewall, which answers with a reset in the server's name."""
    with _middlebox(stage, faulty, verdict="reject with tcp reset") as scene:
        scene.shows = {"load.ECONNRESET": 10, "client.Tcp.EstabResets": 10}
        scene.still = ("server.Tcp.OutRsts", "client.TcpExt.TCPKeepAlive")
        yield scene


@contextmanager
def packet_loss(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The client loses every twentieth packet that comes for it; nft throws it away, as this kernel has no netem."""
    _serve(stage, answer_bytes=60_000)
    if faulty:
        _input(stage.client, f"tcp sport {PORT} numgen inc mod 20 0 counter drop;")
    yield Scene(
        stage,
        {"per_s": 40, "seconds": 3.0, "answer_timeout_s": 5.0, "connect_timeout_s": 5.0},
        shows={"server.Tcp.RetransSegs": 50, "client.TcpExt.TCPOFOQueue": 10},
    )


@contextmanager
def _middlebox(stage: Stage, faulty: bool, *, verdict: str) -> Iterator[Scene]:
    stage.route()
    router, client = stage.router, stage.client
    router.rules(f"""
        chain through {{
            type filter hook forward priority 0;
            ct state established accept;
            tcp flags & (fin | syn | rst | ack) == syn accept;
            meta l4proto tcp counter {verdict};
        }}""")
    router.set("net.netfilter.nf_conntrack_tcp_timeout_established", IDLE_S)
    # A flow is not picked up in its middle: NAT could not either.
    router.set("net.netfilter.nf_conntrack_tcp_loose", 0)

    def keep_alive() -> None:
        client.set(KEEPALIVE_INTVL, 1)
        client.set(KEEPALIVE_TIME, 1)

    if not faulty:
        keep_alive()
    _serve(stage)
    yield Scene(
        stage,
        {"shape": "pool", "per_s": 10, "gap_s": IDLE_S + 1.0, "seconds": 4.0, "keepalive": True},
        shows={},
        diagnosed="client",
        cure=keep_alive,
    )


def _serve(stage: Stage, **options: Any) -> None:
    stage.server.serve(**options)


def _input(host: Host, rule: str) -> None:
    host.rules(f"chain in {{ type filter hook input priority 0; {rule} }}")
