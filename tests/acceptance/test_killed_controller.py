"""Kill -9 of the controller: what is then said of each host is true, and one command finishes or undoes the run.

What a host holds is read from the host itself, past tcptune and past the network.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.command import Tcptune, processes
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, DROPIN, PROFILE, WANTED, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

HOSTS = 10


@dataclass(frozen=True)
class Kill:
    """A command, when it is killed, and who dies with it."""

    act: str
    at: float | int
    """A part of the time that the command takes; as an int, the number of changes of the journal it has made."""
    children: bool
    unreachable: bool = False
    """Whether one host does not answer while the doctor looks."""


FEW = (
    Kill("apply", HOSTS, children=False),
    Kill("apply", HOSTS + 3, children=True, unreachable=True),
    Kill("confirm", HOSTS + 3, children=False),
    Kill("rollback", HOSTS + 2, children=True),
)
MANY = tuple(
    Kill(act, at, children=bool((number + turn) % 2), unreachable=(number + turn) % 7 == 6)
    for number, at in enumerate((0.6, HOSTS + 5, 0.8, 1, 0.4, HOSTS, 0.7, HOSTS + 1, 0.2, 5, 0.5, 2 * HOSTS, 0.9))
    for turn, act in enumerate(("apply", "confirm", "rollback"))
)
ROUNDS = int(os.environ.get("TCPTUNE_KILLS", str(len(MANY))))
"""How many of them the slow test takes."""

_LOOK = rf"""
for key in {" ".join(key.replace(".", "/") for key in WANTED)}; do
  echo "value $key $(cat /proc/sys/$key)"
