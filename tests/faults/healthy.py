"""Hosts that are well, with a load on which hearsay would turn knobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.fault import Scene
from tests.faults.nginx import Nginx
from tests.faults.stage import Stage


@contextmanager
def busy(stage: Stage, _faulty: bool) -> Iterator[Scene]:
    """A real nginx answers 150 connections a second."""
    Nginx(stage.server).start()
    yield Scene(stage, {"per_s": 150, "seconds": 3.0}, shows={})


@contextmanager
def many_time_wait(stage: Stage, _faulty: bool) -> Iterator[Scene]:
    """The server closes first, 150 times a second: hundreds of connections in TIME_WAIT, as they should be."""
    stage.server.serve()
    yield Scene(
        stage, {"per_s": 150, "seconds": 3.0, "first": "them", "linger_s": 0.01}, shows={"server.state.TIME_WAIT": 300}
    )


@contextmanager
def long_idle(stage: Stage, _faulty: bool) -> Iterator[Scene]:
    """Forty connections on which a request comes every two seconds, with SO_KEEPALIVE."""
    Nginx(stage.server).start()
    yield Scene(stage, {"shape": "pool", "per_s": 40, "gap_s": 2.0, "seconds": 4.1, "keepalive": True}, shows={})


@contextmanager
def few_resets(stage: Stage, _faulty: bool) -> Iterator[Scene]:
    """One client of fifty resets its connection after it has its answer, as browsers and health checks do."""
    Nginx(stage.server).start()
    yield Scene(stage, {"per_s": 100, "seconds": 3.0, "abort_every": 50}, shows={"server.Tcp.EstabResets": 4})
