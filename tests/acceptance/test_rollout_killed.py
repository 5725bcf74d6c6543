"""Kill -9 of a rollout's controller: one command finishes or undoes it, and journal, records and hosts agree."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress

import pytest

from tests.acceptance import agreement
from tests.acceptance.command import Tcptune, processes
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED
from tests.acceptance.test_rollout import planned, policy, story

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def logged(tcptune: Tcptune, what: str, after: str) -> bool:
    """Tell whether the journal's log has a line: of a wave or of a host that came to a state."""
    if not tcptune.journal.exists():
        return False
    with closing(sqlite3.connect(f"file:{tcptune.journal}?mode=ro", uri=True, timeout=5)) as journal:
        try:
            asked = f"SELECT count(*) FROM log WHERE {what} IS NOT NULL AND after = ?"  # noqa: S608
            return int(journal.execute(asked, (after,)).fetchone()[0]) > 0
        except sqlite3.OperationalError:
            return False  # there are no tables yet


def killed_when(tcptune: Tcptune, what: str, after: str, plan: str, chosen: str, *, children: bool) -> None:
    """Begin a rollout, and kill it once the journal has the line; with its children, or without."""
    process = subprocess.Popen(
        tcptune.argv(["apply", plan, "--policy", chosen, *ALLOWED]),
        cwd=tcptune.work,
        env=tcptune.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 300
    while not logged(tcptune, what, after):
        assert process.poll() is None, "it was through before it was killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    if children:
        for pid, line in processes({"HOME": str(tcptune.home)}).items():
            if "[mux]" not in line:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    ("what", "after", "children", "undo"),
    [
        ("host", "applying", False, False),
        ("host", "held", True, False),
        ("wave", "soaking", False, True),
        ("wave", "passed", True, False),
        ("wave", "confirmed", False, True),
    ],
)
def test_one_command_finishes_or_undoes_what_a_killed_controller_left(
    tcptune: Tcptune, machines: Machines, on: On, what: str, after: str, *, children: bool, undo: bool
) -> None:
    fleet = machines(3)
    names = [machine.name for machine in fleet]
    plan, chosen = planned(tcptune, on, fleet), policy(tcptune, waves="[1, 100%]")
    before = agreement.look(fleet)

    killed_when(tcptune, what, after, plan, chosen, children=children)
    tcptune.timeout_s = 400
    if undo:
        tcptune("rollback", "last")
    else:
        tcptune("runs", "resume", "last")

    now = agreement.look(fleet)
    assert agreement.disagreements(story(tcptune)["run"], before, now) == []
    assert agreement.all_alike(now, names)
    assert (now[names[0]].values == before[names[0]].values) is undo
    assert "nothing is left over" in tcptune("doctor").stdout
