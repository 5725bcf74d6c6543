"""Faults of limits that are no kernel keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.fault import Scene
from tests.faults.nginx import Nginx
from tests.faults.stage import Stage

FEW, MANY = 32, 4096


@contextmanager
def descriptor_limit(stage: Stage, faulty: bool) -> Iterator[Scene]:
    """A real nginx may have 32 descriptors, and eighty clients keep their connections open."""

    def limit(count: int) -> str:
        return f"worker_rlimit_nofile {count};"

    nginx = Nginx(stage.server, main=limit(FEW if faulty else MANY)).start()

    def cure() -> None:
        nginx.configure(main=limit(MANY))
        nginx.start()

    yield Scene(
        stage,
        {"shape": "pool", "per_s": 80, "gap_s": 0.4, "seconds": 4.0},
        shows={"load.timeout": 40, "server.descriptors.at_limit": 1, "server.listener.waiting": 20},
        served_by=nginx.worker,
        cure=cure,
    )
