from __future__ import annotations

import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from tcptune.cli import wiring
from tcptune.errors import InventoryError, TcptuneError, UsageError
from tests.unit.builders import NOW, cohort, plan, run

PLAN = plan(cohort("web1", "web2", "db1"))


def names(only: str | None = None, *sources: str) -> list[str]:
    return [host.name for host in wiring.hosts_of(PLAN, sources, only)]


# The hosts of a run


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (None, ["db1", "web1", "web2"]),
        ("*", ["db1", "web1", "web2"]),
        ("web1", ["web1"]),
        ("web*", ["web1", "web2"]),
        ("db1,web2", ["db1", "web2"]),
        (" db1 , web2 ,", ["db1", "web2"]),
        ("!db1", ["web1", "web2"]),
        ("web*,!web1", ["web2"]),
        ("!web*", ["db1"]),
        ("web?", ["web1", "web2"]),
    ],
)
def test_hosts_of_a_run_are_chosen_by_names_and_wildcards(only: str | None, found: list[str]) -> None:
    assert names(only) == found


@pytest.mark.parametrize("only", ["web9", "web1,web9", "!web9", "WEB1"])
def test_a_name_that_fits_no_host_of_the_run_is_refused(only: str) -> None:
    with pytest.raises(UsageError, match="no host of the run matches") as refused:
        names(only)
    assert refused.value.hint == "db1, web1, web2"


@pytest.mark.parametrize("only", ["web1,!web*", "", " , ", "!"])
def test_a_choice_that_leaves_nobody_is_refused_and_does_not_mean_everybody(only: str) -> None:
    """`tcptune apply plan.json --limit "$HOSTS"` with HOSTS unset."""
    with pytest.raises(UsageError):
        names(only)


def test_without_an_inventory_hosts_are_reached_as_the_plan_says() -> None:
    [web1] = wiring.hosts_of(PLAN, [], "web1")

    assert web1.connection == PLAN.hosts["web1"]
    assert web1.secrets.login is None


def test_with_an_inventory_hosts_are_reached_as_it_says() -> None:
    [web1] = wiring.hosts_of(PLAN, ["web1,other,"], "web1")

    assert web1.connection.address == "web1"


def test_every_host_of_the_plan_must_be_in_the_inventory() -> None:
    with pytest.raises(InventoryError, match="lacks 2 hosts of the plan: db1, web2"):
        names(None, "web1,")


# Ages


@pytest.mark.parametrize(("text", "days"), [("1d", 1), ("90d", 90), ("12w", 84), ("36500d", 36500)])
def test_an_age_is_days_or_weeks(text: str, days: int) -> None:
    assert wiring.age(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "1y", "36501d", "9999999w", "1.5d", "d", "\u0661d"])
def test_anything_else_is_no_age(text: str) -> None:
    with pytest.raises(UsageError, match="is no age"):
        wiring.age(text)


# The journal


def test_without_a_word_the_journal_is_in_the_folder_of_the_persons_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TCPTUNE_JOURNAL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for _ in range(2):
        wiring.journal()

    assert (tmp_path / "state/tcptune/journal.sqlite").is_file()
    assert stat.S_IMODE((tmp_path / "state/tcptune").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").touch()
    monkeypatch.delenv("TCPTUNE_JOURNAL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with pytest.raises(TcptuneError, match="state") as refused:
        wiring.journal()
    assert "TCPTUNE_JOURNAL" in (refused.value.hint or "")


def test_the_journal_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPTUNE_JOURNAL", f"sqlite:///{tmp_path}/team.sqlite")
    wiring.journal().begin(run(), PLAN)

    assert (tmp_path / "team.sqlite").is_file()
    assert wiring.journal().find("last")[0].run_id == run().run_id
    assert [entry.by for entry in wiring.journal().rollouts.log(run().run_id)] == [wiring.operator()]


# Who, when, what


def test_a_run_has_a_name_of_its_own_that_says_when_it_began() -> None:
    made = {wiring.run_id() for _ in range(50)}

    assert len(made) == 50
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", run_id) for run_id in made)


def test_the_time_is_in_utc_and_whole_seconds() -> None:
    now = wiring.now()

    assert (now.tzinfo, now.microsecond) == (NOW.tzinfo, 0)


def test_whoever_is_at_work_is_named_with_the_machine() -> None:
    assert re.fullmatch(r"[^@]+@[^@]+", wiring.operator())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("168h", 604800), ("never", None)]
)
def test_a_time_is_seconds_minutes_or_hours(text: str, seconds: int | None) -> None:
    assert wiring.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "5d", "1.5h", "ten", "169h", "9999999", " 5", "5 m", "٥"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="no time between a second and a week"):
        wiring.seconds(text)
