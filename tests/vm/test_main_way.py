"""Plan, apply, confirm, reboot, roll back, on a machine with a kernel and a systemd of its own."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.lab.vm import VmLab
from tests.vm.conftest import On
from tests.vm.wanted import WANTED, profile

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]


def test_what_is_confirmed_is_live_after_a_reboot_and_taken_back_for_good(
    tcptune: Tcptune, vm: VmLab, machine: Machine, on: On
) -> None:
    before, wanted, plan, facts = machine.state(), profile(tcptune), tcptune.file("plan.json"), tcptune.file("facts")

    tcptune("facts", *on(), "-o", facts)
    system = json.loads(facts.read_text().splitlines()[1])["system"]
    assert system["systemd"]
    assert not system["namespace"]["child"]
    assert system["kernel"].startswith(f"{vm.release.kernel}.")
    tcptune("audit", wanted, *on(), expect=10)
    tcptune("plan", wanted, *on(), "-o", plan, expect=10)
    assert machine.state() == before

    tcptune("apply", plan)
    assert machine.values(*WANTED) == WANTED
    assert machine.run("ls", "/etc/sysctl.d") == _names(before, "/etc/sysctl.d")
    tcptune("confirm", "last")
    machine.reboot()

    assert machine.values(*WANTED) == WANTED
    assert machine.run("systemctl", "is-system-running") == "running\n"
    tcptune("verify", "last")
    tcptune("audit", wanted, *on())

    tcptune("rollback", "last")
    assert machine.state() == before
    machine.reboot()
    assert machine.state() == before
    tcptune("verify", "last")


def test_what_is_held_is_gone_after_a_reboot(tcptune: Tcptune, machine: Machine, on: On) -> None:
    before, plan = machine.state(), tcptune.file("plan.json")
    tcptune("plan", profile(tcptune), *on(), "-o", plan, expect=10)
    tcptune("apply", plan)
    assert machine.values(*WANTED) == WANTED

    machine.reboot()

    assert machine.state() == before
    assert "net.core.somaxconn" in tcptune("verify", "last", expect=10).stdout
    tcptune("rollback", "last")
    assert machine.state() == before


def _names(state: dict[str, str], folder: str) -> str:
    """Give the names in `folder`, as ls lists them, from what a host's state was."""
    inside = sorted(path.removeprefix(f"{folder}/") for path in state if path.startswith(f"{folder}/"))
    return "".join(f"{name}\n" for name in inside)
