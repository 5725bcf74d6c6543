"""The way back: from the host's own record, and never over what somebody else has done since."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections.abc import Callable

import pytest

from tests.acceptance.command import TRACEBACK, Tcptune, command_lines
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, DROPIN, PROFILE, SOMAXCONN
from tests.demo import DETUNED

pytestmark = pytest.mark.lab


def test_what_somebody_else_changed_since_is_named_and_left_unless_it_is_forced(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    machine.set({SOMAXCONN: "1234"})

    done = tcptune("rollback", "last", expect=4)
    assert f"changed by somebody else since, and left: {SOMAXCONN}" in done.stderr
    assert "--force-key" in done.stdout
    path = f"/proc/sys/{SOMAXCONN.replace('.', '/')}"
    assert machine.state() == before | {path: "1234"}

    tcptune("rollback", "last", "--force-key", SOMAXCONN)
    assert machine.state() == before


def test_our_file_edited_by_hand_since_is_named_and_left_unless_it_is_forced(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED, "--auto-confirm")
    edited = machine.read(DROPIN) + "net.ipv4.tcp_fin_timeout = 20\n"
    machine.write(DROPIN, edited)

    done = tcptune("rollback", "last", expect=4)
    assert DROPIN in done.stderr
    assert machine.read(DROPIN) == edited
    assert machine.value(SOMAXCONN) == "4096"

    tcptune("rollback", "last", "--force-key", DROPIN)
    assert machine.state() == before


def test_one_host_is_rolled_back_and_the_other_is_left(tcptune: Tcptune, machines: Machines, on: On) -> None:
    back, stays = machines(2)
    before = {machine: machine.state() for machine in (back, stays)}
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(back, stays), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    state, traces = stays.state(), stays.traces()

    tcptune("rollback", "last", "--limit", back.name)
    assert back.state() == before[back]
    assert (stays.state(), stays.traces()) == (state, traces)
    assert "1 held, 1 rolled back" in tcptune("runs", "last").stdout

    tcptune("rollback", "last")
    assert stays.state() == before[stays]
    tcptune("rollback", "last", expect=2)


def test_a_run_upon_a_run_is_taken_back_first(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    machine.set(DETUNED)
    states, runs = [machine.state()], []
    for profile in ("baseline", PROFILE):
        plan = tcptune.file(f"{profile}.json")
        tcptune("plan", profile, *on(machine), "-o", plan, expect=10)
        tcptune("apply", plan, *ALLOWED, "--auto-confirm")
        runs.append(json.loads(tcptune("runs", "last", "--format", "json").stdout)["run_id"])
        states.append(machine.state())
    before, between, _ = states

    tcptune("rollback", runs[1])
    assert machine.state() == between
    tcptune("rollback", runs[0])
    assert machine.state() == before


def at_the_start(line: str) -> bool:
    return ": applying" in line


def with_one_host_done(line: str) -> bool:
    return ": held" in line


def while_it_confirms(line: str) -> bool:
    return ": confirmed" in line


@pytest.mark.parametrize(
    ("moment", "pause_s"),
    [(at_the_start, 0.0), (at_the_start, 0.8), (with_one_host_done, 0.0), (while_it_confirms, 0.0)],
)
def test_a_controller_that_dies_leaves_a_way_back(
    tcptune: Tcptune, machines: Machines, on: On, moment: Callable[[str], bool], pause_s: float
) -> None:
    fleet = machines(3)
    before = {machine: machine.state() for machine in fleet}
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)

    with tcptune.started("apply", plan, "--auto-confirm", *ALLOWED) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if moment(line))
        time.sleep(pause_s)
    # Whoever worked on after the way back was taken would undo it.
    deadline = time.monotonic() + 5
    while working := workers(tcptune):
        assert time.monotonic() < deadline, f"Ansible goes on without its controller: {working}"
        time.sleep(0.05)
    tcptune("rollback", "last")

    assert {machine: machine.state() for machine in fleet} == before
    assert "applying" not in tcptune("runs", "last").stdout


def test_who_stops_it_with_ctrl_c_is_told_so_and_has_a_way_back(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)

    with tcptune.started("apply", plan, *ALLOWED) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if at_the_start(line))
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(10) == 128 + signal.SIGINT

    assert "stopped" in said
    assert TRACEBACK not in said
    assert not workers(tcptune)
    tcptune("rollback", "last")
    assert machine.state() == before


def workers(tcptune: Tcptune) -> list[str]:
    """List what still runs of a command, but for the ssh connections that wait for the next one."""
    return [line for line in command_lines({"HOME": str(tcptune.home)}) if "[mux]" not in line]


def test_a_host_that_lost_its_record_is_settled_by_the_command_that_the_doctor_names(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    rebooted, holds = machines(2)
    before = {machine: machine.state() for machine in (rebooted, holds)}
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(rebooted, holds), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    rebooted.reboot()
    for machine in (rebooted, holds):
        machine.run("rm", "-r", "/var/lib/tcptune")
    said = json.loads(tcptune("doctor", "--format", "json", expect=10).stdout)
    [settlement] = said["settlements"]
    assert settlement["hosts"] == sorted([rebooted.name, holds.name])
    command = shlex.split(settlement["command"])[1:]

    done = tcptune(*command, "--format", "json", expect=4)

    found = {one["host"]: one for one in json.loads(done.stdout)["results"]}
    assert (found[rebooted.name]["state"], found[rebooted.name]["error"]) == ("rolled back", None)
    assert found[holds.name]["state"] == "held"
    assert "and it is not as before: net." in found[holds.name]["error"]
    [left] = json.loads(tcptune("doctor", "--format", "json", expect=10).stdout)["leftovers"]
    assert left["host"] == holds.name

    holds.reboot()
    tcptune(*shlex.split(left["command"])[1:])
    assert json.loads(tcptune("doctor", "--format", "json").stdout)["leftovers"] == []
    assert {machine: machine.state() for machine in (rebooted, holds)} == before
