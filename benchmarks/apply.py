"""Setting 25 keys for now and for the next boot: what it costs, beside what a user would pick instead, in one sitting.

    python -m benchmarks.apply --hosts 20 --tools .venv/bench/bin

Each contender gets hosts as new, runs twice, and has its work looked at on every host after each run: all values in the
kernel, all of them in its file. The first run changes everything, the second finds nothing to do. All of them gather no
facts and work on all hosts at once; Ansible pipelines and keeps its connections for the length of a run. No connection
is open before.

Processor time is the controller's: the command and all it starts, ssh and its masters included. Wall time has the work
of the hosts in it too, which are on this same machine. Ansible is measured once more with OpenSSH held to curve25519,
the exchange that pyinfra has with these hosts, and the loop then also without its reload of the file after each key.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.meter import Cost, Meter, best_meter
from tests.lab import Lab, LabError, LabHost

CONTENT = Path(__file__).with_name("content")
CHECKOUT = Path(__file__).parents[1]
SETTINGS: dict[str, str] = yaml.safe_load((CONTENT / "settings.yml").read_text())["settings"]
MASTERS = "-o ControlMaster=auto -o ControlPersist=60s"
CURVE25519 = f"{MASTERS} -o KexAlgorithms=curve25519-sha256"

OURS = "tcptune.linux.tcp_settings"
LOOP = "ansible.posix.sysctl, a loop"
OURS_CURVE25519 = "ours, curve25519"
LOOP_BEST = "the loop, curve25519, no reload"
PYINFRA = "pyinfra server.sysctl"


@dataclass(frozen=True)
class Goal:
    """How many times less `ours` is to take than `other`, on both runs."""

    ours: str
    other: str
    cpu: float | None
    """None where processor time is not compared."""
    wall: float


GOALS = (
    Goal(OURS, LOOP, cpu=5, wall=10),
    Goal(OURS_CURVE25519, LOOP_BEST, cpu=5, wall=10),
    Goal(OURS, PYINFRA, cpu=None, wall=1),
)


@dataclass(frozen=True)
class Contender:
    """A command that sets all keys on all hosts of the lab."""

    name: str
    command: tuple[str, ...]
    dropin: str
    """Where it keeps them for the next boot."""
    variables: dict[str, str] = field(default_factory=dict)


class NotDone(Exception):
    """A contender did not do what it is measured for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 1 where a goal is missed, 2 where nothing could be measured."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tcptune-bench-") as folder:
        lab = Lab(Path(folder) / "lab", tied=True)
        try:
            lab.up(options.hosts)
            meter = best_meter()
            entrants = contenders(lab, Path(folder), options.tools.absolute(), options.hosts)
            costs = {one.name: measure(meter, lab, one, Path(folder)) for one in entrants}
        except LabError as problem:
            print(f"error: {problem}\n  try: {problem.hint}", file=sys.stderr)
            return 2
        except FileNotFoundError as problem:
            print(f"error: {problem}\n  try: make bench", file=sys.stderr)
            return 2
        except NotDone as problem:
            print(f"error: {problem}", file=sys.stderr)
            return 2
        except subprocess.CalledProcessError as problem:
            print(f"error: {problem}\n{problem.output}", file=sys.stderr)
            return 2
        finally:
            lab.down()
    print(table(costs, options.hosts, meter.name))
    return 0 if all(reached(costs, goal) for goal in GOALS) else 1


def contenders(lab: Lab, folder: Path, tools: Path, hosts: int) -> list[Contender]:
    """List what is compared. `tools` has ansible-playbook and pyinfra. Raises FileNotFoundError where it has not."""
    for program in (tools / "ansible-playbook", tools / "pyinfra"):
        if not program.exists():
            raise FileNotFoundError(f"there is no {program}")
    ansible = (str(tools / "ansible-playbook"), "-i", str(lab.inventory), "-f", str(hosts))
    ansible += ("-e", f"@{CONTENT / 'settings.yml'}")
    module = (*ansible, str(CONTENT / "module.yml"))
    loop = (*ansible, str(CONTENT / "loop.yml"), "-e")
    pipelined = {"ANSIBLE_PIPELINING": "1", "ANSIBLE_COLLECTIONS_PATH": str(_collections(folder))}
    plain = pipelined | {"ANSIBLE_SSH_ARGS": MASTERS}
    curve25519 = pipelined | {"ANSIBLE_SSH_ARGS": CURVE25519}
    ours, theirs = "/etc/sysctl.d/99-tcptune.conf", "/etc/sysctl.d/99-bench.conf"
    pyinfra = (
        str(tools / "pyinfra"),
        "-y",
        "--no-wait",
        "--parallel",
        str(hosts),
        str(_pyinfra_inventory(lab, folder)),
    )
    return [
        Contender(OURS, module, ours, plain),
        Contender(LOOP, (*loop, '{"reload": true}'), theirs, plain),
        Contender(OURS_CURVE25519, module, ours, curve25519),
        Contender(LOOP_BEST, (*loop, '{"reload": false}'), theirs, curve25519),
        Contender(PYINFRA, (*pyinfra, str(CONTENT / "pyinfra_sysctl.py")), theirs),
    ]


