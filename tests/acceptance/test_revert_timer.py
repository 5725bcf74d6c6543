"""A host that nobody can reach any more takes a change back by itself."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import DROPIN, GRANTED, PROFILE, WANTED
from tests.acceptance.test_render import ansible_playbook
from tests.lab import Lab

pytestmark = pytest.mark.lab

WINDOW_S = 8


@pytest.mark.parametrize("fault", ["stop_sshd", "link_down"])
def test_a_host_that_is_cut_off_after_apply_is_as_before_within_the_window_and_5_seconds(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab, fault: str
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan, project = tcptune.file("plan.json"), tcptune.file("project")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("render", plan, "-d", project)

    ansible_playbook(tcptune, project, "site.yml", *GRANTED, "-e", f"tcp_settings_revert_after_s={WINDOW_S}")
    applied = time.monotonic()
    getattr(lab, fault)(machine.name)
    assert machine.values() == WANTED

    # The look goes past the network.
    while machine.state() != before:
        assert time.monotonic() - applied < WINDOW_S + 5
        time.sleep(0.2)
    assert time.monotonic() - applied > WINDOW_S - 5

    # Which gives the operator another password as well.
    lab.restore(machine.name)
    state = machine.state()
    late = ansible_playbook(tcptune, project, "confirm.yml", expect=2)
    assert "is reverted: its time was over" in late.stdout + late.stderr
    assert machine.state() == state


def test_a_run_that_is_confirmed_in_time_stays(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan, project = tcptune.file("plan.json"), tcptune.file("project")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("render", plan, "-d", project)
    ansible_playbook(tcptune, project, "site.yml", *GRANTED, "-e", "tcp_settings_revert_after_s=30")
    assert "rollback.sh timer" in machine.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")

    ansible_playbook(tcptune, project, "confirm.yml")

    assert "rollback.sh timer" not in machine.run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert machine.values() == WANTED
    assert machine.read(DROPIN)
