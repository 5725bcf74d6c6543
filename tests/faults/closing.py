"""Faults of how connections end: most are the application's, and no kernel setting helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.fault import Scene
from tests.faults.stage import Stage

BUCKETS = "net.ipv4.tcp_max_tw_buckets"


@contextmanager
def close_wait_leak(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A server forgets to close what its clients have closed. The clients see nothing of it."""
    with _served(stage, "leak" if faulty else "plain") as scene:
        scene.shows = {"server.state.CLOSE_WAIT": 80, "server.descriptors.used": 80, "client.state.FIN_WAIT2": 80}
        yield scene


@contextmanager
def unread_data(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A server closes before it has read the request: the kernel says that something was lost."""
    with _served(stage, "unread" if faulty else "plain") as scene:
        scene.shows = {
            "load.ECONNRESET": 80,
            "server.TcpExt.TCPAbortOnClose": 80,
            "server.Tcp.OutRsts": 80,
            "client.Tcp.EstabResets": 80,
            # Who aborts counts it here as well.
            "server.Tcp.EstabResets": 80,
        }
        yield scene


@contextmanager
def linger_zero(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A server answers, and closes with SO_LINGER 0: a client that reads to the end meets a reset there."""
    with _served(stage, "linger" if faulty else "plain") as scene:
        scene.load |= {"until_eof": True}
        scene.shows = {
            "load.ECONNRESET": 80,
            "server.TcpExt.TCPAbortOnData": 80,
            "server.Tcp.OutRsts": 80,
            "client.Tcp.EstabResets": 80,
            # Who aborts counts it here as well.
            "server.Tcp.EstabResets": 80,
        }
        yield scene


@contextmanager
def time_wait_overflow(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A server closes first, and may keep four connections in TIME_WAIT; the FIN of any other finds no socket.

    The clients have their answers by then, so that no error is seen but in a capture.
    """
    with _served(stage, "plain") as scene:
        if faulty:
            stage.server.set(BUCKETS, 4)
        scene.load |= {"first": "them", "linger_s": 0.1}
        scene.shows = {"server.TcpExt.TCPTimeWaitOverflow": 80, "server.Tcp.OutRsts": 80}
        scene.still = ("load.ECONNRESET",)
        scene.cure = lambda: stage.server.set(BUCKETS, 131072)
        yield scene


@contextmanager
def _served(stage: Stage, manner: str) -> Iterator[Scene]:
    server = stage.server.serve(manner=manner)
    yield Scene(stage, {"per_s": 30, "seconds": 3.0}, shows={}, served_by=lambda: server.pid)
