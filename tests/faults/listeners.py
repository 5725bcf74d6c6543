"""Faults of queues in front of accept()."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.fault import Scene
from tests.faults.nginx import PORT, Nginx
from tests.faults.stage import Stage

SOMAXCONN = "net.core.somaxconn"
ABORT = "net.ipv4.tcp_abort_on_overflow"
SYNCOOKIES = "net.ipv4.tcp_syncookies"
FEW, USUAL, MANY = 16, 128, 4096
BARE_ACK = "tcp flags & (fin | syn | rst | psh | ack) == ack"

# Sixty clients at once, 0.1 s into each second; a worker that is away for the 0.4 s around that, as a slow disk would
# have it. The second SYN of a client, after 1 s, meets the next crowd.
BURST = {"shape": "burst", "per_s": 60, "phase_s": 0.1, "seconds": 4.0, "connect_timeout_s": 1.2}
CROWD = {"per_s": 240, "workers": 400}
"""More than a queue of 128 takes."""
PAUSE = {"from_s": 0.95, "until_s": 0.35}

OVERFLOWS = {
    "server.TcpExt.ListenOverflows": 30,
    "server.TcpExt.ListenDrops": 30,
    "server.listener.over_full": 1,
    "client.TcpExt.TCPSynRetrans": 20,
    "load.timeout": 30,
}


@contextmanager
def somaxconn_small(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A real nginx asks for a queue of 4096, and the kernel's limit cuts it to 16."""
    server = stage.server
    server.set(SOMAXCONN, FEW if faulty else MANY)
    nginx = Nginx(server, listen=f"backlog={MANY}").start()

    def cure() -> None:
        server.set(SOMAXCONN, MANY)
        nginx.start()

    with _bursts(stage, nginx, cure) as scene:
        yield scene


@contextmanager
def backlog_small(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A real nginx asks for a queue of 16 only; the kernel's limit is 4096."""
    stage.server.set(SOMAXCONN, MANY)
    nginx = Nginx(stage.server, listen=f"backlog={FEW if faulty else MANY}").start()

    def cure() -> None:
        nginx.configure(listen=f"backlog={MANY}")
        nginx.start()

    with _bursts(stage, nginx, cure) as scene:
        yield scene


@contextmanager
def somaxconn_captured(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The kernel's limit was raised after nginx had called listen(): its queue has the old one, that of old kernels."""
    server = stage.server
    server.set(SOMAXCONN, USUAL if faulty else MANY)
    nginx = Nginx(server, listen=f"backlog={MANY}").start()
    server.set(SOMAXCONN, MANY)

    with _bursts(stage, nginx, nginx.start, **CROWD) as scene:
        yield scene


@contextmanager
def abort_on_overflow(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A server that accepts ten connections a second gets sixty, and the kernel resets what it has no room for.

    Only a handshake that ends in front of a full queue is reset, so the way back has to be long: the client's bare ACKs
    are dropped, and its request ends the handshake 0.1 s after the SYN. Without the setting the same clients time out.
    """
    server = stage.server
    server.set(ABORT, 1 if faulty else 0)
    server.rules(f"chain in {{ type filter hook input priority 0; tcp dport {PORT} {BARE_ACK} drop; }}")
    server.serve(backlog=FEW, accept_every_s=0.1)
    yield Scene(
        stage,
        {"per_s": 60, "seconds": 3.0, "speak_after_s": 0.1},
        shows={
            "load.ECONNRESET": 10,
            "server.TcpExt.EmbryonicRsts": 10,
            "client.Tcp.EstabResets": 10,
        },
        besides=("timeout",),
        cure=lambda: server.set(ABORT, 0),
    )


@contextmanager
def slow_accept(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A server that waits 0.2 s after each accept() gets a hundred connections a second, in front of a queue of 128.

    That is all that the kernel allows here, so neither the backlog nor the kernel's limit stands out.
    """
    stage.server.set(SOMAXCONN, USUAL)
    stage.server.serve(backlog=USUAL, accept_every_s=0.2 if faulty else 0.0)
    yield Scene(stage, {"per_s": 100, "seconds": 4.0, "connect_timeout_s": 1.2, "workers": 250}, shows=OVERFLOWS)


@contextmanager
def syn_flood(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A thousand SYNs a second from addresses that never answer, and a kernel that sends cookies: nobody is refused."""
    with _flood(stage, faulty, cookies=1) as scene:
        scene.shows = {
            "server.TcpExt.TCPReqQFullDoCookies": 1000,
            "server.TcpExt.SyncookiesSent": 1000,
            "server.TcpExt.SyncookiesRecv": 30,
            "server.state.SYN_RECV": 60,
            "log.possible_syn_flooding": 1,
        }
        scene.still = ("server.TcpExt.TCPReqQFullDrop", "server.TcpExt.ListenOverflows", "load.timeout")
        yield scene


@contextmanager
def syn_flood_no_cookies(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The same flood, and a kernel that may send no cookies: clients are refused with the flood."""
    with _flood(stage, faulty, cookies=0) as scene:
        scene.shows = {"server.TcpExt.TCPReqQFullDrop": 1000, "server.state.SYN_RECV": 60, "load.timeout": 30}
        scene.still = ("server.TcpExt.SyncookiesSent", "server.TcpExt.ListenOverflows")
        scene.cure = lambda: stage.server.set(SYNCOOKIES, 1)
        yield scene


@contextmanager
def _bursts(stage: Stage, nginx: Nginx, cure: Callable[[], object], **load: object) -> Iterator[Scene]:
    with stage.server.pausing(nginx.workers, **PAUSE):
        yield Scene(stage, BURST | load, shows=OVERFLOWS, cure=cure, restart=nginx.start)


@contextmanager
def _flood(stage: Stage, faulty: bool, *, cookies: int) -> Iterator[Scene]:
    server, client = stage.server, stage.client
    server.set(SYNCOOKIES, cookies)
    # The answers go to the client, which has no way for them: without a route the kernel would ignore the SYNs.
    server.ip("route", "198.18.0.0/16", "via", client.address)
    client.ip("route", "blackhole", "198.18.0.0/16")
    server.serve(backlog=64)
    if faulty:
        client.program("syns", target=server.address, port=PORT, per_s=1000, seconds=15)
    yield Scene(stage, {"per_s": 20, "seconds": 3.0}, shows={})
