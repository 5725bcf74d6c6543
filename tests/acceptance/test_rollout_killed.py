"""Kill -9 of a rollout's controller: one command finishes or undoes it; journal, records, hosts and events agree."""

from __future__ import annotations

import json
import os
import random
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tcptune.workflows.claims import LEASE_S
from tests.acceptance import agreement, retold
from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.killing import PATIENCE_S, Moment, complaints, killed_at, killed_when, timeline
from tests.acceptance.machine import ALLOWED, DROPIN, WANTED, Machine
from tests.acceptance.test_rollout import SSH, planned, policy

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

MOMENTS = int(os.environ.get("TCPTUNE_ROLLOUT_KILLS", "25"))
HOSTS = int(os.environ.get("TCPTUNE_ROLLOUT_HOSTS", "20"))
"""How many moments the slow test draws, and of a rollout to how many hosts."""
SEED = int(os.environ.get("TCPTUNE_ROLLOUT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


class Fleet:
    """Some hosts, a plan for them, and what is said of them by those who should say the same."""

    def __init__(self, tcptune: Tcptune, on: On, machines: list[Machine]) -> None:
        self.tcptune, self.machines = tcptune, machines
        self.names = [machine.name for machine in machines]
        self.plan = planned(tcptune, on, machines)
        self.before = agreement.look(machines)
        self.events = tcptune.file("events.jsonl")
        self.read = 0
        """Events of commands that are over."""
        self.logged = 0
        """Lines of the run's log from commands that are over."""
        tcptune.timeout_s = PATIENCE_S

    def telling(self, *words: str) -> list[str]:
        return [*words, "--events", str(self.events)]

    def runs(self) -> list[str]:
        said = self.tcptune("runs", "list", "--format", "json").stdout
        return [run["run_id"] for run in json.loads(said)["runs"]]

    def run(self) -> dict[str, Any]:
        return retold.exported(self.tcptune("runs", "export", "last").stdout)

    def begins(self) -> None:
        """Forget what was read: a new run begins."""
        self.events.unlink(missing_ok=True)
        self.read = self.logged = 0

    def check_what_was_told(self) -> None:
        """Check that the events of a command that was killed tell what the journal has, but for the very last thing."""
        run, events = self.run(), retold.read(self.events, self.read)
        unsaid = retold.lacking(events, run, self.logged)
        assert len(unsaid) <= 1, unsaid
        self.read, self.logged = self.read + len(events), len(run["log"])

    def check(self, *, after: bool, told: bool = True) -> None:
        """Check that everybody says the same, and that all hosts are all after, or all before."""
        run, now = self.run(), agreement.look(self.machines)
        assert agreement.disagreements(run["run"], self.before, now) == []
        assert agreement.all_alike(now, self.names)
        assert (now[self.names[0]].values == WANTED) is after
        assert now[self.names[0]].dropin is after, DROPIN
        if told:
            assert retold.differences(retold.read(self.events), run) == []


@pytest.mark.parametrize(
    ("what", "after", "children", "undo"),
    [
        ("host", "applying", False, False),
        pytest.param("host", "held", True, False, marks=pytest.mark.slow),
        ("wave", "soaking", False, True),
        pytest.param("wave", "passed", True, False, marks=pytest.mark.slow),
        pytest.param("wave", "confirmed", False, True, marks=pytest.mark.slow),
    ],
)
def test_one_command_finishes_or_undoes_what_a_killed_controller_left(
    tcptune: Tcptune, machines: Machines, on: On, what: str, after: str, *, children: bool, undo: bool
) -> None:
    fleet = Fleet(tcptune, on, machines(3))
    chosen = policy(tcptune, waves="[1, 100%]")

    apply = fleet.telling("apply", fleet.plan, "--policy", chosen, *ALLOWED)
    killed_when(tcptune, what, after, *apply, children=children)
    fleet.check_what_was_told()
    tcptune(*fleet.telling(*(("rollback",) if undo else ("runs", "resume")), "last"))

    fleet.check(after=not undo)
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.slow
def test_what_finishes_and_what_undoes_a_rollout_may_be_killed_too(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    fleet = Fleet(tcptune, on, machines(4))
    chosen = policy(tcptune, waves="[1, 1, 100%]")

    killed_when(
        tcptune,
        "wave",
        "changing",
        *fleet.telling("apply", fleet.plan, "--policy", chosen, *ALLOWED),
        children=True,
    )
    fleet.check_what_was_told()
    killed_when(tcptune, "wave", "confirmed", *fleet.telling("runs", "resume", "last"), children=False)
    fleet.check_what_was_told()
    killed_when(tcptune, "host", "rolled back", *fleet.telling("rollback", "last"), children=True)
    fleet.check_what_was_told()
    tcptune(*fleet.telling("rollback", "last"))

    fleet.check(after=False)
    assert "nothing is left over" in tcptune("doctor").stdout


def test_a_way_back_that_is_killed_goes_on_and_no_wave_begins_after_it(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    fleet = Fleet(tcptune, on, machines(3))
    harming = harmful(tcptune, fleet)

    apply = fleet.telling("apply", fleet.plan, "--policy", harming, *ALLOWED)
    killed_when(tcptune, "host", "rolled back", *apply, children=False)
    fleet.check_what_was_told()
    tcptune(*fleet.telling("runs", "resume", "last"), expect=6)

    fleet.check(after=False)
    assert [wave["state"] for wave in fleet.run()["waves"]] == ["rolled back", "rolled back", "left out"]


def harmful(tcptune: Tcptune, fleet: Fleet, waves: str = "[1, 1, 100%]") -> str:
    """Give a policy whose gate fails on every host but the canary, and which takes everything back then."""
    command = f'command: [test, "{{host}}", "=", "{fleet.names[0]}"]'
    gates = f"{SSH}\n  - gate: command\n    name: canary-alone\n    {command}"
    text = Path(policy(tcptune, waves=waves, gates=gates, on_failure="roll_back_all")).read_text()
    return str(tcptune.file("harmful.yml", text))


@dataclass(frozen=True)
class Kill:
    """What is killed when, and what becomes of the rollout then."""

    harms: bool
    first: Moment
    undo: bool
    second: Moment | None
    """When what takes it up is killed as well."""


def drawn(chance: random.Random, came: Sequence[float], at: float, *, children: bool) -> Moment:
    """Give the moment that comes after a part of the time that a command took when it was not killed."""
    then_s = came[-1] * at
    number = bisect_right(came[:-1], then_s)
    later_s = then_s - (came[number - 1] if number else 0.0)
    return Moment(number, later_s, children) if number else Moment(0, then_s * chance.uniform(0.9, 1.0), children)


def kills(chance: random.Random, well: Sequence[float], harmed: Sequence[float], count: int) -> list[Kill]:
    """Draw moments that cover all of a rollout, of one that fails, and of what takes them up."""
    found = []
    for number in range(count):
        # Every third rollout fails: its moments are of its second half, where its way back is.
        harms = number % 3 == 2
        at = (number + chance.random()) / count
        first = drawn(chance, harmed if harms else well, 0.5 + at / 2 if harms else at, children=chance.random() < 0.5)
        second = None
        if chance.random() < 0.5:
            second = Moment(chance.randrange(1, 14), chance.uniform(0, 2), chance.random() < 0.5)
        found.append(Kill(harms, first, undo=bool((number + chance.randrange(2)) % 2), second=second))
    return found


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_a_controller_that_is_killed_at_random_moments_leaves_all_hosts_alike(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    print(f"\nTCPTUNE_ROLLOUT_SEED={SEED} TCPTUNE_ROLLOUT_KILLS={MOMENTS} TCPTUNE_ROLLOUT_HOSTS={HOSTS}")
    chance = random.Random(SEED)  # noqa: S311  # moments, no secrets
    fleet = Fleet(tcptune, on, machines(HOSTS))
    harming = harmful(tcptune, fleet, waves="[1, 10%, 100%]")
    chosen = policy(tcptune, waves="[1, 10%, 100%]")

    def applying(harms: bool) -> list[str]:
        return fleet.telling("apply", fleet.plan, "--policy", harming if harms else chosen, *ALLOWED)

    status, harmed = timeline(tcptune, *applying(True))
    assert status == 6
    fleet.check(after=False)
    fleet.begins()
    status, well = timeline(tcptune, *applying(False))
    assert status == 0
    fleet.check(after=True)
    tcptune("rollback", "last")
    fleet.check(after=False, told=False)
    print(f"a rollout takes {well[-1]:.0f} s and {len(well) - 1} lines of the log; one that fails {harmed[-1]:.0f} s")

    for number, kill in enumerate(kills(chance, well, harmed, MOMENTS), start=1):
        fleet.begins()
        print(f"{number:3}  {'a failing' if kill.harms else 'a'} rollout, {kill.first}", end="; ", flush=True)
        runs = fleet.runs()
        was_there = killed_at(tcptune, kill.first, *applying(kill.harms))
        if fleet.runs() == runs:
            print("nothing was begun", flush=True)
            assert was_there, complaints(tcptune).read_text()
            now = agreement.look(fleet.machines)
            assert [(t.values, t.dropin) for t in now.values()] == [(t.values, t.dropin) for t in fleet.before.values()]
            # It may have left a claim, which keeps the next run out for so long.
            time.sleep(LEASE_S + 1)
            continue
        print(where(fleet.run()), end="; " if was_there else " (it was through); ", flush=True)
        fleet.check_what_was_told()
        command = fleet.telling(*(("rollback",) if kill.undo else ("runs", "resume")), "last")
        if kill.second is not None:
            print(f"{command[0]} killed {kill.second}", end="; ", flush=True)
            killed_at(tcptune, kill.second, *command)
            fleet.check_what_was_told()
        said = tcptune(*command, expect={0, 2} if kill.undo else {0, 2, 6})
        after = not kill.undo and not kill.harms
        fleet.check(after=after, told=said.status != 2)
        print(f"{command[0]}: exit {said.status}, all {'after' if after else 'before'}", flush=True)
        if after:
            tcptune("rollback", "last")
            fleet.check(after=False, told=False)
        elif said.status == 2:
            # What was killed after its last record has left a claim, which keeps the next run out for so long.
            time.sleep(LEASE_S + 1)
    assert "nothing is left over" in tcptune("doctor").stdout


def where(run: dict[str, Any]) -> str:
    """Say where a rollout was when it was killed: its waves, and the last line of its log."""
    last = run["log"][-1]
    return f"{'/'.join(wave['state'] for wave in run['waves'])}, last {last['host'] or last['wave']} {last['after']}"
