"""Reading facts: what it costs the controller, beside `ansible -m setup` with pipelining, in one sitting.

    python -m benchmarks.facts --hosts 20 --runs 3

Cost is user and system time of the command and all it starts, ssh and its masters included; the hosts' own side, sshd
included, is not counted. Each run is cold: no connection is open before. The commands take turns, so that whatever
else this machine does meets all of them; the median counts.

Half of what ansible costs with OpenSSH before 10 is its choice of a key exchange, which is not our merit. So it is
measured once more with OpenSSH held to curve25519, which is the exchange that we have with these hosts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meter import Cost, Meter, best_meter
from tests.lab import Lab, LabError

GOAL = 10
"""How many times cheaper than Ansible we are to be."""
FORKS = "16"
MASTERS = "-o ControlMaster=auto -o ControlPersist=60s"

TCPTUNE = "tcptune facts"
ANSIBLE = "ansible -m setup, pipelining"
CURVE25519 = "the same, ssh held to curve25519"


@dataclass(frozen=True)
class Contender:
    """A command that reads all hosts of the lab."""

    name: str
    command: tuple[str, ...]
    variables: dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 1 where the goal is missed, 2 where nothing could be measured."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tcptune-bench-") as folder:
        lab = Lab(Path(folder) / "lab", tied=True)
        try:
            lab.up(options.hosts)
            meter = best_meter()
            costs = measure(meter, contenders(lab), Path(folder), options.runs)
        except LabError as problem:
            print(f"error: {problem}\n  try: {problem.hint}", file=sys.stderr)
            return 2
        except subprocess.CalledProcessError as problem:
            print(f"error: {problem}\n{problem.output}", file=sys.stderr)
            return 2
        finally:
            lab.down()
    print(table(costs, options.hosts, options.runs, meter.name))
    return 0 if ratio(costs, ANSIBLE) >= GOAL else 1


def contenders(lab: Lab) -> list[Contender]:
    """List what is compared: every one reads all hosts, on the same inventory, with as many at once."""
    inventory = str(lab.inventory)
    setup = (str(Path(sys.executable).with_name("ansible")), "all", "-i", inventory, "-m", "setup", "-f", FORKS)
    pipelined = {"ANSIBLE_PIPELINING": "1"}
    return [
        Contender(TCPTUNE, (sys.executable, "-m", "tcptune", "facts", "-i", inventory, "-f", FORKS), {}),
        Contender(ANSIBLE, setup, pipelined | {"ANSIBLE_SSH_ARGS": MASTERS}),
        Contender(CURVE25519, setup, pipelined | {"ANSIBLE_SSH_ARGS": f"{MASTERS} -o KexAlgorithms=curve25519-sha256"}),
    ]


def measure(meter: Meter, entrants: Sequence[Contender], folder: Path, runs: int) -> dict[str, list[Cost]]:
    """Let all run in turns. The first turn, in which files get into memory, does not count."""
    costs: dict[str, list[Cost]] = {one.name: [] for one in entrants}
    for turn in range(runs + 1):
        for one in entrants:
            # A home of its own: no connection of an earlier run is found there.
            home = folder / f"home{turn}-{len(costs[one.name])}-{entrants.index(one)}"
            home.mkdir()
            cost = meter.run(one.command, _environment(home) | one.variables)
            if turn:
                costs[one.name].append(cost)
    return costs


def ratio(costs: dict[str, list[Cost]], other: str) -> float:
    """Say how many times more processor time `other` takes than we do."""
    return _cpu_s(costs[other]) / _cpu_s(costs[TCPTUNE])


def table(costs: dict[str, list[Cost]], hosts: int, runs: int, meter: str) -> str:
    """Return the result for a person."""
    rows = [
        f"Controller's processor time to read {hosts} hosts, median of {runs}, measured by {meter}",
        "",
        f"{'':34}{'ms per host':>12}{'lowest':>9}{'highest':>9}{'wall s':>8}{'ratio':>8}",
    ]
    for name, measured in costs.items():
        cpu = sorted(1000 * one.cpu_s / hosts for one in measured)
        wall_s = statistics.median(one.wall_s for one in measured)
        numbers = f"{1000 * _cpu_s(measured) / hosts:12.1f}{cpu[0]:9.1f}{cpu[-1]:9.1f}{wall_s:8.2f}"
        rows.append(f"{name:34}{numbers}{ratio(costs, name):8.1f}")
    reached = "reached" if ratio(costs, ANSIBLE) >= GOAL else "missed"
    fair = f"{ratio(costs, CURVE25519):.1f} with the same key exchange"
    rows += ["", f"ansible / tcptune = {ratio(costs, ANSIBLE):.1f}, {fair}; the goal of {GOAL} is {reached}"]
    return "\n".join(rows)


def _cpu_s(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.cpu_s for cost in costs)


def _environment(home: Path) -> dict[str, str]:
    checkout = str(Path(__file__).parents[1])
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "PYTHONPATH": checkout}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.facts", description="Cost of facts. Needs root.")
    parser.add_argument("--hosts", type=int, default=20, help="lab hosts to read (20)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
