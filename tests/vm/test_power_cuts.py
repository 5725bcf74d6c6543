"""The power goes while the tool works on a host: after the boot the host is all before or all after, never between.

Most moments are drawn from the time in which the host is being changed, which is a second of the many that a command
takes: after so much time, or right after the disk was asked to flush for the n-th time, which is what a durable step
does. A few are drawn from the whole of the command. TCPTUNE_VM_SEED draws the same moments again;
TCPTUNE_VM_POWER_CUTS says how many.
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
from tests.vm.at_work import Watch
from tests.vm.wanted import WANTED, Patient, profile

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

CUTS = int(os.environ.get("TCPTUNE_VM_POWER_CUTS", "20"))
SEED = int(os.environ.get("TCPTUNE_VM_SEED") or random.SystemRandom().randrange(10**6))
KINDS = ("flush", "time", "flush", "time", "anywhere")
NEVER = float("inf")

# A write that the power ended may leave this beside the file that it was to become. No loader reads such a name.
TEMPORARY = re.compile(r"/etc/sysctl\.d/\.99-tcptune\.conf\.[^/]+\.tmp")
# The newest run and its state, or that it is a draft still.
RECORD = r"""
cd /var/lib/tcptune/runs 2>/dev/null || exit 0
run=$(ls -A | sed 's/^[.]//' | sort | tail -n 1)
if [ -e "$run/state" ]; then echo "$run $(tail -n 1 "$run/state")"; elif [ "$run" ]; then echo "$run draft"; fi
"""


@dataclass(frozen=True)
class Took:
    """What an undisturbed command took: in all, and from when the host began to be changed to the last durable step."""

    whole_s: float
    seconds: float
    flushes: int


@dataclass(frozen=True)
class Moment:
    """When the power goes: once one of these is over. Two count from when the host begins to be changed."""

    flushes: float = NEVER
    seconds: float = NEVER
    whole_s: float = NEVER

    def __str__(self) -> str:
        if self.whole_s < NEVER:
            return f"{self.whole_s:.2f} s"
        return f"lock + {self.seconds:.2f} s" if self.seconds < NEVER else f"lock + flush {self.flushes}"


@dataclass(frozen=True)
class Cut:
    """Where the power went, as seen from outside."""

    ended: int | None
    """The command's exit status, if it had ended before."""
    held: bool
    """Whether the host was being changed."""
    fell: str