done
[ ! -e {DROPIN} ] || echo dropin
for state in /var/lib/tcptune/runs/*/state; do
  [ ! -e "$state" ] || echo "run $state $(tail -n 1 "$state")"
done
"""


@dataclass(frozen=True)
class Truth:
    """What a host holds, by its own files and its own kernel."""

    values: dict[str, str]
    dropin: bool
    runs: dict[str, str]
    """Run -> state."""


class Fleet:
    """Ten hosts, and what they are by themselves."""

    def __init__(self, tcptune: Tcptune, machines: Sequence[Machine]) -> None:
        self.tcptune = tcptune
        self.machines = {machine.name: machine for machine in machines}
        self.before = self.look()

    def look(self) -> dict[str, Truth]:
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda machine: machine.run("sh", "-c", _LOOK), self.machines.values()))
        return dict(zip(self.machines, map(_truth, said), strict=True))

    def is_before(self, host: str, truth: Truth) -> bool:
        return (truth.values, truth.dropin) == (self.before[host].values, False)

    def check_whole(self, run: str, states: dict[str, str]) -> None:
        """Check that each host is all before or all after, as its own record and the journal's state say."""
        for host, truth in self.look().items():
            state = truth.runs.get(run)
            if state == "confirmed":
                assert (truth.values, truth.dropin) == (WANTED, True), (host, truth)
            else:
                assert state in (None, "rolled_back", "reverted"), (host, state)
                assert self.is_before(host, truth), (host, truth)
            assert states[host] in _AGREES[state], (host, state, states[host])


_AGREES = {
    None: {"rolled back", "planned"},
    "rolled_back": {"rolled back"},
    "reverted": {"reverted"},
    "confirmed": {"confirmed"},
}


def _truth(said: str) -> Truth:
    values: dict[str, str] = {}
    runs: dict[str, str] = {}
    dropin = False
    for line in said.splitlines():
        word, _, rest = line.partition(" ")
        if word == "value":
            key, _, value = rest.partition(" ")
            values[key.replace("/", ".")] = " ".join(value.split())
        elif word == "run":
            path, state, _since = rest.split()
            runs[path.split("/")[-2]] = state
        else:
            dropin = True
    return Truth(values, dropin, runs)


def moves(tcptune: Tcptune) -> int:
    if not tcptune.journal.exists():
        return 0
    with closing(sqlite3.connect(f"file:{tcptune.journal}?mode=ro", uri=True, timeout=5)) as journal:
        try:
            return int(journal.execute("SELECT count(*) FROM log WHERE host IS NOT NULL").fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # there are no tables yet


def killed(tcptune: Tcptune, kill: Kill, took_s: float | None, *arguments: str) -> bool:
    """Run a command and kill it. Return whether it was still at work."""
    begun, made = time.monotonic(), moves(tcptune)
    process = subprocess.Popen(
        tcptune.argv(arguments),
        cwd=tcptune.work,
        env=tcptune.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def due() -> bool:
        if isinstance(kill.at, int):
            return moves(tcptune) - made >= kill.at
        return time.monotonic() - begun >= kill.at * (took_s or 0)

    while process.poll() is None and not due():
        assert time.monotonic() - begun < 90
        time.sleep(0.005)
    was_at_work = process.poll() is None
    process.kill()
    if kill.children:
        for pid in workers(tcptune):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    process.wait()
    return was_at_work


def workers(tcptune: Tcptune) -> list[int]:
    """List what still runs of a command, but for the ssh connections that wait for the next one."""
    return [pid for pid, line in processes({"HOME": str(tcptune.home)}).items() if "[mux]" not in line]


def last_run(tcptune: Tcptune) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(tcptune("runs", "last", "--format", "json").stdout)
    return said


def check_the_record(fleet: Fleet, at_first: dict[str, Truth], run: dict[str, Any]) -> None:
    """Check that the journal claims nothing of a host that is not so; what it does not know it says it does not."""
    then = fleet.look()
    name = run["run_id"]
    for result in run["results"]:
        host, state = result["host"], result["state"]
        truths = {at_first[host].runs.get(name), then[host].runs.get(name)}
        if result["doing"] or state == "applying":
            assert run["at_work"]["alive"] is False
        else:
            claimed = {"planned": None, "rolled back": "rolled_back"}.get(state, state)
            assert claimed in truths, (host, state, truths)


def check_the_doctor(fleet: Fleet, name: str, doctor: dict[str, Any], at_first: dict[str, Truth]) -> None:
    """Check that the doctor saw each host as it was before or after he looked, and called none fine that was not."""
    then = fleet.look()
    for host in doctor["fine"]:
        state = then[host].runs.get(name)
        assert state in (None, "rolled_back", "confirmed"), (host, state)
        assert state == "confirmed" or fleet.is_before(host, then[host]), (host, then[host])
    seen = {one["host"]: one for one in doctor["leftovers"] if one["run"] == name}
    for host, one in seen.items():
        truths = {at_first[host].runs.get(name), then[host].runs.get(name)}
        assert one["on_host"] in truths or one["on_host"] in ("prepared", "running", "confirming", "rolling_back")
    assert {*doctor["fine"], *seen, *(one["host"] for one in doctor["unseen"])} == set(fleet.machines)


def one_command(doctor: dict[str, Any], name: str) -> list[str]:
    """Give the one command that the doctor names for the run; none where nothing is left over of it."""
    commands = [one["command"] for one in doctor["settlements"] if one["run"] == name]
    commands = commands or [one["command"] for one in doctor["leftovers"] if one["run"] == name]
    assert len(commands) <= 1, commands
    return shlex.split(commands[0])[1:] if commands else []


def went_wrong(tcptune: Tcptune, fleet: Fleet, lab: Lab, kill: Kill, took_s: dict[str, float], plan: str) -> bool:
    """Take the fleet through one kill and back again. Return whether the command was killed at work."""
    stands = any("confirmed" in truth.runs.values() for truth in fleet.look().values())
    if stands and kill.act != "rollback":
        tcptune("rollback", "last")
    if kill.act == "confirm" or (kill.act == "rollback" and not stands):
        tcptune("apply", plan, *ALLOWED)
    arguments = {"apply": ("apply", plan, *ALLOWED)}.get(kill.act, (kill.act, "last"))
    known = tcptune("runs").stdout
    at_work = killed(tcptune, kill, took_s.get(kill.act), *arguments)

    # At once: what the dead controller has started may still be at it.
    at_first = fleet.look()
    if kill.act == "apply" and tcptune("runs").stdout == known:
        assert fleet.look() == at_first, "killed before the run was recorded, so nothing may have begun"
        return at_work
    run = last_run(tcptune)
    name = run["run_id"]
    check_the_record(fleet, at_first, run)
    if any(result["doing"] for result in run["results"]):
        assert "tcptune doctor" in tcptune("runs", name).stdout
    if kill.unreachable:
        down = next(iter(fleet.machines))
        lab.stop_sshd(down)
        blind = json.loads(tcptune("doctor", "--format", "json", expect=4).stdout)
        assert [one["host"] for one in blind["unseen"]] == [down]
        assert down not in blind["fine"]
        check_the_doctor(fleet, name, blind, at_first)
        lab.start_sshd(down)
    at_first = fleet.look()
    said = subprocess.run(
        tcptune.argv(("doctor", "--format", "json")),
        cwd=tcptune.work, env=tcptune.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    doctor = json.loads(said.stdout)
    assert said.returncode == (10 if doctor["leftovers"] else 0), said.stderr
    check_the_doctor(fleet, name, doctor, at_first)

    command = one_command(doctor, name)
    if command:
        tcptune(*command)
    # Nobody who comes late may change what that command has said.
    deadline = time.monotonic() + 20
    while workers(tcptune):
        assert time.monotonic() < deadline, "what the controller had started never ends"
        time.sleep(0.05)
    states = {result["host"]: result["state"] for result in last_run(tcptune)["results"]}
    if not command and "held" in states.values():
        # It was killed once all was done, so there is a run to keep or to undo as ever.
        tcptune("rollback", name)
        states = {result["host"]: result["state"] for result in last_run(tcptune)["results"]}
    fleet.check_whole(name, states)
    assert json.loads(tcptune("doctor", "--format", "json").stdout)["fine"] == sorted(fleet.machines)
    if command:
        settled = fleet.look()
        tcptune(*command, expect=2)
        assert fleet.look() == settled
    return at_work


@pytest.fixture
def survive(tcptune: Tcptune, machines: Machines, on: On, lab: Lab) -> Callable[[Sequence[Kill]], Iterator[bool]]:
    """Give what takes ten hosts through some kills; it yields for each whether the command was killed at work."""

    def through(kills: Sequence[Kill]) -> Iterator[bool]:
        fleet = Fleet(tcptune, machines(HOSTS))
        plan = str(tcptune.file("plan.json"))
        tcptune("plan", PROFILE, *on(*fleet.machines.values()), "-o", plan, expect=10)
        took_s = {}
        timed = any(isinstance(kill.at, float) for kill in kills)
        for act in ("apply", "confirm", "rollback") if timed else ():
            begun = time.monotonic()
            tcptune(act, *((plan, *ALLOWED) if act == "apply" else ("last",)))
            took_s[act] = time.monotonic() - begun
        for kill in kills:
            print(kill)  # for whoever reads why it failed
            yield went_wrong(tcptune, fleet, lab, kill, took_s, plan)

    return through


def test_whatever_a_kill_leaves_is_told_truly_and_settled_by_one_command(
    survive: Callable[[Sequence[Kill]], Iterator[bool]],
) -> None:
    hit = list(survive(FEW))

    assert sum(hit) > len(hit) / 2, "most commands were through before they were killed"


def test_a_change_that_is_still_on_its_way_when_its_run_is_taken_back_is_refused(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    fleet = machines(2)
    before = {machine: machine.state() for machine in fleet}
    plan = str(tcptune.file("plan.json"))
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    stopped: set[int] = set()
    with tcptune.started("apply", plan, *ALLOWED) as process:
        deadline = time.monotonic() + 30
        while len(stopped) < len(fleet):
            assert time.monotonic() < deadline, "Ansible never asked the hosts"
            for pid, line in processes({"HOME": str(tcptune.home)}).items():
                if line.startswith("ssh ") and pid not in stopped:
                    os.kill(pid, signal.SIGSTOP)
                    stopped.add(pid)
        process.kill()
    said = json.loads(tcptune("doctor", "--format", "json", expect=10).stdout)
    assert [one["on_host"] for one in said["leftovers"]] == [None, None]
    assert "it has not begun there" in said["leftovers"][0]["what"]

    tcptune("rollback", "last")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while workers(tcptune):
        assert time.monotonic() < deadline, "what the controller had started never ends"
        time.sleep(0.05)

    assert {machine: machine.state() for machine in fleet} == before
    assert "2 rolled back" in tcptune("runs", "last").stdout
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.slow
@pytest.mark.timeout(60 + 90 * ROUNDS)
def test_so_it_is_at_many_moments(survive: Callable[[Sequence[Kill]], Iterator[bool]]) -> None:
    hit = list(survive(MANY[:ROUNDS]))

    assert sum(hit) > len(hit) / 2, "most commands were through before they were killed"
