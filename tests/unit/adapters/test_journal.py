from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command, config

from tcptune.adapters.journal import controllers, store
from tcptune.adapters.journal.store import SqlJournal
from tcptune.adapters.journal.tables import Base
from tcptune.domain.changes import Plan
from tcptune.domain.runs import MOVES, Act, BootCheck, HostState, Run
from tcptune.errors import TcptuneError, UsageError
from tests.unit.builders import NOW, SOMAXCONN, cohort, plan, result, run

PLAN = plan(cohort("web1", "web2"))
PLANNED = run(result("web1", HostState.PLANNED), result("web2", HostState.PLANNED), plan_id=PLAN.plan_id)
RUN = PLANNED.run_id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(file: Path) -> SqlJournal:
    return opened(file)


def opened(file: Path) -> SqlJournal:
    return SqlJournal(f"sqlite:///{file}")


def begun(journal: SqlJournal, *runs: Run) -> SqlJournal:
    for one in runs or (PLANNED,):
        journal.begin(one, PLAN)
    return journal


def without_work(found: Run) -> Run:
    return found.model_copy(update={"at_work": None})


def named(run_id: str, minutes: int = 0) -> Run:
    return PLANNED.model_copy(update={"run_id": run_id, "started_at": NOW + timedelta(minutes=minutes)})


