"""Two controllers begin at the same second, on hosts that overlap: one has them, the other is told who."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.acceptance import agreement
from tests.acceptance.command import TRACEBACK, Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, Machine
from tests.acceptance.test_rollout import planned, policy
from tests.journal.conftest import new_place, server

pytestmark = [pytest.mark.lab]
__all__ = ["server"]  # the fixture that `new_place` asks for

_STATES = 'for file in /var/lib/tcptune/runs/*/state; do [ ! -e "$file" ] || sed "s|^|$file |" "$file"; done'
_REFUSED = re.compile(
    r"error: \d of the hosts are being changed by somebody else; none was claimed\n"
    r"  [^:]+: run (\S+) by \S+@\S+, pid \d+, since [-0-9]+ [:0-9]+ UTC, until [:0-9]+ unless it is renewed\n"
    r"  try: wait for it to end: tcptune runs \1\n"
)


class Interval(NamedTuple):
    """How long a run had a host, by one clock."""

    began: datetime
    ended: datetime
    run: str


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "rounds"), [("sqlite", 1), ("postgresql", 1)])
def test_two_controllers_never_have_one_host_at_once(
    tcptune: Tcptune, machines: Machines, on: On, request: pytest.FixtureRequest, kind: str, rounds: int
) -> None:
    _race(tcptune, machines(2), on, request, kind, rounds)


@pytest.mark.slow
@pytest.mark.timeout(10_800)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_controllers_never_have_one_host_at_once_in_fifty_rounds(
    tcptune: Tcptune, machines: Machines, on: On, request: pytest.FixtureRequest, kind: str
) -> None:
    _race(tcptune, machines(2), on, request, kind, 50)


def _race(ours: Tcptune, fleet: list[Machine], on: On, request: pytest.FixtureRequest, kind: str, rounds: int) -> None:
    place = new_place(kind, ours.folder, request)
    theirs = Tcptune(ours.folder / "theirs")
    before = agreement.look(fleet)
    for controller in (ours, theirs):
        controller.timeout_s = 400
        controller.environment["TCPTUNE_JOURNAL"] = place.url
    begun: list[tuple[Tcptune, Sequence[str | Path]]] = [
        (ours, ["apply", planned(ours, on, fleet), "--policy", policy(ours, waves="[100%]"), *ALLOWED]),
        # Theirs is one host of ours, by turns in waves and without.
        (theirs, ["apply", planned(theirs, on, fleet[1:]), *ALLOWED]),
    ]
    in_waves = ["--policy", policy(theirs, waves="[100%]")]
    try:
        refused = 0
        for number in range(rounds):
            both = begun if number % 2 else [begun[0], (theirs, [*begun[1][1], *in_waves])]
            said = _at_once(both)
            # Whoever comes when the other is through finds hosts that have moved.
            assert sorted(one.status for one in said) in ([0, 1], [0, 5]), said
            loser = max(said, key=lambda one: one.status)
            refused += loser.status == 1
            assert loser.status == 5 or _REFUSED.search(loser.stderr), loser
            runs = json.loads(ours("runs", "list", "--format", "json").stdout)["runs"]
            assert len(runs) == number + 1, "the loser has begun nothing"
            assert loser.status == 5 or runs[0]["run_id"] in loser.stderr
            ours("rollback", "last")
        assert refused, "they never met"
        _check_apart(ours, fleet)
        now = agreement.look(fleet)
        assert {name: truth.values for name, truth in now.items()} == {n: t.values for n, t in before.items()}
    finally:
        theirs.close()


def _at_once(both: Sequence[tuple[Tcptune, Sequence[str | Path]]]) -> list[Said]:
    processes = [
        subprocess.Popen(
            controller.argv(arguments),
            cwd=controller.work,
            env=controller.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for controller, arguments in both
    ]
    try:
        # Neither waits for the other: that would be a deadlock.
        texts = [process.communicate(timeout=400) for process in processes]
    finally:
        for process in processes:
            process.kill()
    said = [Said(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]
    assert not any(TRACEBACK in one.stdout + one.stderr for one in said), said
    return said


def _check_apart(tcptune: Tcptune, fleet: Sequence[Machine]) -> None:
    """Compare when each run had each host: by the hosts' own records, the journal's log and its claims."""
    listed = json.loads(tcptune("runs", "list", "--format", "json").stdout)["runs"]
    exported = [json.loads(tcptune("runs", "export", run["run_id"]).stdout) for run in listed]
    for machine in fleet:
        records: dict[str, list[datetime]] = {}
        for line in machine.run("sh", "-c", _STATES).splitlines():
            path, _state, since = line.split()
            records.setdefault(path.split("/")[-2], []).append(datetime.fromisoformat(since))
        assert records or machine is not fleet[-1], "each round changes the host that both want"
        _apart([Interval(min(times), max(times), run) for run, times in records.items()])
        _apart([found for one in exported if (found := _logged(one, machine.name))])
        _apart([found for one in exported for found in _claims(one, machine.name)])


def _logged(record: dict[str, Any], host: str) -> Interval | None:
    times = [datetime.fromisoformat(entry["at"]) for entry in record["log"] if entry["host"] == host]
    return Interval(min(times), max(times), record["run"]["run_id"]) if times else None


def _claims(record: dict[str, Any], host: str) -> list[Interval]:
    claims = [claim for claim in record["claims"] if host in claim["hosts"]]
    assert all(claim["ended"] for claim in claims), "a claim was left behind"
    since_until = [(datetime.fromisoformat(c["since"]), datetime.fromisoformat(c["ended"])) for c in claims]
    return [Interval(since, ended, record["run"]["run_id"]) for since, ended in since_until]


def _apart(found: Sequence[Interval]) -> None:
    in_order = sorted(found)
    for one, other in itertools.pairwise(in_order):
        assert one.ended <= other.began, f"{one} and {other} overlap"
