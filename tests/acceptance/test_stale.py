"""A host that has moved since the plan was made is refused, and nothing is written there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, DROPIN, PROFILE, SOMAXCONN, WANTED, Machine

pytestmark = pytest.mark.lab


def a_value(machine: Machine) -> None:
    machine.set({SOMAXCONN: "1000"})


def our_file(machine: Machine) -> None:
    machine.write(DROPIN, "net.ipv4.tcp_fin_timeout = 20\n")


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (a_value, f"{SOMAXCONN} is 1000, the plan was made for 4096"),
        (our_file, f"{DROPIN} is not the file the plan was made for"),
    ],
)
def test_one_host_that_moved_stops_all_unless_it_is_to_be_left_out(
    tcptune: Tcptune, machines: Machines, on: On, move: Callable[[Machine], None], why: str
) -> None:
    moved, *others = fleet = machines(3)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    move(moved)
    before = {machine: (machine.state(), machine.traces()) for machine in fleet}

    refused = tcptune("apply", plan, *ALLOWED, expect=5)

    assert f"{moved.name}: {why}" in refused.stderr
    assert "nothing was changed anywhere" in refused.stderr
    assert {machine: (machine.state(), machine.traces()) for machine in fleet} == before
    assert "No runs yet" in tcptune("runs").stdout

    done = tcptune("apply", plan, *ALLOWED, "--skip-stale", expect=5)

    assert f"{moved.name}: stale ({why})" in done.stderr
    assert "2 held, 1 stale" in done.stdout
    assert [machine.values() for machine in others] == [WANTED, WANTED]
    assert (moved.state(), moved.traces()) == before[moved]


def test_a_host_that_moved_after_apply_is_not_confirmed_and_the_others_are(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    moved, other = machines(2)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(moved, other), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    moved.set({SOMAXCONN: "1000"})

    done = tcptune("confirm", "last", expect=4)

    assert f"{SOMAXCONN} is no longer 8192: it is 1000" in done.stderr
    assert f"{other.name}: confirmed" in done.stderr
    assert "1 held" in tcptune("runs", "last").stdout