def asked(file: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


def changed(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(sql)


# The tables


def test_an_empty_database_gets_its_tables(journal: SqlJournal, file: Path) -> None:
    names = {str(name) for [name] in asked(file, "SELECT name FROM sqlite_master WHERE type = 'table'")}

    assert {"runs", "host_results", "moves", "alembic_version"} <= names
    assert journal.runs() == []


def test_the_migrations_make_the_tables_that_the_code_uses(file: Path) -> None:
    opened(file)
    found = sa.inspect(sa.create_engine(f"sqlite:///{file}"))

    for table in Base.metadata.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
        indexes = {tuple(index["column_names"]) for index in found.get_indexes(table.name)}
        assert indexes == {tuple(c.name for c in index.columns) for index in table.indexes}


def test_opening_a_journal_again_changes_nothing(file: Path) -> None:
    begun(opened(file))

    assert without_work(opened(file).find(RUN)[0]) == PLANNED


def test_every_move_is_on_disk_before_the_next_thing_happens(journal: SqlJournal, file: Path) -> None:
    assert asked(file, "PRAGMA journal_mode") == [("wal",)]
    with journal._engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA synchronous")) == 2
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1


# Runs


def test_a_run_comes_back_as_it_was_recorded_with_its_whole_plan(journal: SqlJournal) -> None:
    found, made = begun(journal).find(RUN)

    assert (without_work(found), made) == (PLANNED, PLAN)


def test_a_run_cannot_be_recorded_twice(journal: SqlJournal) -> None:
    begun(journal)
    with pytest.raises(TcptuneError, match="cannot be used"):
        journal.begin(PLANNED, PLAN)


def test_times_are_kept_in_utc(journal: SqlJournal) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    begun(journal, PLANNED.model_copy(update={"started_at": elsewhere}))
    journal.end(RUN, at=elsewhere)
    found, _ = journal.find(RUN)

    assert (found.started_at, found.ended_at) == (NOW, NOW)
    assert found.started_at.tzinfo is UTC


def test_runs_are_listed_newest_first(journal: SqlJournal) -> None:
    begun(journal, named("b", 1), named("a", 2), named("c", 0))

    assert [r.run_id for r in journal.runs()] == ["a", "b", "c"]
    assert [r.run_id for r in journal.runs(limit=2)] == ["a", "b"]


# Finding one


def test_a_run_is_found_by_a_unique_start_of_its_id(journal: SqlJournal) -> None:
    begun(journal, named("20260314-a"), named("20260315-b"))

    assert journal.find("20260315")[0].run_id == "20260315-b"


def test_a_start_that_fits_two_runs_is_refused(journal: SqlJournal) -> None:
    begun(journal, named("20260314-a"), named("20260315-b"))
    with pytest.raises(UsageError, match="'202603' is the start of 2 runs"):
        journal.find("202603")


def test_a_whole_id_that_is_also_the_start_of_another_is_found(journal: SqlJournal) -> None:
    begun(journal, named("run"), named("run-2"))

    assert journal.find("run")[0].run_id == "run"


def test_last_is_the_run_that_began_last(journal: SqlJournal) -> None:
    begun(journal, named("z", 0), named("a", 1))

    assert journal.find("last")[0].run_id == "a"


@pytest.mark.parametrize("run_id", ["last", "20260314", "%", "_", ""])
def test_where_there_is_no_such_run_the_journal_says_so(journal: SqlJournal, file: Path, run_id: str) -> None:
    with pytest.raises(UsageError, match="there is no run") as refused:
        journal.find(run_id)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("run_id", ["%", "_", "2026%", ""])
def test_a_start_is_taken_literally(journal: SqlJournal, run_id: str) -> None:
    begun(journal)
    with pytest.raises(UsageError):
        journal.find(run_id)


# Moves


def test_a_host_moves_and_the_log_tells_each_step(journal: SqlJournal) -> None:
    begun(journal)
    journal.move(RUN, result("web1", HostState.APPLYING), at=NOW)
    journal.move(RUN, result("web1", HostState.HELD, replaced={SOMAXCONN: "128"}), at=NOW + timedelta(seconds=1))
    journal.move(RUN, result("web2", HostState.STALE, error="moved", hint="tcptune plan"), at=NOW)
    found, _ = journal.find(RUN)

    assert found.result("web1") == result("web1", HostState.HELD, replaced={SOMAXCONN: "128"})
    assert found.result("web2") == result("web2", HostState.STALE, error="moved", hint="tcptune plan")
    assert [(m.host, m.before, m.after, m.note) for m in journal.moves(RUN)] == [
        ("web1", HostState.PLANNED, HostState.APPLYING, ""),
        ("web1", HostState.APPLYING, HostState.HELD, ""),
        ("web2", HostState.PLANNED, HostState.STALE, "moved"),
    ]
    assert journal.moves(RUN)[1].at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize("before", HostState)
@pytest.mark.parametrize("after", HostState)
def test_the_table_of_moves_is_the_law(tables: SqlJournal, before: HostState, after: HostState) -> None:
    name = f"{before}-{after}"
    tables.begin(run(result("web1", before), run_id=name), PLAN)

    if after is before or after in MOVES[before]:
        tables.move(name, result("web1", after), at=NOW)
        assert tables.find(name)[0].result("web1").state is after
    else:
        with pytest.raises(TcptuneError, match=f"a host that is {before} cannot become {after}"):
            tables.move(name, result("web1", after), at=NOW)
        assert tables.find(name)[0].result("web1").state is before
        assert tables.moves(name) == []


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> SqlJournal:
    """Give one journal for all pairs of states: each pair has a run of its own."""
    return opened(tmp_path_factory.mktemp("journal") / "journal.sqlite")


def test_a_failed_attempt_is_noted_and_moves_nobody(journal: SqlJournal) -> None:
    begun(journal, run(result("web1", HostState.HELD)))
    journal.move(RUN, result("web1", HostState.HELD, error="connection lost"), at=NOW)

    assert journal.find(RUN)[0].result("web1").error == "connection lost"
    assert [(m.before, m.after, m.note) for m in journal.moves(RUN)] == [
        (HostState.HELD, HostState.HELD, "connection lost")
    ]


def test_what_the_apply_replaced_is_never_forgotten(journal: SqlJournal) -> None:
    begun(journal, run(result("web1", HostState.APPLYING)))
    journal.move(RUN, result("web1", HostState.HELD, replaced={SOMAXCONN: "128"}), at=NOW)
    journal.move(RUN, result("web1", HostState.CONFIRMED), at=NOW)
    journal.move(RUN, result("web1", HostState.ROLLED_BACK, replaced={SOMAXCONN: "4096"}), at=NOW)

    assert journal.find(RUN)[0].result("web1").replaced == {SOMAXCONN: "128"}


def test_an_error_that_is_over_is_forgotten(journal: SqlJournal) -> None:
    begun(journal, run(result("web1", HostState.HELD, error="connection lost", hint="try again")))
    journal.move(RUN, result("web1", HostState.CONFIRMED), at=NOW)
    found = journal.find(RUN)[0].result("web1")

    assert (found.error, found.hint) == (None, None)


def test_a_host_the_run_does_not_know_cannot_move(journal: SqlJournal) -> None:
    begun(journal)
    with pytest.raises(TcptuneError, match="web9 is no host of run"):
        journal.move(RUN, result("web9", HostState.APPLYING), at=NOW)


def test_two_controllers_can_write_at_the_same_time(file: Path) -> None:
    begun(opened(file), named("a"), named("b"))
    problems: list[Exception] = []

    def work(run_id: str) -> None:
        try:
            own = opened(file)
            for _ in range(10):
                own.move(run_id, result("web1", HostState.PLANNED), at=NOW)
        except TcptuneError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(run_id,)) for run_id in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(opened(file).moves("a")) == len(opened(file).moves("b")) == 10


def _opens(file: Path, together: Barrier, problems: SimpleQueue[str]) -> None:
    together.wait(20)
    try:
        opened(file)
        problems.put("")
    except Exception as problem:  # whatever it is: the test waits for a word of each
        problems.put(str(problem))


def test_two_controllers_can_make_the_first_run_at_the_same_time(tmp_path: Path) -> None:
    # Alembic keeps its state in a module, so that it takes processes.
    forks = get_context("fork")
    for attempt in range(5):
        together, problems = forks.Barrier(4), forks.SimpleQueue()
        controllers = [
            forks.Process(target=_opens, args=(tmp_path / f"{attempt}.sqlite", together, problems)) for _ in range(4)
        ]
        for one in controllers:
            one.start()
        said = [problems.get() for _ in controllers]
        for one in controllers:
            one.join()

        assert said == [""] * 4


# What cannot be opened


def refused(url: str) -> TcptuneError:
    with pytest.raises(TcptuneError) as refusal:
        SqlJournal(url).runs()
    return refusal.value


def test_a_journal_of_a_newer_tcptune_is_left_alone(file: Path) -> None:
    begun(opened(file))
    changed(file, "UPDATE alembic_version SET version_num = '9999'")
    refusal = refused(f"sqlite:///{file}")

    assert "newer tcptune (its form is 9999)" in str(refusal)
    assert refusal.hint == "upgrade tcptune"
    assert asked(file, "SELECT count(*) FROM runs") == [(1,)]


@pytest.mark.parametrize("content", [b"this is no database " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_an_error_in_words(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    refusal = refused(f"sqlite:///{file}")

    assert str(file) in str(refusal)
    assert "TCPTUNE_JOURNAL" in (refusal.hint or "")
    assert file.read_bytes() == content


def test_a_database_whose_tables_are_gone_is_an_error_in_words(journal: SqlJournal, file: Path) -> None:
    changed(file, "DROP TABLE host_results")
    with pytest.raises(TcptuneError, match="no such table"):
        begun(journal)


def test_a_stored_plan_that_cannot_be_understood_is_an_error_in_words(journal: SqlJournal, file: Path) -> None:
    begun(journal)
    changed(file, "UPDATE runs SET plan = '{}'")
    with pytest.raises(TcptuneError):
        journal.find(RUN)


@pytest.mark.parametrize(
    "url", ["sqlite:////nonexistent/folder/j", "nosuch://x", "journal.sqlite", "", "sqlite:////tmp"]
)
def test_a_place_that_cannot_be_used_is_an_error_in_words(url: str) -> None:
    assert "TCPTUNE_JOURNAL" in (refused(url).hint or "")


def test_a_password_in_the_url_is_never_shown() -> None:
    assert "hunter2" not in str(refused("nosuch://ada:hunter2@db.example/tcptune"))


def test_the_stored_plan_is_the_reviewed_one(journal: SqlJournal, file: Path) -> None:
    begun(journal)
    [[text]] = asked(file, "SELECT plan FROM runs")

    assert Plan.model_validate_json(str(text)).plan_id == PLAN.plan_id


def test_a_moment_without_a_time_zone_is_never_stored_as_if_it_were_utc(journal: SqlJournal) -> None:
    begun(journal)
    journal.end(RUN, at=datetime(2026, 3, 14, 15, tzinfo=timezone(timedelta(hours=2))))

    assert journal.find(RUN)[0].ended_at == datetime(2026, 3, 14, 13, tzinfo=UTC)


def test_a_journal_of_the_first_form_keeps_its_runs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    settings = config.Config()
    settings.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        kept = {"run_id": "r1", "plan_id": PLAN.plan_id, "profile": "p", "started_at": NOW.isoformat(sep=" ")}
        kept |= {"operator": "ada", "tool_version": "0.1.0", "plan": PLAN.model_dump_json()}
        host = {"run_id": "r1", "host": "web1", "cohort": "cohort1", "state": "held", "replaced": "{}"}
        for table, row in (("runs", kept), ("host_results", host)):
            connection.execute(sa.insert(sa.table(table, *map(sa.column, row))).values(row))

    [found] = SqlJournal(url).runs()

    assert (found.run_id, found.result("web1").state, found.result("web1").deadline) == ("r1", HostState.HELD, None)


def test_when_a_host_takes_it_back_is_remembered_while_it_is_held(tmp_path: Path) -> None:
    journal = SqlJournal(f"sqlite:///{tmp_path / 'new.sqlite'}")
    journal.begin(run(result("web1", HostState.APPLYING), run_id="r1"), PLAN)

    journal.move("r1", result("web1", HostState.HELD, deadline=NOW), at=NOW)
    assert journal.find("r1")[0].result("web1").deadline == NOW

    journal.move("r1", result("web1", HostState.CONFIRMED), at=NOW)
    assert journal.find("r1")[0].result("web1").deadline is None


def test_what_wins_over_a_confirmed_host_is_remembered_with_it(tmp_path: Path) -> None:
    journal = SqlJournal(f"sqlite:///{tmp_path / 'new.sqlite'}")
    journal.begin(run(result("web1", HostState.HELD), run_id="r1"), PLAN)
    seen = BootCheck(wins=("a file wins",), unknown=("another cannot be read",))

    journal.move("r1", result("web1", HostState.CONFIRMED, at_boot=seen), at=NOW)
    assert journal.find("r1")[0].result("web1").at_boot == seen

    journal.move("r1", result("web1", HostState.ROLLED_BACK), at=NOW)
    assert journal.find("r1")[0].result("web1").at_boot is None


# Who works on a run


def at_work_elsewhere(file: Path, process: str) -> None:
    """Let another process have begun to confirm the run."""
    work = {"act": "confirm", "by": "bob@c", "since": "2026-03-14T12:00:00Z", "process": process, "pid": "7"}
    changed(file, f"UPDATE runs SET at_work = '{json.dumps(work)}'")  # noqa: S608  # the text is this test's own


def another(**words: str) -> str:
    """Give this process, but for some words."""
    names = ("machine", "boot", "namespace", "pid", "began")
    return " ".join({**dict(zip(names, controllers.me().split(" "), strict=True)), **words}.values())


def start(journal: SqlJournal, act: Act = Act.ROLLBACK, *hosts: str) -> None:
    journal.start(RUN, act, hosts or ("web1",), by="ada@c", at=NOW)


def test_a_run_is_worked_on_from_its_begin_to_its_end(journal: SqlJournal) -> None:
    work = begun(journal).find(RUN)[0].at_work
    assert work is not None
    assert (work.act, work.by, work.since, work.alive) == (Act.APPLY, PLANNED.operator, NOW, True)

    journal.end(RUN, at=NOW)

    assert journal.find(RUN)[0].at_work is None


def test_what_was_begun_on_a_host_is_known_until_the_host_is_heard_of(journal: SqlJournal) -> None:
    begun(journal)
    start(journal, Act.CONFIRM, "web1")
    assert [r.doing for r in journal.find(RUN)[0].results] == [Act.CONFIRM, None]
    assert [(move.host, move.note) for move in journal.moves(RUN)] == [("web1", "confirm begun")]

    journal.move(RUN, result("web1", HostState.APPLYING), at=NOW)

    assert [r.doing for r in journal.find(RUN)[0].results] == [None, None]


def test_a_run_that_is_begun_again_has_no_end(journal: SqlJournal) -> None:
    begun(journal).end(RUN, at=NOW)
    start(journal)

    found = journal.find(RUN)[0]
    assert found.ended_at is None
    assert found.at_work is not None
    assert found.at_work.act is Act.ROLLBACK


def test_while_another_process_of_this_machine_is_at_work_nobody_else_begins(journal: SqlJournal, file: Path) -> None:
    begun(journal)
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            at_work_elsewhere(file, another(pid=str(process.pid), began=controllers._began(process.pid)))
            with pytest.raises(TcptuneError, match=r"confirm by bob@c is at work on it since .* \(pid 7\)"):
                start(journal)
            assert [r.doing for r in journal.find(RUN)[0].results] == [None, None]
        finally:
            process.kill()
        # A process that has ended, and that nobody has asked how, is still in the table of processes.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        start(journal)


@pytest.mark.parametrize(
    ("words", "alive"),
    [
        ({}, True),
        ({"began": "1"}, False),
        ({"pid": "4194305"}, False),
        ({"boot": "another"}, False),
        ({"machine": "another"}, None),
        ({"machine": "another", "boot": "another"}, None),
        ({"namespace": "pid:[1]"}, None),
    ],
)
def test_a_process_is_alive_or_gone_or_cannot_be_seen_from_here(words: dict[str, str], alive: bool | None) -> None:
    assert controllers.alive(another(**words)) is alive


@pytest.mark.parametrize("words", [{"began": "1"}, {"machine": "another"}])
def test_who_is_dead_or_cannot_be_seen_is_followed(journal: SqlJournal, file: Path, words: dict[str, str]) -> None:
    begun(journal)
    at_work_elsewhere(file, another(**words))

    start(journal)

    work = journal.find(RUN)[0].at_work
    assert work is not None
    assert work.by == "ada@c"


def test_who_was_followed_does_not_end_the_work_of_the_other(journal: SqlJournal, file: Path) -> None:
    begun(journal)
    at_work_elsewhere(file, another(machine="another"))

    journal.end(RUN, at=NOW)

    found = journal.find(RUN)[0]
    assert found.ended_at is None
    assert found.at_work is not None


def test_nothing_is_begun_on_a_host_that_the_run_does_not_know(journal: SqlJournal) -> None:
    begun(journal)

    with pytest.raises(TcptuneError, match="web9 is no host of run"):
        start(journal, Act.ROLLBACK, "web9")
