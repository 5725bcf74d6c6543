"""The power goes while the tool works on a host: after the boot the host is all before or all after, never between.

Moments are drawn from a seed: after so much time, or right after the disk was asked to flush for the n-th time, which
is what a durable step does. TCPTUNE_VM_SEED draws the same moments again; TCPTUNE_VM_POWER_CUTS says how many.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.lab.vm import VmLab
from tests.vm.wanted import WANTED, Patient, profile

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

CUTS = int(os.environ.get("TCPTUNE_VM_POWER_CUTS", "20"))
SEED = int(os.environ.get("TCPTUNE_VM_SEED") or random.SystemRandom().randrange(10**6))


@dataclass(frozen=True)
class Moment:
    """When the power goes: once either is reached after the command's start."""

    seconds: float
    flushes: int

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s" if self.seconds < float("inf") else f"flush {self.flushes}"


@dataclass
class Way:
    """A machine, a plan for it, and what an undisturbed run of each command took."""

    vm: VmLab
    tcptune: Tcptune
    plan: Path
    before: dict[str, str]
    after: dict[str, str] = field(default_factory=dict)
    """After confirm and a boot."""
    took: dict[str, Moment] = field(default_factory=dict)
    clean: bool = True
    """Whether the last cut left the host as it was before the first."""

    @property
    def machine(self) -> Machine:
        return Machine(self.vm, self.vm.host())

    def measure(self, *command: str | Path) -> None:
        """Run a command to its end."""
        start, flushes = time.monotonic(), self.vm.flushes()
        self.tcptune(*command)
        self.took[str(command[0])] = Moment(time.monotonic() - start, self.vm.flushes() - flushes)

    def cut(self, moment: Moment, *command: str | Path) -> bool:
        """Start a command, and cut the power at `moment`. Tell whether it was still at work then."""
        flushes = self.vm.flushes() + moment.flushes
        deadline = time.monotonic() + moment.seconds
        with self.tcptune.started(*command) as process:
            while process.poll() is None and time.monotonic() < deadline and self.vm.flushes() < flushes:
                time.sleep(0.002)
            working = process.poll() is None
            self.vm.power_cut()
        self.tcptune.close()
        self.vm.boot()
        return working


@pytest.fixture(scope="module")
def _way(vm: VmLab, used: set[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    if vm.name in used:
        vm.reset()
    used.add(vm.name)
    tcptune = Patient(tmp_path_factory.mktemp("tcptune"))
    plan = tcptune.file("plan.json")
    tcptune("plan", profile(tcptune), "-i", vm.inventory, "-o", plan, expect=10)
    way = Way(vm, tcptune, plan, before=Machine(vm, vm.host()).state())
    way.measure("apply", plan)
    way.measure("confirm", "last")
    vm.power_cut()
    vm.boot()
    way.after = way.machine.state()
    tcptune("rollback", "last")
    yield way
    tcptune.close()


@pytest.fixture
def way(_way: Way) -> Way:
    """Give the machine with nothing of ours on it but old records."""
    if not _way.clean:
        _way.vm.reset()
    _way.clean = False
    return _way


def test_before_and_after_are_told_apart(way: Way) -> None:
    kept = {f"/proc/sys/{key.replace('.', '/')}": value for key, value in WANTED.items()}
    assert kept.items() <= way.after.items(), "a power cut right after confirm lost something"
    assert not kept.items() & way.before.items()
    assert without_temporary(way.machine.state()) == way.before
    assert {way.took[command].flushes > 1 for command in ("apply", "confirm")} == {True}, way.took
    way.clean = True


@pytest.mark.parametrize("number", range(CUTS))
def test_a_power_cut_leaves_all_before_or_all_after(way: Way, number: int) -> None:
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 # a test's moments are no secret
    command = ("apply", "confirm")[number % 2]
    took = way.took[command]
    if number % 4 < 2:
        moment = Moment(float("inf"), chance.randint(1, took.flushes))
    else:
        moment = Moment(chance.uniform(0, took.seconds), 10**9)
    arguments = {"apply": ("apply", way.plan), "confirm": ("confirm", "last")}
    if command == "confirm":
        way.tcptune("apply", way.plan)

    working = way.cut(moment, *arguments[command])

    found = without_temporary(way.machine.state())
    told = f"TCPTUNE_VM_SEED={SEED}, cut {number}: {command} at {moment}, {'at work' if working else 'done'}"
    print(told, "-> all after" if found == way.after else "-> all before" if found == way.before else "-> BETWEEN")
    allowed = [way.before] if command == "apply" else [way.before, way.after]
    assert found in allowed, f"{told}: {_differences(way.before, found)} differ from before, of {len(WANTED)}"
    settle(way)
    assert without_temporary(way.machine.state()) == way.before, told
    way.clean = True


def without_temporary(state: dict[str, str]) -> dict[str, str]:
    """Leave out what a write may leave beside the file it was to become: no loader reads such a name."""
    return {path: text for path, text in state.items() if not re.fullmatch(r"/etc/sysctl\.d/\.\S+\.tmp", path)}


def settle(way: Way) -> None:
    """Take back what the host may hold of the last run: the one command that a person is told of."""
    argv = way.tcptune.argv(["rollback", "last"])
    done = subprocess.run(
        argv,
        cwd=way.tcptune.work,
        env=way.tcptune.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # 2 where the controller knows that nothing was begun.
    assert done.returncode in {0, 2}, done.stdout + done.stderr


def _differences(before: dict[str, str], found: dict[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
