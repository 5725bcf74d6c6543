"""Rollouts that meet trouble: hosts that die, endpoints that hang, too many failures. The policy says what then."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.acceptance import agreement
from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, Machine
from tests.acceptance.test_gates import serving
from tests.acceptance.test_rollout import SSH, apply, kept, planned, policy, story, waves
from tests.acceptance.under_way import PATIENCE_S, begun
from tests.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

PORT = 8099
# Connections are accepted, by the kernel alone: nobody ever answers.
DEAF = f"""
import socket, sys
listener = socket.create_server(("", {PORT}), backlog=64)
print("up", flush=True)
sys.stdin.read()
"""


def states(told: dict[str, Any]) -> dict[str, str]:
    return {result["host"]: result["state"] for result in told["run"]["results"]}


def agreed(tcptune: Tcptune, before: dict[str, agreement.Truth], fleet: list[Machine]) -> dict[str, str]:
    """Give each host's state, on which journal, records and hosts agree."""
    told = story(tcptune)
    assert agreement.disagreements(told["run"], before, agreement.look(fleet)) == []
    return states(told)


def die(lab: Lab, machine: Machine) -> None:
    """Let a host vanish: nothing answers, and connections that were open are never closed."""
    lab.link_down(machine.name)


def back(lab: Lab, machine: Machine) -> None:
    lab.link_up(machine.name)
    lab.start_sshd(machine.name)


@pytest.mark.parametrize(
    ("on_failure", "others"),
    [
        ("hold", ("confirmed", "held")),
        pytest.param("roll_back_wave", ("confirmed", "rolled back"), marks=pytest.mark.slow),
        pytest.param("roll_back_all", ("rolled back", "rolled back"), marks=pytest.mark.slow),
    ],
)
def test_a_host_that_dies_while_its_wave_soaks_fails_it_and_the_policy_says_what_then(
    tcptune: Tcptune, lab: Lab, machines: Machines, on: On, on_failure: str, others: tuple[str, str]
) -> None:
    first, dying, third = fleet = machines(3)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)
    chosen = policy(tcptune, waves="[1, 100%]", on_failure=on_failure, soak="10s")
    with begun(tcptune, "apply", plan, "--policy", chosen, *ALLOWED, "--timeout", "10") as rollout:
        rollout.until_told("soak_began", wave=2)
        lab.stop_sshd(dying.name)
        die(lab, dying)
        said = rollout.ended(expect=6)

    assert f"gate ssh, connection failed on {dying.name}" in " ".join(said.stdout.split())
    found = states(story(tcptune))
    assert (found[first.name], found[third.name]) == others
    back(lab, dying)

    tcptune.timeout_s = 400
    # What is held goes on, what is to be taken back is: of the host that was away, too.
    tcptune("runs", "resume", "last", expect=0 if on_failure == "hold" else 6)

    ends = {"hold": ["confirmed"] * 3, "roll_back_wave": ["confirmed", "rolled back", "rolled back"]}
    assert list(agreed(tcptune, before, fleet).values()) == ends.get(on_failure, ["rolled back"] * 3)
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.slow
def test_a_host_that_vanishes_while_it_is_changed_holds_nobody_up(
    tcptune: Tcptune, lab: Lab, machines: Machines, on: On
) -> None:
    first, dying, third = fleet = machines(3)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)
    chosen = policy(tcptune, waves="[1, 100%]")
    with begun(tcptune, "apply", plan, "--policy", chosen, *ALLOWED, "--timeout", "20") as rollout:
        rollout.until_told("host_moved", host=dying.name, after="applying")
        # Ansible has logged in: what it sends and waits for now is lost without a word.
        rollout.until(lambda: dying.run("sh", "-c", "pgrep -f '[s]shd.*: operator@' || :"))
        die(lab, dying)
        gone = time.monotonic()
        said = rollout.ended(expect=6)

    # A minute of silence, and what the machine needs for the way back.
    assert time.monotonic() - gone < PATIENCE_S
    assert "1 of 2 hosts of the wave failed, and at most 0 may" in said.stdout
    assert kept(first)
    assert waves(tcptune)[0] == "confirmed"
    assert states(story(tcptune))[third.name] == "rolled back"
    back(lab, dying)

    tcptune.timeout_s = 400
    tcptune("runs", "resume", "last", expect=6)

    assert waves(tcptune) == ["confirmed", "rolled back"]
    agreed(tcptune, before, fleet)
    assert agreement.look([dying])[dying.name].values == before[dying.name].values


@pytest.mark.slow
def test_an_endpoint_that_accepts_and_never_answers_fails_its_gate_in_time(
    tcptune: Tcptune, lab: Lab, machines: Machines, on: On
) -> None:
    first, second = fleet = machines(2)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)
    hangs = f"  - gate: http\n    scheme: http\n    port: {PORT}\n    within_s: 3\n    requests: 2"
    gates = f"{SSH}\n  - gate: tcp\n    ports: [{PORT}]\n{hangs}"
    chosen = policy(tcptune, waves="[1, 100%]", gates=gates)

    with serving(lab, first, DEAF):
        said = apply(tcptune, plan, chosen, expect=6)

    told = story(tcptune)
    assert {one["verdict"] for one in told["samples"] if one["gate"] != "http"} == {"passed"}
    [hung] = [one for one in told["samples"] if one["gate"] == "http"]
    assert (hung["verdict"], hung["threshold"]) == ("failed", 3000)
    assert "within 3 s; before the change, too" in hung["why"]
    assert f"gate http, GET http:{PORT}/ failed on {first.name}" in " ".join(said.stdout.split())
    assert agreed(tcptune, before, fleet) == {first.name: "rolled back", second.name: "planned"}
    assert agreement.look([first])[first.name].values == before[first.name].values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("may_fail", "status", "ends"),
    [
        (1, 6, ["rolled back", "unreachable", "unreachable", "planned"]),
        (2, 4, ["confirmed", "unreachable", "unreachable", "confirmed"]),
    ],
)
def test_a_wave_within_its_limit_of_failures_goes_on_and_one_above_it_takes_all_back(
    tcptune: Tcptune, lab: Lab, machines: Machines, on: On, may_fail: int, status: int, ends: list[str]
) -> None:
    fleet = machines(4)
    plan, before = planned(tcptune, on, fleet), agreement.look(fleet)
    limits = f"{{per_wave: {may_fail}, total: {may_fail}}}"
    chosen = policy(tcptune, waves="[1, 100%]", on_failure="roll_back_all", failures=limits, soak="15s")
    with begun(tcptune, "apply", plan, "--policy", chosen, *ALLOWED, "--timeout", "10") as rollout:
        rollout.until_told("soak_began", wave=1)
        for dying in fleet[1:3]:
            lab.stop_sshd(dying.name)
        said = rollout.ended(expect=status)

    if status == 6:
        assert "2 of 3 hosts of the wave failed, and at most 1 may" in " ".join(said.stdout.split())
    assert list(agreed(tcptune, before, fleet).values()) == ends
