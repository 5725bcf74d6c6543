"""A service of a real systemd gets its limit of open files from our drop-in, and loses it with the run."""

from __future__ import annotations

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.vm.conftest import On

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

UNIT = "listens.service"
SERVICE = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server 8080
[Install]
WantedBy=multi-user.target
"""
FOLDER = f"/etc/systemd/system/{UNIT}.d"
DROP_IN = f"{FOLDER}/99-tcptune.conf"
PROFILE = f"""\
profile: limits
format_version: 1
summary: What the test wants.
limits:
  nofile:
    at_least: 70000
    processes: {UNIT}
    why: the test looks for it
    source: the test
"""


@pytest.fixture
def serving(machine: Machine) -> Machine:
    """Give a machine with a service of its operator's, which boots with it."""
    machine.write(f"/etc/systemd/system/{UNIT}", SERVICE)
    machine.run("systemctl", "enable", "--quiet", "--now", UNIT)
    _wait_for_its_port(machine)
    return machine


def test_a_service_gets_its_limit_at_its_next_start_and_loses_it_with_the_run(
    tcptune: Tcptune, serving: Machine, on: On
) -> None:
    before, limit = serving.state(), _soft_limit(serving)
    wanted, plan = tcptune.file("limits.yml", PROFILE), tcptune.file("plan.json")
    assert limit < 70000

    tcptune("plan", wanted, *on(), "-o", plan, expect=10)
    assert DROP_IN in tcptune("show", plan).stdout
    tcptune("apply", plan)
    assert serving.state() == before
    said = tcptune("confirm", "last")

    assert f"systemctl restart {UNIT}" in said.stdout
    assert serving.state().keys() - before.keys() == {DROP_IN}
    assert _soft_limit(serving) == limit, "nobody restarts a service but its operator"
    _restart(serving)
    assert _soft_limit(serving) == 70000
    tcptune("verify", "last")
    tcptune("audit", wanted, *on())
    serving.reboot()
    _wait_for_its_port(serving)
    assert _soft_limit(serving) == 70000

    tcptune("rollback", "last")

    assert serving.state() == before
    assert FOLDER not in serving.run("find", "/etc/systemd/system", "-maxdepth", "1").split()
    _restart(serving)
    assert _soft_limit(serving) == limit


def _restart(machine: Machine) -> None:
    """Do what the operator is told to, and no more: no daemon-reload."""
    machine.run("systemctl", "restart", UNIT)
    _wait_for_its_port(machine)


def _wait_for_its_port(machine: Machine) -> None:
    """Wait until the service listens: a plan is about processes that do."""
    machine.run("sh", "-c", "for _ in $(seq 60); do ss -Hltn sport = 8080 | grep -q . && exit; sleep 1; done; exit 1")


def _soft_limit(machine: Machine) -> int:
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT).strip()
    [line] = [line for line in machine.read(f"/proc/{pid}/limits").splitlines() if line.startswith("Max open files")]
    return int(line.split()[3])
