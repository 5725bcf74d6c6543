"""The oracle of rollouts: the journal, each host's own record and what the host really is have to agree.

What a host holds is read from the host itself, past tcptune and past the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.acceptance.machine import DROPIN, WANTED, Machine

_LOOK = rf"""
for key in {" ".join(key.replace(".", "/") for key in WANTED)}; do
  echo "value $key $(cat /proc/sys/$key)"
done
[ ! -e {DROPIN} ] || echo dropin
for state in /var/lib/tcptune/runs/*/state; do
  [ ! -e "$state" ] || echo "run $state $(tail -n 1 "$state")"
done
"""

_SAME: dict[str | None, set[str]] = {
    None: {"planned", "unreachable", "stale", "failed", "rolled back"},
    "held": {"held"},
    "confirmed": {"confirmed"},
    "rolled_back": {"rolled back", "failed"},
    "reverted": {"reverted"},
    "lost": {"lost"},
}
"""State in the host's record -> those in the journal that say the same."""
_KEPT = {"held", "confirmed"}


@dataclass(frozen=True)
class Truth:
    """What a host holds, by its own files and its own kernel."""

    values: dict[str, str]
    dropin: bool
    runs: dict[str, str]
    """Run -> state in the host's record."""


def look(machines: Iterable[Machine]) -> dict[str, Truth]:
    """Read what hosts are, several at a time."""
    found = list(machines)
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda machine: machine.run("sh", "-c", _LOOK), found))
    return {machine.name: _truth(text) for machine, text in zip(found, said, strict=True)}


def disagreements(
    run: Mapping[str, Any], before: Mapping[str, Truth], now: Mapping[str, Truth], wanted: Mapping[str, str] = WANTED
) -> list[str]:
    """Name each host of a run whose journal, record and reality do not say the same.

    `run` is the run of `tcptune runs show --format json`; `before` what hosts were before it.
    """
    found = []
    for result in run["results"]:
        host, state = result["host"], result["state"]
        record, truth = now[host].runs.get(run["run_id"]), now[host]
        if record not in _SAME or state not in _SAME[record]:
            found.append(f"{host}: the journal says {state}, its own record {record}")
        if result["doing"]:
            found.append(f"{host}: {result['doing']} has not ended")
        values = dict(wanted) if record in _KEPT else before[host].values
        dropin = True if record == "confirmed" else before[host].dropin
        if truth.values != values:
            found.append(f"{host}: its record says {record}, its kernel shows {truth.values}")
        if truth.dropin != dropin:
            found.append(f"{host}: its record says {record}, its file is {'there' if truth.dropin else 'not there'}")
    return found


def all_alike(now: Mapping[str, Truth], hosts: Sequence[str]) -> bool:
    """Say whether hosts hold the same values and files."""
    return len({(tuple(sorted(now[host].values.items())), now[host].dropin) for host in hosts}) <= 1


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
