"""Settings that bound each other: written, taken back and booted in an order that the kernel takes."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import DROPIN, Machine

pytestmark = pytest.mark.lab

START = "net.ipv4.ip_unprivileged_port_start"
PORTS = "net.ipv4.ip_local_port_range"


def profile(values: dict[str, str]) -> str:
    rules = "".join(
        f"  {key}:\n    exactly: {value}\n    why: the port register says so\n    source: port register\n"
        for key, value in values.items()
    )
    return f"profile: ports\nsummary: Ports of a test.\nsettings:\n{rules}"


def written(machine: Machine, run: str) -> list[str]:
    """Give the keys in the order in which the host's own record has them."""
    record = json.loads(machine.read(f"/var/lib/tcptune/runs/{run}/manifest.json"))
    return [one["key"] for one in record["keys"]]


@pytest.mark.parametrize(
    ("now", "wanted", "order"),
    [
        ({}, {PORTS: "500 60000", START: "400"}, [START, PORTS]),
        ({PORTS: "1024 60999"}, {PORTS: "2048 60000", START: "2000"}, [PORTS, START]),
    ],
    ids=["lowering", "raising"],
)
def test_coupled_settings_go_there_back_and_through_a_boot(
    tcptune: Tcptune, machines: Machines, on: On, now: dict[str, str], wanted: dict[str, str], order: list[str]
) -> None:
    [machine] = machines(1)
    machine.set(now)
    before = machine.state()
    allowed = [word for key in wanted for word in ("--allow-risk", key)]
    asked, plan = tcptune.file("ports.yml", profile(wanted)), tcptune.file("plan.json")

    tcptune("plan", asked, *on(machine), "-o", plan, expect=10)
    [cohort] = json.loads(plan.read_text())["cohorts"]
    assert [one["key"] for one in cohort["changes"]] == order
    shown = " ".join(tcptune("show", plan).stdout.split())
    assert f"written before {order[1]}: " in shown
    assert f"written before {order[1]}: " in tcptune("show", plan, "--format", "markdown").stdout

    tcptune("apply", plan, *allowed)
    run = json.loads(tcptune("runs", "last", "--format", "json").stdout)["run_id"]
    assert machine.values(*wanted) == wanted
    assert written(machine, run) == order

    tcptune("rollback", "last")
    assert machine.state() == before

    tcptune("apply", plan, *allowed, "--auto-confirm")
    machine.reboot()
    assert machine.values(*wanted) == wanted, machine.read(DROPIN)
