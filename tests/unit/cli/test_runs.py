"""The journal's own commands: list, show, export, prune."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tcptune.adapters.journal.store import SqlJournal
from tcptune.cli import wiring
from tcptune.domain.journal import RunRecord
from tcptune.domain.runs import HostState, Run
from tests.unit.builders import cohort, plan, result, run

from .conftest import Command

PLAN = plan(cohort("web1", "web2"))


def recorded(run_id: str, days_ago: int, state: HostState = HostState.CONFIRMED) -> Run:
    began = wiring.now() - timedelta(days=days_ago)
    one = run(result("web1", state), result("web2", HostState.STALE), run_id=run_id, plan_id=PLAN.plan_id)
    one = one.model_copy(update={"started_at": began})
    journal = SqlJournal(os.environ["TCPTUNE_JOURNAL"], by="ada@ctl1")
    journal.begin(one, PLAN)
    journal.end(run_id, at=began)
    return one


@pytest.mark.parametrize("words", ["runs", "runs list"])
def test_runs_are_listed_newest_first(tcptune: Command, words: str) -> None:
    recorded("r1", 9)
    recorded("r2", 1, HostState.HELD)
    found = tcptune(*words.split())

    assert (found.code, found.err) == (0, "")
    assert [line.split()[0] for line in found.out.splitlines()] == ["run", "r2", "r1"]
    assert "1 held, 1 stale" in found.out


@pytest.mark.parametrize("words", ["runs --format json", "runs list --format json", "runs -n 1 --format json"])
def test_the_list_has_other_formats(tcptune: Command, words: str) -> None:
    recorded("r1", 9)
    recorded("r2", 1)
    found = json.loads(tcptune(*words.split()).out)

    assert (found["tcptune"], found["format_version"]) == ("runs", 1)
    assert [one["run_id"] for one in found["runs"]] == (["r2"] if "-n" in words else ["r2", "r1"])
    assert found["runs"][0]["states"] == {"confirmed": 1, "stale": 1}


@pytest.mark.parametrize("words", ["runs r1", "runs show r1", "runs last"])
def test_a_run_is_shown_with_or_without_the_word(tcptune: Command, words: str) -> None:
    recorded("r1", 1)
    found = tcptune(*words.split())

    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Run r1 ")


def test_an_empty_journal_has_an_empty_list(tcptune: Command) -> None:
    assert tcptune("runs", "--format", "markdown").out == "No runs yet.\n"
    assert tcptune("runs", "--help").out.startswith("Usage: ")


def test_a_run_is_exported_as_one_document(tcptune: Command, tmp_path: Path) -> None:
    one = recorded("r1", 1)
    printed = tcptune("runs", "export", "last")
    written = tcptune("runs", "export", "r1", "-o", "run.json")

    assert (printed.code, printed.err, written.out) == (0, "", "")
    assert (tmp_path / "run.json").read_text() == printed.out
    found = RunRecord.model_validate_json(printed.out)
    assert (found.run.run_id, found.plan) == (one.run_id, PLAN)
    assert [(entry.by, entry.after) for entry in found.log] == [("ada@ctl1", "begun"), ("ada@ctl1", "ended")]


def test_old_runs_are_forgotten_and_those_that_are_not_over_stay(tcptune: Command) -> None:
    recorded("young", 5)
    recorded("old", 50)
    recorded("held", 60, HostState.HELD)
    looked = tcptune("runs", "prune", "--older-than", "30d", "--dry-run")
    known = tcptune("runs").out
    found = tcptune("runs", "prune", "--older-than", "30d")

    assert (looked.code, found.code) == (0, 0)
    assert "1 run would be forgotten, 1 stays" in looked.out
    assert "old" in known
    assert "1 run forgotten, 1 stays" in found.out
    assert "held  stays: 1 of its hosts is not settled: held" in found.out
    assert [line.split()[0] for line in tcptune("runs").out.splitlines()[1:]] == ["young", "held"]
    assert tcptune("runs", "show", "old").code == 2


def test_what_was_pruned_is_told_as_json(tcptune: Command) -> None:
    recorded("old", 50)
    found = json.loads(tcptune("runs", "prune", "--older-than", "4w", "--format", "json").out)

    assert (found["tcptune"], found["dry_run"], found["forgotten"], found["kept"]) == ("pruned", False, ["old"], [])


def test_prune_has_to_be_told_how_old(tcptune: Command) -> None:
    recorded("old", 50)
    found = tcptune("runs", "prune")

    assert found.code == 2
    assert "--older-than" in found.err
    assert "old" in tcptune("runs").out


def test_a_journal_that_is_brought_up_to_date_is_told_of_on_standard_error(tcptune: Command, tmp_path: Path) -> None:
    recorded("r1", 1)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal, journal:
        journal.execute("ALTER TABLE waves DROP COLUMN baseline")
        journal.execute("UPDATE alembic_version SET version_num = '0006'")
    found = tcptune("runs")

    assert "r1" in found.out
    assert "is of form 0006: bringing it to 0007. As it was, it is kept in " in found.err
    assert tcptune("runs").err == ""
