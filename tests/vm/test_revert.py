"""A machine with a systemd of its own that nobody can reach any more: its transient timer takes the change back."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.acceptance.machine import Machine
from tests.lab.vm import VmLab
from tests.vm.conftest import On
from tests.vm.wanted import WANTED, Patient, profile

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

WINDOW_S = 60
# What the host is given to take the change back once the time is over.
GRACE_S = 5


def test_a_machine_that_is_cut_off_takes_the_change_back_by_a_timer_of_systemd(
    tcptune: Patient, machine: Machine, on: On, vm: VmLab
) -> None:
    before, plan = machine.state(), tcptune.file("plan.json")
    tcptune("plan", profile(tcptune), *on(), "-o", plan, expect=10)

    tcptune("apply", plan, "--confirm-within", f"{WINDOW_S}s")
    applied = time.monotonic()
    vm.link_down()
    time.sleep(WINDOW_S + GRACE_S)
    vm.link_up()

    assert machine.state() == before
    assert machine.values(*WANTED) != WANTED
    log = machine.run("journalctl", "--no-pager", "-o", "cat", "-u", "tcptune-revert-*")
    assert "tcptune takes back run" in log
    assert time.monotonic() - applied > WINDOW_S
    late_s = _late_s(machine)
    print(f"taken back {late_s:.0f} s after the time was over")
    assert 0 <= late_s <= GRACE_S
    assert "the host says reverted" in tcptune("doctor", expect=10).stdout
    tcptune("rollback", "last")
    assert "1 reverted" in tcptune("runs", "last").stdout
    assert "nothing is left over" in tcptune("doctor").stdout


def test_a_confirm_in_time_ends_the_timer(tcptune: Patient, machine: Machine, on: On) -> None:
    plan = tcptune.file("plan.json")
    tcptune("plan", profile(tcptune), *on(), "-o", plan, expect=10)
    tcptune("apply", plan, "--confirm-within", "10m")
    assert "tcptune-revert-" in machine.run("systemctl", "list-units", "--no-legend", "tcptune-revert-*")

    tcptune("confirm", "last")

    assert "tcptune-revert-" not in machine.run("systemctl", "list-units", "--no-legend", "tcptune-revert-*")
    assert machine.values(*WANTED) == WANTED
    tcptune("rollback", "last")


def _late_s(machine: Machine) -> float:
    """Give how long after its time a run was taken back, by the host's own record: whole seconds, by one clock."""
    deadline = machine.run("sh", "-c", "tail -n 1 /var/lib/tcptune/runs/*/deadline").strip()
    state, at = machine.run("sh", "-c", "tail -n 1 /var/lib/tcptune/runs/*/state").split()
    assert state == "reverted"
    return (datetime.fromisoformat(at) - datetime.fromisoformat(deadline)).total_seconds()
