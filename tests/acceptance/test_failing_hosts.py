"""Over a fleet some host is always down. The others are done, and it is named with the reason."""

from __future__ import annotations

import ipaddress
import json
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.command import TRACEBACK, Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab


def break_three(lab: Lab, down: Machine, stranger: Machine, closed: Machine) -> None:
    lab.stop_sshd(down.name)
    lab.wrong_host_key(stranger.name)
    lab.deny_sudo(closed.name)


def named(said: str) -> dict[str, str]:
    """Map each host that a report calls unread to the reason."""
    rows = [line.split("  could not be read: ") for line in said.splitlines() if "could not be read: " in line]
    return {name.removeprefix("? "): reason for name, reason in rows}


def check_reasons(reasons: dict[str, str], down: Machine, stranger: Machine, closed: Machine) -> None:
    assert reasons.keys() == {down.name, stranger.name, closed.name}
    assert "refused" in reasons[down.name]
    assert "known_hosts says" in reasons[stranger.name]
    assert "sudo" in reasons[closed.name]


def waits_for(machine: Machine) -> bool:
    """Tell whether somebody here has asked `machine` for a connection and had no answer."""
    # Addresses are hexadecimal, last byte first; 02 is SYN_SENT.
    address = ipaddress.IPv4Address(machine.address).packed[::-1].hex().upper()
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2] == f"{address}:0016" and row[3] == "02" for row in rows)


def test_of_ten_hosts_the_seven_that_answer_are_read_judged_and_planned_for(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    fleet = machines(10)
    down, stranger, closed = broken = fleet[1], fleet[4], fleet[7]
    well = sorted(machine.name for machine in fleet if machine not in broken)
    break_three(lab, *broken)
    facts, plan = tcptune.file("facts.jsonl"), tcptune.file("plan.json")

    read = tcptune("facts", *on(*fleet), "-o", facts, expect=4)
    judged = tcptune("audit", PROFILE, *on(*fleet), expect=4)
    planned = tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=4)

    for said in (read.stderr, judged.stdout, planned.stdout):
        check_reasons(named(said), down, stranger, closed)
    assert "read 7 of 10 hosts" in read.stderr
    assert "7 of 10 hosts deviate" in judged.stdout
    assert "3 could not be read" in judged.stdout
    held = [json.loads(line) for line in facts.read_text().splitlines()[1:]]
    assert sorted(one["host"] for one in held if "sysctl" in one) == well
    assert sorted(one["host"] for one in held if "error" in one) == sorted(machine.name for machine in broken)
    assert sorted(json.loads(plan.read_text())["hosts"]) == well


def test_of_ten_hosts_the_seven_that_are_still_well_are_changed(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    fleet = machines(10)
    down, stranger, closed = broken = fleet[1], fleet[4], fleet[7]
    before = {machine: machine.state() for machine in fleet}
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    break_three(lab, *broken)
    untouched = {machine: (machine.state(), machine.traces()) for machine in broken}

    done = tcptune("apply", plan, *ALLOWED, expect=4)

    check_reasons(_unreachable(done), down, stranger, closed)
    assert "3 unreachable" in done.stdout
    assert "7 held" in done.stdout
    for machine in fleet:
        if machine in broken:
            assert (machine.state(), machine.traces()) == untouched[machine]
        else:
            assert machine.values() == WANTED
    # The three take no part in the way back, for nothing was begun there.
    tcptune("rollback", "last")
    for machine in fleet:
        if machine is not closed:  # its sudoers is gone
            assert machine.state() == before[machine]


def test_a_host_that_goes_down_before_confirm_is_named_and_stays_held(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    well, down = machines(2)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(well, down), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    lab.stop_sshd(down.name)

    done = tcptune("confirm", "last", expect=4)
    assert f"{down.name}: held (connection lost" in done.stderr
    assert f"{well.name}: confirmed" in done.stderr
    assert down.name in tcptune("verify", "last", expect=4).stdout

    lab.start_sshd(down.name)
    assert f"{down.name}: confirmed" in tcptune("confirm", "last").stderr
    tcptune("verify", "last")


def test_a_host_that_swallows_every_packet_holds_nobody_up_for_long(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    well, cut_off = machines(2)
    lab.link_down(cut_off.name)

    read = tcptune("facts", *on(well, cut_off), "--timeout", "3", "-o", tcptune.file("facts.jsonl"), expect=4)

    assert named(read.stderr).keys() == {cut_off.name}
    assert "read 1 of 2 hosts" in read.stderr


def test_ctrl_c_ends_the_reading_at_once(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [silent] = machines(1)
    silent.answer_nobody_here()

    with tcptune.started("facts", *on(silent), "--timeout", "60") as process:
        deadline = time.monotonic() + 20
        while not waits_for(silent):
            assert time.monotonic() < deadline, "it does not even try"
            time.sleep(0.02)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(10) == 128 + signal.SIGINT

    assert time.monotonic() - asked < 3
    assert TRACEBACK not in said
    assert "stopped" in said


def test_a_line_of_known_hosts_that_makes_no_sense_is_passed_over_as_ssh_does(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    [machine] = machines(1)
    good = lab.known_hosts.read_text()
    try:
        lab.known_hosts.write_text("what ssh-ed25519 is=this\nno line at all\n" + good)

        read = tcptune("facts", *on(machine))
    finally:
        lab.known_hosts.write_text(good)

    assert "read 1 of 1 hosts" in read.stderr


def _unreachable(done: Said) -> dict[str, str]:
    rows = [line.strip().split(": unreachable ") for line in done.stderr.splitlines() if ": unreachable " in line]
    return dict(rows)
