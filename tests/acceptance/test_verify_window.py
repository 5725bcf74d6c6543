"""`verify RUN --window` on real hosts: rates from before a run, from the journal or from files, beside those of now."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.command import Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.test_diagnose import BUCKETS, fault
from tests.acceptance.test_rollout import SSH, policy

pytestmark = pytest.mark.lab

ROOM = f"""\
profile: room
format_version: 1
settings:
  {BUCKETS}: {{at_least: 65536, why: a full table resets what closes, source: a test}}
"""
COUNTERS = f"{SSH}\n  - {{gate: counters, window_s: 5}}"


def outcomes(said: Said) -> dict[str, str]:
    [effect] = json.loads(said.stdout)["effects"]
    return {one["rule"]: one["outcome"] for one in effect["rates"]}


def test_a_rollout_is_measured_by_what_its_gate_saw_before(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    machine.set({BUCKETS: "5"})
    profile, plan = tcptune.file("room.yml", ROOM), tcptune.file("plan.json")
    with fault(machine, "short"):
        tcptune("plan", profile, *on(machine), "-o", plan, expect=10)
        tcptune("apply", plan, "--policy", policy(tcptune, waves="[100%]", gates=COUNTERS), "--allow-risk", BUCKETS)
        seen = tcptune("verify", "last", "--window", "8s", "--format", "json")
    idle = tcptune("verify", "last", "--window", "5s", expect=4)

    assert outcomes(seen)["sent-resets"] == "fixed"
    assert "worse" not in outcomes(seen).values()
    assert f"? {machine.name}  rates: not judged" in idle.stdout
    assert "rates of 1 host not judged" in idle.stdout


def test_without_numbers_from_before_no_rate_is_called_fine(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    machine.set({BUCKETS: "5"})
    profile, plan = tcptune.file("room.yml", ROOM), tcptune.file("plan.json")
    first, last, late = (tcptune.file(name) for name in ("first.jsonl", "last.jsonl", "late.jsonl"))
    tcptune("facts", *on(machine), "-o", first)
    machine.run("sleep", "6")
    tcptune("facts", *on(machine), "-o", last)
    tcptune("plan", profile, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, "--auto-confirm", "--allow-risk", BUCKETS)
    tcptune("facts", *on(machine), "-o", late)

    unknown = tcptune("verify", "last", "--window", "5s", expect=4)
    swapped = tcptune("verify", "last", "--window", "5s", "--before", last, first, expect=2)
    after = tcptune("verify", "last", "--window", "5s", "--before", first, late, expect=2)

    assert f"? {machine.name}  rates: nothing is known of its counters from before the run" in unknown.stdout
    assert "is not older in the first file" in swapped.stderr
    assert ", after run " in after.stderr
