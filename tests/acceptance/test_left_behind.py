"""What a command leaves on the controller when it is killed, and for how long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE
from tests.acceptance.test_killed_controller import workers
from tests.acceptance.watch import Watch

pytestmark = pytest.mark.lab

TOKEN = "only-in-the-Environment7"  # of nothing


def projects(tcptune: Tcptune) -> list[Path]:
    return list(tcptune.work.glob("tcptune-*"))


def test_the_project_of_a_killed_command_holds_no_secret_and_is_removed_by_the_next_one(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    plan = str(tcptune.file("plan.json"))
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune.environment["SOME_TOKEN"] = TOKEN
    watch = Watch(TOKEN, tcptune.folder)

    with watch.watching():
        deadline = time.monotonic() + 60
        with tcptune.started("apply", plan, *ALLOWED) as process:
            while not list(tcptune.work.glob("tcptune-*/artifacts/*/job_events/*.json")):
                assert time.monotonic() < deadline, "Ansible never began"
                time.sleep(0.01)
            process.kill()
        [left] = projects(tcptune)
        while pids := workers(tcptune):
            assert time.monotonic() < deadline, f"what the controller had started never ends: {pids}"
            time.sleep(0.05)
        assert (left / "project/site.yml").exists()
        tcptune("rollback", "last")

    assert projects(tcptune) == []
    # A process cannot hide its environment from its own user.
    assert {path for path in watch.seen if not path.startswith("/proc/")} == set()
    assert watch.looks > 20, "it did not look often enough to say anything"


def test_a_command_that_comes_to_its_end_leaves_nothing(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = str(tcptune.file("plan.json"))
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune.environment["SOME_TOKEN"] = TOKEN
    watch = Watch(TOKEN, tcptune.folder)

    with watch.watching():
        tcptune("apply", plan, *ALLOWED)
        tcptune("rollback", "last")

    assert projects(tcptune) == []
    assert {path for path in watch.seen if not path.startswith("/proc/")} == set()
    assert watch.looks > 20, "it did not look often enough to say anything"
