"""What the manual says the faults have taught, where no fault shows it."""

from __future__ import annotations

import time

import pytest

from tests.faults import FAULTS, Scene, measure, reading
from tests.faults.conftest import Stages
from tests.faults.listeners import SOMAXCONN
from tests.faults.nginx import FOLDER, PORT, Nginx
from tests.faults.paths import fill, track
from tests.faults.stage import Host

pytestmark = pytest.mark.lab

ANY = FAULTS[0]


def test_a_full_table_makes_room_for_a_new_flow_where_others_are_not_assured(stages: Stages) -> None:
    with stages(ANY) as stage:
        track(stage.server)
        fill(stage.server, assured=False)
        stage.server.serve()
        measured = measure(Scene(stage, {"per_s": 20, "seconds": 2.0}, shows={}))

    assert measured["server.conntrack.used_percent"] >= 99
    assert measured["server.conntrack.early_drop"] >= 30
    assert measured["server.conntrack.drop"] == 0
    assert measured.load.errors == {}


def test_a_reload_keeps_the_queue_unless_it_asks_for_another(stages: Stages) -> None:
    with stages(ANY) as stage:
        server = stage.server
        server.set(SOMAXCONN, 16)
        nginx = Nginx(server, listen="backlog=4096").start()
        server.set(SOMAXCONN, 4096)

        reload(server, nginx)
        assert limit(server) == 16

        nginx.configure(listen="backlog=2048")
        reload(server, nginx)
        assert limit(server) == 2048


def reload(server: Host, nginx: Nginx) -> None:
    """Reload nginx, and wait until its new worker has taken over."""
    before = nginx.worker()
    server.run("nginx", "-c", f"{FOLDER}/nginx.conf", "-e", f"{FOLDER}/error.log", "-s", "reload")
    deadline_s = time.monotonic() + 10
    while nginx.worker() == before:
        assert time.monotonic() < deadline_s, nginx.log()
        time.sleep(0.02)


def limit(server: Host) -> int:
    return reading.queue_limits(server.run("ss", "-Hltn"))[PORT]
