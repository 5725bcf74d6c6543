"""Rollouts on real hosts: waves, gates, what becomes of a failure, and what is left of each host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.command import Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, DROPIN, PROFILE, WANTED, Machine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

POLICY = """\
policy: {name}
waves: {waves}
soak: {soak}
gates:
{gates}
on_failure: {on_failure}
confirm: {confirm}
failures: {failures}
"""
SSH = "  - gate: ssh\n    within_s: 8"


def policy(
    tcptune: Tcptune,
    *,
    waves: str = "[1, 2, 100%]",
    gates: str = SSH,
    on_failure: str = "roll_back_wave",
    confirm: str = "after_gates",
    failures: str = "{per_wave: 0, total: 0}",
    soak: str = "1s",
) -> str:
    text = POLICY.format(
        name="test", waves=waves, gates=gates, on_failure=on_failure, confirm=confirm, failures=failures, soak=soak
    )
    return str(tcptune.file("policy.yml", text))


def planned(tcptune: Tcptune, on: On, fleet: list[Machine]) -> str:
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    return str(plan)


def story(tcptune: Tcptune) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tcptune("runs", "show", "last", "--format", "json").stdout)
    return found


def waves(tcptune: Tcptune) -> list[str]:
    return [wave["state"] for wave in story(tcptune)["waves"]]


def kept(machine: Machine) -> bool:
    return machine.values() == WANTED and bool(machine.run("cat", DROPIN))


def apply(tcptune: Tcptune, plan: str, chosen: str, *options: str, expect: int = 0) -> Said:
    # Several Ansible processes one after the other, on a machine that may have other work.
    tcptune.timeout_s = 400
    return tcptune("apply", plan, "--policy", chosen, *ALLOWED, *options, expect=expect)


def test_a_port_that_is_closed_after_the_change_takes_the_canary_back_and_no_second_host_is_touched(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    fleet = machines(3)
    before = {machine: machine.state() for machine in fleet}
    traces = {machine: machine.traces() for machine in fleet[1:]}
    gates = f"{SSH}\n  - gate: tcp\n    ports: [8099]\n    within_s: 2"
    plan = planned(tcptune, on, fleet)

    said = apply(tcptune, plan, policy(tcptune, gates=gates), expect=6)

    assert waves(tcptune) == ["rolled back", "left out"]
    assert "port 8099" in said.stdout
    assert "failed" in said.stdout
    assert {machine: machine.state() for machine in fleet} == before
    assert {machine: machine.traces() for machine in fleet[1:]} == traces
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.slow
def test_a_host_that_dies_in_the_second_wave_fails_it_and_the_first_stays_kept(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    first, second, third = machines(3)
    plan = planned(tcptune, on, [first, second, third])
    before = third.state()
    chosen = policy(tcptune, waves="[1, 100%]")
    second.answer_nobody_here()

    said = apply(tcptune, plan, chosen, "--timeout", "5", expect=6)

    assert waves(tcptune) == ["confirmed", "rolled back"]
    assert "1 of 2 hosts of the wave failed, and at most 0 may" in said.stdout
    assert kept(first)
    assert third.state() == before