@dataclass
class Way:
    """A machine, a plan for it, and what an undisturbed run of each command took."""

    vm: VmLab
    tcptune: Tcptune
    plan: Path
    before: dict[str, str]
    after: dict[str, str] = field(default_factory=dict)
    """After confirm and a boot."""
    took: dict[str, Took] = field(default_factory=dict)
    clean: bool = True
    """Whether the last cut left the host as it was before the first."""
    cuts: list[Cut] = field(default_factory=list)

    @property
    def machine(self) -> Machine:
        return Machine(self.vm, self.vm.host())

    def arguments(self, command: str) -> tuple[str | Path, ...]:
        return ("apply", self.plan) if command == "apply" else (command, "last")

    def measure(self, command: str) -> None:
        """Run a command to its end."""
        start, seconds, flushes = time.monotonic(), 0.0, 0
        with Watch(self.vm) as watch, self.tcptune.started(*self.arguments(command)) as process:
            while process.poll() is None:
                watch.look()
                # Until the last durable step: the host may take its time to tidy up after that.
                if watch.held and watch.flushes > flushes:
                    seconds, flushes = watch.seconds, watch.flushes
                time.sleep(0.002)
        assert process.returncode == 0, command
        self.took[command] = Took(time.monotonic() - start, seconds, flushes)

    def cut(self, command: str, moment: Moment) -> Cut:
        """Start a command, cut the power at `moment` or when it is over, and boot."""
        with Watch(self.vm) as watch, self.tcptune.started(*self.arguments(command)) as process:
            start, worked = time.monotonic(), False
            while (ended := process.poll()) is None:
                watch.look()
                worked = worked or watch.held
                in_time = watch.seconds < moment.seconds and time.monotonic() - start < moment.whole_s
                if not in_time or watch.flushes >= moment.flushes:
                    break
                # The change ended with fewer flushes, or sooner, than it did undisturbed.
                if worked and not watch.held and moment.whole_s == NEVER:
                    break
                time.sleep(0.002)
            seconds = watch.seconds
            self.vm.power_cut()
            watch.heard()
            fell = f"lock + flush {watch.flushes}, {seconds:.2f} s" if watch.taken else "before the lock"
        self.tcptune.close()
        self.vm.boot()
        done = Cut(ended, watch.held, fell if watch.held or not watch.taken else f"after the lock ({fell})")
        self.cuts.append(done)
        return done

    def settle(self, command: str, *statuses: int) -> None:
        """Run a command that may find nothing to do; it has to exit with one of `statuses`."""
        done = subprocess.run(
            self.tcptune.argv(self.arguments(command)),
            cwd=self.tcptune.work,
            env=self.tcptune.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode in statuses, done.stdout + done.stderr

    def record(self) -> tuple[str, str]:
        """Give the newest run that the host has on disk, and its state."""
        run, state, *_ = [*self.machine.run("sh", "-c", RECORD).split(), "none", "none"]
        return run, state


@pytest.fixture(scope="module")
def shared(vm: VmLab, used: set[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    if vm.name in used:
        vm.reset()
    used.add(vm.name)
    tcptune = Patient(tmp_path_factory.mktemp("tcptune"))
    plan = tcptune.file("plan.json")
    tcptune("plan", profile(tcptune), "-i", vm.inventory, "-o", plan, expect=10)
    way = Way(vm, tcptune, plan, before=Machine(vm, vm.host()).state())
    way.measure("apply")
    way.measure("confirm")
    vm.power_cut()
    vm.boot()
    way.after = way.machine.state()
    tcptune("rollback", "last")
    yield way
    tcptune.close()


@pytest.fixture
def way(shared: Way) -> Way:
    """Give the machine with nothing of ours on it but old records."""
    if not shared.clean:
        shared.vm.reset()
    shared.clean = False
    return shared


def test_before_and_after_are_told_apart(way: Way) -> None:
    kept = {f"/proc/sys/{key.replace('.', '/')}": value for key, value in WANTED.items()}
    assert kept.items() <= way.after.items(), "a power cut right after confirm lost something"
    assert not kept.items() & way.before.items()
    assert way.machine.state() == way.before
    assert {way.took[command].flushes > 4 for command in ("apply", "confirm")} == {True}, way.took
    way.clean = True


@pytest.mark.parametrize("number", range(CUTS))
def test_a_power_cut_leaves_all_before_or_all_after(way: Way, number: int) -> None:
    command = ("apply", "confirm")[number % 2]
    moment = _moment(KINDS[number // 2 % len(KINDS)], number, way.took[command])
    if command == "confirm":
        way.tcptune("apply", way.plan)
    known, _ = way.record()

    cut = way.cut(command, moment)

    found, (run, state) = way.machine.state(), way.record()
    if command == "apply" and run == known:
        state = "none"
    leftover = sorted(path for path in found if TEMPORARY.fullmatch(path))
    whole = {path: text for path, text in found.items() if path not in leftover}
    side = "all after" if whole == way.after else "all before" if whole == way.before else "BETWEEN"
    told = f"seed {SEED}, cut {number}: {command} at {moment}: fell {cut.fell}, record {state}"
    print(f"{told}, {len(leftover)} temporary -> {side}")
    assert side in _allowed(command, state, cut), f"{told}: {_differences(way.before, whole)} differ from before"
    assert len(leftover) <= (1 if state == "confirming" else 0), f"{told}: {leftover}"
    if command == "confirm" and number % 4 == 1:
        # 2 where the controller knows that nothing is held, 4 where the host says so.
        way.settle("confirm", 0, 2, 4)
        assert way.machine.state() == (way.after if side == "all after" else way.before), f"{told}, confirmed again"
    # 2 where the controller knows that nothing was begun.
    way.settle("rollback", 0, 2)
    assert way.machine.state() == way.before, f"{told}, rolled back"
    way.clean = True


def test_most_cuts_fell_while_the_host_was_being_changed(shared: Way) -> None:
    if not shared.cuts:
        pytest.skip("no power was cut")
    held = [cut.fell for cut in shared.cuts if cut.held]
    assert len(held) > len(shared.cuts) / 2, [cut.fell for cut in shared.cuts]


def _moment(kind: str, number: int, took: Took) -> Moment:
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 # a test's moments are no secret
    if kind == "flush":
        return Moment(flushes=chance.randint(1, took.flushes))
    if kind == "time":
        return Moment(seconds=chance.uniform(0, took.seconds))
    return Moment(whole_s=chance.uniform(0, took.whole_s))


def _allowed(command: str, state: str, cut: Cut) -> set[str]:
    """Say what the host may be after the boot: only a confirm that was in the middle leaves the choice."""
    if command == "confirm" and (state == "confirmed" or cut.ended == 0):
        return {"all after"}
    return {"all before", "all after"} if state == "confirming" else {"all before"}


def _differences(before: dict[str, str], found: dict[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | found.keys() if before.get(name) != found.get(name))
