"""A held change that nobody confirms, more time for it, dangers, and what the doctor says of it all."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

WINDOW_S = 8


def planned(tcptune: Tcptune, on: On, *fleet: Machine) -> str:
    plan = str(tcptune.file("plan.json"))
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    return plan


def wait_until_back(machine: Machine, before: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while machine.state() != before:
        assert time.monotonic() < deadline, "the host did not take it back"
        time.sleep(0.2)


def test_what_nobody_confirms_in_time_is_taken_back_and_the_doctor_says_so(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = planned(tcptune, on, machine)

    held = tcptune("apply", plan, *ALLOWED, "--confirm-within", f"{WINDOW_S}s")
    assert machine.values() == WANTED
    assert "each host by itself from" in held.stdout
    waiting = tcptune("doctor", expect=10).stdout
    assert "the host takes it back by itself at" in waiting
    wait_until_back(machine, before, WINDOW_S + 5)

    behind = tcptune("doctor", machine.name, *on(machine)[:2], expect=10).stdout
    assert "the host says reverted" in behind
    assert f"--limit {machine.name}" in behind
    late = tcptune("confirm", "last", expect=4)
    assert "reverted" in late.stdout
    assert machine.state() == before
    assert "nothing is left over" in tcptune("doctor").stdout


def test_a_host_whose_link_goes_down_after_apply_is_told_as_it_is_all_the_time(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    cut_off, stays = machines(2)
    before = {machine: machine.state() for machine in (cut_off, stays)}
    plan = planned(tcptune, on, cut_off, stays)
    tcptune("apply", plan, *ALLOWED, "--confirm-within", f"{WINDOW_S}s")
    applied = time.monotonic()
    lab.link_down(cut_off.name)
    assert cut_off.values() == WANTED

    # Nothing is known of it, so it is neither fine nor back, whatever the clock says.
    blind = tcptune("doctor", "--timeout", "2", expect=4).stdout
    assert f"?  {cut_off.name}" in blind
    assert f"{cut_off.name}: nothing is left over" not in blind
    wait_until_back(cut_off, before[cut_off], applied + WINDOW_S + 5 - time.monotonic())
    wait_until_back(stays, before[stays], 5)
    tcptune("doctor", "--timeout", "2", expect=4)
    assert "2 held" in tcptune("runs", "last").stdout

    lab.link_up(cut_off.name)
    seen = tcptune("doctor", expect=10).stdout
    assert seen.count("the host says reverted") == 2
    command = seen.partition("at once: tcptune ")[2].splitlines()[0].split()
    tcptune(*command)

    assert "2 reverted" in tcptune("runs", "last").stdout
    assert "nothing is left over" in tcptune("doctor").stdout
    assert {machine: machine.state() for machine in (cut_off, stays)} == before


def test_the_one_command_of_the_doctor_settles_it(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    before = machine.state()
    tcptune("apply", planned(tcptune, on, machine), *ALLOWED, "--confirm-within", "2s")
    wait_until_back(machine, before, 10)

    said = tcptune("doctor", expect=10).stdout
    command = said.partition("try: tcptune ")[2].splitlines()[0].split()
    tcptune(*command)

    assert "1 reverted" in tcptune("runs", "last").stdout
    assert "nothing is left over" in tcptune("doctor").stdout
    assert machine.state() == before


def test_more_time_and_a_confirm_in_time_keep_it(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    tcptune("apply", planned(tcptune, on, machine), *ALLOWED, "--confirm-within", f"{WINDOW_S}s")
    began = time.monotonic()
    tcptune("extend", "last", "10m")
    time.sleep(max(0.0, WINDOW_S + 2 - (time.monotonic() - began)))
    assert machine.values() == WANTED

    tcptune("confirm", "last")

    assert machine.values() == WANTED
    tcptune("verify", "last")
    assert "nothing is left over" in tcptune("doctor").stdout
    tcptune("extend", "last", "10m", expect=2)


def test_a_danger_that_nobody_allows_changes_nothing_anywhere(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = planned(tcptune, on, machine)
    before, traces = machine.state(), machine.traces()
    assert "! danger: " in tcptune("show", plan).stdout

    refused = tcptune("apply", plan, expect=2)

    assert "net.ipv4.ip_local_port_range: " in refused.stderr
    assert "--allow-risk net.ipv4.ip_local_port_range" in refused.stderr
    assert (machine.state(), machine.traces()) == (before, traces)
    assert "no run" in tcptune("runs", "last", expect=2).stderr


def test_what_is_no_time_is_said_before_anything_happens(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = planned(tcptune, on, machine)

    assert "no time between" in tcptune("apply", plan, *ALLOWED, "--confirm-within", "soon", expect=2).stderr
    assert "for ever" in tcptune("extend", "last", "never", expect=2).stderr


def test_records_that_may_not_be_read_are_not_fine(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    tcptune("apply", planned(tcptune, on, machine), *ALLOWED)
    machine.run("sh", "-c", "mv /var/lib/tcptune/runs /var/lib/tcptune/away && touch /var/lib/tcptune/runs")

    said = tcptune("doctor", expect=4)

    assert "could not be read" in said.stdout
    machine.run("sh", "-c", "rm /var/lib/tcptune/runs && mv /var/lib/tcptune/away /var/lib/tcptune/runs")
    tcptune("rollback", "last")
