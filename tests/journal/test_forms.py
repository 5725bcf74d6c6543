"""Older journals open, with a way back; others are refused as they are."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
from contextlib import closing
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tcptune.adapters.journal.controllers import me
from tcptune.adapters.journal.forms import HEAD
from tcptune.adapters.journal.store import SqlJournal
from tcptune.adapters.journal.tables import Base
from tcptune.domain.runs import Act, BootCheck, HostState
from tcptune.errors import TcptuneError
from tests.journal.conftest import Place, new_place
from tests.journal.older import OLDER, PLAN, write_older
from tests.journal.server import PASSWORD
from tests.unit.builders import NOW, SOMAXCONN, result, run


def tables(place: Place) -> set[str]:
    engine = sa.create_engine(place.url)
    found = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return found


def backups(place: Place) -> list[Path]:
    return sorted(place.file.parent.glob("journal.sqlite.form-*"))


def refused(place: Place) -> TcptuneError:
    with pytest.raises(TcptuneError) as refusal:
        place.open()
    assert "\n" not in str(refusal.value)
    assert PASSWORD not in f"{refusal.value} {refusal.value.hint}"
    return refusal.value


@pytest.mark.parametrize("form", OLDER)
def test_an_older_journal_is_brought_up_to_date_with_all_that_is_in_it(place: Place, form: str) -> None:
    write_older(place, form)
    told: list[str] = []

    journal = SqlJournal(place.url, by="ada@ctl1", tell=told.append)

    assert place.asked("SELECT version_num FROM alembic_version") == [(HEAD,)]
    found, made = journal.find("r1")
    assert (made, found.operator, found.started_at, found.ended_at) == (PLAN, "ada@ctl1", NOW, None)
    web1, web2 = found.results
    assert (web1.state, web1.replaced) == (HostState.HELD, {SOMAXCONN: "128"})
    assert web1.deadline == (NOW.replace(minute=20) if form >= "0002" else None)
    assert web2.state is HostState.CONFIRMED
    assert web2.at_boot == (BootCheck(wins=("a file wins",)) if form >= "0003" else None)
    assert web1.doing == (Act.CONFIRM if form >= "0004" else None)
    assert (found.at_work and found.at_work.by) == ("bob@ctl2" if form >= "0004" else None)
    assert [(m.host, m.before, m.after, m.note, m.at) for m in journal.moves("r1")] == [
        ("web1", HostState.PLANNED, HostState.APPLYING, "", NOW),
        ("web1", HostState.APPLYING, HostState.HELD, "as it should", NOW),
        ("web2", HostState.PLANNED, HostState.APPLYING, "", NOW),
    ]
    assert {entry.by for entry in journal.rollouts.log("r1")} == {None}
    [line] = told
    assert f"is of form {form}: bringing it to {HEAD}" in line
    # It is used like any other from now on.
    journal.start("r1", Act.ROLLBACK, ["web1"], by="ada@ctl1", at=NOW)
    journal.move("r1", result("web1", HostState.ROLLED_BACK), at=NOW)
    assert journal.locks.claim(["web1"], "r1", by="ada@ctl1", lease_s=60).token > 0
    assert journal.rollouts.log("r1")[-1].by == "ada@ctl1"


@pytest.mark.parametrize("form", OLDER)
def test_as_it_was_an_older_file_is_kept_beside_the_new_one(place: Place, form: str) -> None:
    write_older(place, form)
    told: list[str] = []
    before = sorted(tables(place))
    SqlJournal(place.url, tell=told.append)
    [line] = told

    if place.kind == "postgresql":
        # There is no file to copy: who may do so is told what to keep.
        assert "pg_dump" in line
        assert "an older tcptune refuses the journal from then on" in line
        return
    [backup] = backups(place)
    assert f"As it was, it is kept in {backup}" in line
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as kept:
        assert kept.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [(form,)]
        assert kept.execute("SELECT run_id, host, state FROM host_results").fetchall() == [
            ("r1", "web1", "held"),
            ("r1", "web2", "confirmed"),
        ]
        names = kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert sorted(name for (name,) in names if not name.startswith("sqlite_")) == before


def test_the_way_back_is_the_backup_put_in_its_place(place: Place) -> None:
    write_older(place, "0003")
    place.open()
    if place.kind == "sqlite":
        [backup] = backups(place)
        for leftover in place.file.parent.glob("journal.sqlite-*"):
            leftover.unlink()
        backup.rename(place.file)
        assert place.asked("SELECT version_num FROM alembic_version") == [("0003",)]
    # To open it once more is no mistake either way.
    assert [found.run_id for found in place.open().runs()] == ["r1"]


def test_a_new_or_up_to_date_journal_needs_no_backup_and_says_nothing(place: Place) -> None:
    told: list[str] = []
    for _ in range(2):
        SqlJournal(place.url, tell=told.append)

    assert (told, backups(place)) == ([], [])


def test_the_migrations_make_the_tables_that_the_code_uses(place: Place) -> None:
    place.open()
    engine = sa.create_engine(place.url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()

    assert found == []


def _opens(url: str, together: Barrier, said: SimpleQueue[list[str]]) -> None:
    told: list[str] = []
    together.wait(20)
    try:
        journal = SqlJournal(url, tell=told.append)
        said.put(["", *told, *(found.run_id for found in journal.runs())])
    except BaseException as problem:  # whatever it is: the test waits for a word of each
        said.put([f"{type(problem).__name__}: {problem}"])


@pytest.mark.parametrize("form", [None, "0001", "0004"])
def test_of_controllers_that_open_it_at_once_one_migrates(place: Place, form: str | None) -> None:
    if form is not None:
        write_older(place, form)
    # Alembic keeps its state in a module, so that it takes processes.
    forks = multiprocessing.get_context("fork")
    together, said = forks.Barrier(4), forks.SimpleQueue()
    controllers = [forks.Process(target=_opens, args=(place.url, together, said)) for _ in range(4)]
    for one in controllers:
        one.start()
    answers = sorted((said.get() for _ in controllers), key=len)
    for one in controllers:
        one.join()

    runs = [] if form is None else ["r1"]
    assert answers[:3] == [["", *runs]] * 3
    assert len(answers[3]) == (1 if form is None else 3)  # the one that has migrated says so
    assert len(backups(place)) == (1 if form and place.kind == "sqlite" else 0)
    assert place.asked("SELECT count(*) FROM alembic_version") == [(1,)]


def test_a_migration_that_fails_leaves_the_journal_as_it_was(place: Place) -> None:
    write_older(place, "0004")
    place.changed("CREATE TABLE gate_samples (mine INTEGER)")
    before = tables(place)

    refusal = refused(place)

    assert "gate_samples" in str(refusal)
    assert place.asked("SELECT version_num FROM alembic_version") == [("0004",)]
    assert tables(place) == before
    assert place.asked("SELECT count(*) FROM moves") == [(3,)]
    place.changed("DROP TABLE gate_samples")
    assert len(place.open().moves("r1")) == 3


def test_nothing_is_migrated_under_an_older_tcptune_that_is_at_work(place: Place) -> None:
    write_older(place, "0004")
    place.changed(f"UPDATE runs SET at_work = replace(at_work, 'gone b n 7 1', '{me()}')")  # noqa: S608

    refusal = refused(place)

    assert "confirm of run r1 by bob@ctl2 is at work on it (pid 7)" in str(refusal)
    assert place.asked("SELECT version_num FROM alembic_version") == [("0004",)]
    assert backups(place) == []


def test_a_journal_of_a_newer_tcptune_is_left_alone(place: Place) -> None:
    place.open().begin(run(run_id="r1"), PLAN)
    place.changed("UPDATE alembic_version SET version_num = '9999'")

    refusal = refused(place)

    assert "newer tcptune (its form is 9999)" in str(refusal)
    assert refusal.hint == "upgrade tcptune"
    assert place.asked("SELECT count(*) FROM runs") == [(1,)]


def test_the_database_of_another_program_is_left_alone(place: Place) -> None:
    engine = sa.create_engine(place.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('ab12')")
    engine.dispose()

    refusal = refused(place)

    assert "database of another program: its alembic_version is ab12" in str(refusal)
    assert "a database of its own" in (refusal.hint or "")
    assert tables(place) == {"alembic_version"}


@pytest.mark.parametrize("form", [None, "0004"])
def test_who_may_not_change_the_tables_of_a_server_is_told_who_may(
    request: pytest.FixtureRequest, tmp_path: Path, form: str | None
) -> None:
    place = new_place("postgresql", tmp_path, request)
    assert place.server is not None
    if form is not None:
        write_older(place, form)
    reader = f"{place.database}_reader"
    place.server.sql(
        f"CREATE ROLE {reader} LOGIN PASSWORD '{PASSWORD}'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {reader}",
        database=place.database,
    )
    url = place.server.plain_url(reader, PASSWORD, place.database)
    with pytest.raises(TcptuneError) as refusal:
        SqlJournal(url)

    assert "its user may not change that" in str(refusal.value)
    who = f"the owner of the tables, {place.database}," if form else "a user with CREATE on the schema"
    assert refusal.value.hint is not None
    assert "back it up with pg_dump" in refusal.value.hint or form is None
    assert f"let {who} run `tcptune runs` once" in refusal.value.hint
    assert PASSWORD not in f"{refusal.value} {refusal.value.hint}"
