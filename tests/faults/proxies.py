"""Faults between hops that keep connections open for different times, with a real nginx."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.fault import Scene
from tests.faults.nginx import Nginx
from tests.faults.stage import Stage

BACKEND = 8081


@contextmanager
def idle_shorter_than_pool(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """nginx closes a client's connection after 1 s of silence; the client's pool uses it again after 1.5 s.

    Behind nginx is a server that keeps its connections for 30 s. The pool does not look whether its connection ended.
    """
    stage.server.serve(port=BACKEND)
    nginx = Nginx(stage.server, http=UPSTREAM, server=f"keepalive_timeout {1 if faulty else 10}s; {PASS}").start()

    def cure() -> None:
        nginx.configure(http=UPSTREAM, server=f"keepalive_timeout 10s; {PASS}")
        nginx.start()

    yield Scene(
        stage,
        {"shape": "pool", "per_s": 20, "gap_s": 1.5, "seconds": 4.0},
        shows={"load.EOF": 20, "server.Tcp.OutRsts": 20},
        cure=cure,
    )


@contextmanager
def upstream_idle_race(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """The server behind nginx closes idle connections after 0.9 s, nginx keeps them for 60 s and meets one that closes.

    The two have to happen at the same moment, so nginx is away from 0.0 to 0.4 s of each second: clients ask at 0.1 s,
    the server closes at about 0.3 s (0.9 s after it answered), and nginx then sees both. A POST is not tried again, and
    becomes a 502.
    """
    stage.server.serve(port=BACKEND, idle_timeout_s=0.9 if faulty else 30.0)
    nginx = Nginx(stage.server, http=UPSTREAM, server=f"keepalive_timeout 60s; {PASS}").start()
    with stage.server.pausing(nginx.workers, from_s=0.0, until_s=0.4):
        yield Scene(
            stage,
            {
                "shape": "pulse",
                "phase_s": 0.1,
                "per_s": 8,
                "request_bytes": 10,
                "seconds": 4.0,
                "answer_timeout_s": 2.0,
            },
            shows={"load.HTTP 502": 8, "server.Tcp.OutRsts": 8},
        )


UPSTREAM = f"upstream backend {{ server 127.0.0.1:{BACKEND}; keepalive 32; }}"
PASS = 'location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }'
