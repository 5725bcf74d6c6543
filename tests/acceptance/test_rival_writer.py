"""Another program writes a setting that we change: the change fails whole, and its message says who and what."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.acceptance.command import Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import SOMAXCONN, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

KEY = "net.ipv4.tcp_fastopen"
PATH = f"/proc/sys/{KEY.replace('.', '/')}"
OURS, THEIRS = "2", "3"
# Written after KEY, so that the rival has a moment before the last look.
MORE = {
    f"net.ipv4.tcp_{name}": value
    for name, value in {
        "fin_timeout": "31",
        "keepalive_intvl": "31",
        "keepalive_probes": "4",
        "keepalive_time": "310",
        "mtu_probing": "1",
        "notsent_lowat": "131072",
        "slow_start_after_idle": "0",
        "syn_retries": "5",
        "synack_retries": "4",
    }.items()
}
_RULES = "".join(
    f"  {key}:\n    exactly: {value}\n    why: a test says so\n    source: a test\n"
    for key, value in {SOMAXCONN: "2048", KEY: OURS, **MORE}.items()
)
PROFILE = f"profile: contested\nsummary: A setting that tuned writes as well.\nsettings:\n{_RULES}"

# The catalogue knows that tuned writes KEY, and a process is known by its name.
_HEAD = """
import sys, time
open("/proc/self/comm", "w").write("tuned")
path, ours, theirs = sys.argv[1:]
def write(value):
    with open(path, "w") as file:
        file.write(value)
print("ready", flush=True)
"""
INSISTS = f"""{_HEAD}
import os
os.nice(-20)
while True:
    with open(path) as file:
        if file.read().strip() == ours:
            write(theirs)
"""
"""Gives the setting its own value as soon as it has ours."""
IDLES = f"{_HEAD}\ntime.sleep(3600)"
EACH_SECOND = f"""{_HEAD}
while True:
    for value in (theirs, ours):
        time.sleep(1)
        write(value)
"""
"""Flips the setting between its value and ours."""

Rival = Callable[[Machine, str], AbstractContextManager[None]]


@pytest.fixture
def rival(lab: Lab) -> Rival:
    @contextmanager
    def at_work(machine: Machine, program: str) -> Iterator[None]:
        command = lab.command(machine.name, ["python3", "-c", program, PATH, OURS, THEIRS])
        with subprocess.Popen(command, env=lab.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield
            finally:
                # The program is a child of what enters the host, and dies with nobody.
                machine.run("pkill", "-x", "tuned")
                process.kill()

    return at_work


@pytest.fixture
def planned(tcptune: Tcptune, on: On, rival: Rival) -> Callable[[Machine], str]:
    """Give what makes a plan for a host on which tuned was seen."""

    def make(machine: Machine) -> str:
        plan = str(tcptune.file("plan.json"))
        with rival(machine, IDLES):
            tcptune("plan", tcptune.file("contested.yml", PROFILE), *on(machine), "-o", plan, expect=10)
        return plan

    return make


def applied(tcptune: Tcptune, plan: str) -> Said:
    done = subprocess.run(
        tcptune.argv(("apply", plan)),
        cwd=tcptune.work,
        env=tcptune.environment,
        text=True,
        capture_output=True,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_who_insists_on_its_own_value_makes_the_run_fail_and_is_named(
    tcptune: Tcptune, machines: Machines, planned: Callable[[Machine], str], rival: Rival
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = planned(machine)
    with rival(machine, INSISTS):
        done = applied(tcptune, plan)
        for _ in range(4):
            if done.status != 0:
                break
            # It came only after the last look: the run is held, and taken back as ever.
            tcptune("rollback", "last", expect=4)
            machine.set({KEY: before[PATH]})
            done = applied(tcptune, plan)

        assert done.status == 4, done
        assert f"{machine.name}: failed" in done.stderr
        for said in (f"{KEY} = {OURS}", f"it shows {THEIRS}", "tuned is known to write it", "keep tuned from writing"):
            assert said in done.stdout
        # It has lost nothing either: what it wrote meanwhile was an answer to us.
        assert machine.state() == before
    assert "nothing is left over" in tcptune("doctor").stdout
    tcptune("rollback", "last", expect=2)


def test_who_flips_it_each_second_before_the_change_is_named_and_nothing_is_changed(
    tcptune: Tcptune, machines: Machines, planned: Callable[[Machine], str], rival: Rival
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = planned(machine)
    with rival(machine, EACH_SECOND):
        while machine.value(KEY) == before[PATH]:
            time.sleep(0.1)

        refused = tcptune("apply", plan, expect=5)

        assert f"{KEY} is " in refused.stderr
        assert f"the plan was made for {before[PATH]}; tuned is known to write it" in refused.stderr
        assert machine.state() | {PATH: ""} == before | {PATH: ""}


def test_who_flips_it_each_second_while_it_is_changed_never_leaves_it_half_done(
    tcptune: Tcptune, machines: Machines, planned: Callable[[Machine], str], rival: Rival
) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = planned(machine)

    with tcptune.started("apply", plan) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if ": applying" in line)
        with rival(machine, EACH_SECOND):
            said += process.stderr.read()
            status = process.wait(60)
            while machine.value(KEY) != THEIRS:
                time.sleep(0.05)
            if status == 0:
                # It did not flip between the write and the look: then confirm is who meets it, or else nobody does.
                done = tcptune("rollback", "last", expect=4)
                said += done.stderr
    assert status in (0, 4, 5)
    assert KEY in said
    assert machine.state() | {PATH: ""} == before | {PATH: ""}


def test_who_changed_it_while_it_was_held_keeps_it_from_being_confirmed(
    tcptune: Tcptune, machines: Machines, planned: Callable[[Machine], str]
) -> None:
    [machine] = machines(1)
    before = machine.state()
    tcptune("apply", planned(machine))
    machine.set({KEY: THEIRS})

    refused = tcptune("confirm", "last", expect=4)

    assert f"{KEY} is no longer {OURS}: it is {THEIRS}; tuned is known to write it" in refused.stderr
    left = tcptune("rollback", "last", expect=4)
    assert f"changed by somebody else since, and left: {KEY}" in left.stderr
    assert machine.state() == before | {PATH: THEIRS}