def measure(meter: Meter, lab: Lab, one: Contender, folder: Path) -> tuple[Cost, Cost]:
    """Let one run twice on hosts as new. Raises NotDone where a host is not as it should be."""
    costs = []
    lab.reset(*lab.hosts)
    for _ in range(2):
        # A home of its own: no connection of an earlier run is found there.
        with tempfile.TemporaryDirectory(dir=folder, prefix="home-") as home:
            costs.append(meter.run(one.command, _environment(home) | one.variables))
        for host in lab.hosts:
            _check(lab, host, one)
    return costs[0], costs[1]


def ratios(costs: dict[str, tuple[Cost, Cost]], ours: str, other: str) -> list[tuple[float, float]]:
    """Say how many times more processor and wall time `other` takes than `ours`: of the first run, of the second."""
    return [
        (theirs.cpu_s / mine.cpu_s, theirs.wall_s / mine.wall_s)
        for mine, theirs in zip(costs[ours], costs[other], strict=True)
    ]


def reached(costs: dict[str, tuple[Cost, Cost]], goal: Goal) -> bool:
    """Tell whether both runs are as much cheaper as they are to be."""
    return all(
        wall >= goal.wall and (goal.cpu is None or cpu >= goal.cpu)
        for cpu, wall in ratios(costs, goal.ours, goal.other)
    )


def table(costs: dict[str, tuple[Cost, Cost]], hosts: int, meter: str) -> str:
    """Return the result for a person."""
    rows = [
        f"{len(SETTINGS)} settings on {hosts} hosts; the controller's processor time measured by {meter}",
        "",
        f"{'':34}{'first run':>22}{'second run':>22}",
        f"{'':34}{'ms per host':>14}{'wall s':>8}{'ms per host':>14}{'wall s':>8}",
    ]
    for name, both in costs.items():
        numbers = "".join(f"{1000 * one.cpu_s / hosts:14.1f}{one.wall_s:8.2f}" for one in both)
        rows.append(f"{name:34}{numbers}")
    rows.append("")
    for goal in GOALS:
        (cpu1, wall1), (cpu2, wall2) = ratios(costs, goal.ours, goal.other)
        asked = f"wall {goal.wall:g}" if goal.cpu is None else f"processor {goal.cpu:g}, wall {goal.wall:g}"
        rows.append(f"{goal.other} / {goal.ours}")
        rows.append(f"  processor {cpu1:.1f} and {cpu2:.1f}, wall {wall1:.1f} and {wall2:.1f}")
        rows.append(f"  the goal ({asked}) is {'reached' if reached(costs, goal) else 'missed'}")
    return "\n".join(rows)


def _check(lab: Lab, host: LabHost, one: Contender) -> None:
    running = lab.run(host, ["cat", *(f"/proc/sys/{key.replace('.', '/')}" for key in SETTINGS)]).stdout.splitlines()
    # A contender that wrote nothing has no file.
    lines = lab.run(host, ["cat", one.dropin], check=False).stdout.splitlines()
    halves = (line.partition("=") for line in lines if not line.startswith("#"))
    kept = {key.strip(): " ".join(value.split()) for key, _, value in halves}
    for (key, wanted), value in zip(SETTINGS.items(), running, strict=True):
        if " ".join(value.split()) != wanted:
            raise NotDone(f"{one.name}: on {host.name}, {key} is {value}, not {wanted}")
        if kept.get(key) != wanted:
            raise NotDone(f"{one.name}: on {host.name}, {one.dropin} says {kept.get(key)} for {key}, not {wanted}")


def _collections(folder: Path) -> Path:
    """Give a folder in which Ansible finds the checkout as the collection that it is."""
    collections = folder / "collections"
    (collections / "ansible_collections/tcptune").mkdir(parents=True)
    (collections / "ansible_collections/tcptune/linux").symlink_to(CHECKOUT)
    return collections


def _pyinfra_inventory(lab: Lab, folder: Path) -> Path:
    """Write the same hosts, with the same key and the same check of theirs, as pyinfra wants them."""
    common = {
        "ssh_user": "operator",
        "ssh_key": str(lab.key),
        "ssh_known_hosts_file": str(lab.known_hosts),
        "ssh_strict_host_key_checking": "yes",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
    }
    path = folder / "pyinfra_hosts.py"
    path.write_text(f"lab = {[(host.address, common) for host in lab.hosts]!r}\n")
    return path


def _environment(home: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": home}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apply", description="Cost of settings. Needs root.")
    parser.add_argument("--hosts", type=int, default=20, help="lab hosts to change (20)")
    tools = CHECKOUT / ".venv/bench/bin"
    parser.add_argument(
        "--tools", type=Path, default=tools, help="where ansible-playbook and pyinfra are (.venv/bench)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
