"""What a database refuses is one message, with what to do, and without the password."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from tcptune.adapters.journal import database, problems
from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.runs import HostState
from tcptune.errors import TcptuneError
from tests.journal.conftest import Place, new_place
from tests.journal.server import PASSWORD, Server
from tests.unit.builders import NOW, cohort, plan, result, run

PLAN = plan(cohort("web1", "web2"))
RUN = run(result("web1", HostState.PLANNED), result("web2", HostState.PLANNED), run_id="r1", plan_id=PLAN.plan_id)
ROOT = Path(__file__).parents[2]


def refused(url: str) -> TcptuneError:
    with pytest.raises(TcptuneError) as refusal:
        SqlJournal(url).begin(RUN, PLAN)
    said = f"{refusal.value} {refusal.value.hint}"
    assert PASSWORD not in said
    assert "\n" not in said
    assert "TCPTUNE_JOURNAL" in said
    return refusal.value


@pytest.fixture
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return new_place("postgresql", tmp_path, request)


def server_of(shared: Place) -> Server:
    assert shared.server is not None
    return shared.server


# PostgreSQL


def test_a_wrong_password_is_told_and_not_shown(shared: Place) -> None:
    refusal = refused(shared.url.replace(PASSWORD, "hunter2"))

    assert "the server refuses the password" in str(refusal)
    assert "hunter2" not in f"{refusal} {refusal.hint}"
    assert "~/.pgpass" in (refusal.hint or "")


def test_a_password_in_the_query_is_not_shown_either(shared: Place) -> None:
    plain = shared.url.replace(f":{PASSWORD}@", "@")

    assert SqlJournal(f"{plain}?password={PASSWORD}").database.name == plain
    assert "hunter2" not in str(refused(f"{plain}?password=hunter2"))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER ROLE {0} NOLOGIN", "the server does not let this user in"),
        ("ALTER ROLE {0} SET default_transaction_read_only = on", "it takes no writes"),
        ("ALTER DATABASE {0} RENAME TO {0}_away", "there is no such database"),
        ("ALTER ROLE {0} CONNECTION LIMIT 0", "the server has too many connections"),
    ],
)
def test_what_a_server_refuses_is_told_with_what_to_do(shared: Place, statement: str, said: str) -> None:
    server_of(shared).sql(statement.format(shared.database))

    assert said in str(refused(shared.url))


@pytest.mark.parametrize(
    ("host", "said"),
    [("127.0.0.1:1", "no connection to the server"), ("nosuch.invalid", "no connection to the server")],
)
def test_a_server_that_is_not_there_is_told(host: str, said: str) -> None:
    refusal = refused(f"postgresql://ada:{PASSWORD}@{host}/tcptune")

    assert said in str(refusal)
    assert "psql" in (refusal.hint or "")


def test_who_may_only_read_a_shared_journal_can_look_and_not_change(shared: Place) -> None:
    shared.open().begin(RUN, PLAN)
    reader = f"{shared.database}_reader"
    server_of(shared).sql(
        f"CREATE ROLE {reader} LOGIN PASSWORD '{PASSWORD}'",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
        database=shared.database,
    )
    journal = SqlJournal(server_of(shared).plain_url(reader, PASSWORD, shared.database))

    assert [found.run_id for found in journal.runs()] == ["r1"]
    with pytest.raises(TcptuneError, match="its user may not do that"):
        journal.end("r1", at=NOW)


def test_a_table_that_somebody_keeps_locked_is_not_waited_for_for_ever(
    shared: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOCKED_S", 1)
    journal = shared.open()
    journal.begin(RUN, PLAN)
    url = server_of(shared).plain_url("postgres", PASSWORD, shared.database)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TcptuneError, match="another process keeps it locked") as refusal:
            journal.end("r1", at=NOW)
    assert "pg_stat_activity" in (refusal.value.hint or "")
    journal.end("r1", at=NOW)


def test_a_full_disk_of_the_server_is_told() -> None:
    full = OperationalError("INSERT", None, psycopg.errors.DiskFull("could not extend file: No space left on device"))

    assert problems.explained(full)[0].startswith("the disk of the server is full (could not extend file")
    assert not problems.passing(full)


def test_without_the_driver_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(TcptuneError, match="the Python package psycopg is missing") as found:
        SqlJournal(f"postgresql://ada:{PASSWORD}@db.example/tcptune")
    assert found.value.hint == "pip install 'tcptune[postgres]'"


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.mark.parametrize("content", [b"this is no database " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_left_as_it_is(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert str(file) in str(refused(f"sqlite:///{file}"))
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "url", ["sqlite:////nonexistent/folder/j", "nosuch://x", "journal.sqlite", "", "sqlite:////tmp", "mysql://a@b/c"]
)
def test_a_place_that_cannot_be_used_is_an_error_in_words(url: str) -> None:
    assert "cannot be used" in str(refused(url))


def test_the_password_of_an_unknown_kind_of_database_is_not_shown() -> None:
    assert "hunter2" not in str(refused("nosuch://ada:hunter2@db.example/tcptune"))


def test_a_full_disk_takes_nothing_half(file: Path) -> None:
    journal = SqlJournal(f"sqlite:///{file}")
    journal.begin(RUN, PLAN)
    [[pages]] = Place("sqlite", "", "", file).asked("PRAGMA page_count")
    # As on a full disk, the file cannot grow.
    sa.event.listen(journal.database.engine, "connect", lambda c, _record: c.execute(f"PRAGMA max_page_count={pages}"))
    journal.database.engine.dispose()
    hosts = tuple(result(f"web{n}", HostState.PLANNED) for n in range(2000))
    with pytest.raises(TcptuneError, match=r"the disk is full \(database or disk is full\)"):
        journal.begin(RUN.model_copy(update={"run_id": "r2", "results": hosts}), PLAN)

    assert [found.run_id for found in SqlJournal(f"sqlite:///{file}").runs()] == ["r1"]


def test_a_file_that_somebody_keeps_locked_is_not_waited_for_for_ever(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LOCKED_S", 1)
    journal = SqlJournal(f"sqlite:///{file}")
    journal.begin(RUN, PLAN)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert journal.find("r1")  # a reader waits for nobody
        with pytest.raises(TcptuneError, match="another process keeps it locked"):
            journal.end("r1", at=NOW)
    journal.end("r1", at=NOW)


_LOOK = """
import sys
from tcptune.adapters.journal.store import SqlJournal
from tcptune.errors import TcptuneError
try:
    journal = SqlJournal(sys.argv[1])
    print([run.run_id for run in journal.runs()])
    journal.locks.claim(["web1"], "r1", by="nobody@ctl1", lease_s=60)
except TcptuneError as problem:
    print(f"refused: {problem}; try: {problem.hint}")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that everybody can reach: those of pytest are their user's alone."""
    with TemporaryDirectory(prefix="tcptune-journal-") as folder:
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_who_may_not_write_the_file_is_told_so(open_folder: Path, mode: int) -> None:
    file = open_folder / "journal.sqlite"
    SqlJournal(f"sqlite:///{file}").begin(RUN, PLAN)
    file.chmod(0o644)
    open_folder.chmod(mode)
    said = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            sys.executable,
            "-c",
            _LOOK,
            f"sqlite:///{file}",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )

    # Who may read it may look.
    looked, answer = said.stdout.splitlines()
    assert looked == "['r1']"
    assert "this user may only read it (attempt to write a readonly database)" in answer
    assert "TCPTUNE_JOURNAL" in answer


# Two processes on one journal


def _writes(url: str, run_id: str, said: SimpleQueue[str]) -> None:
    try:
        journal = SqlJournal(url, by=run_id)
        for number in range(30):
            journal.move(run_id, result("web1", HostState.PLANNED), at=NOW, note=str(number))
            journal.find(run_id)
        said.put("")
    except BaseException as problem:  # whatever it is: the test waits for a word of each
        said.put(f"{type(problem).__name__}: {problem}")


def test_processes_that_write_at_once_lose_nothing(place: Place) -> None:
    journal = place.open()
    names = ("r1", "r2", "r3")
    for name in names:
        journal.begin(RUN.model_copy(update={"run_id": name}), PLAN)
    forks = multiprocessing.get_context("fork")
    said: SimpleQueue[str] = forks.SimpleQueue()
    writers = [forks.Process(target=_writes, args=(place.url, name, said)) for name in (*names, "r3")]
    for writer in writers:
        writer.start()
    answers = [said.get() for _ in writers]
    for writer in writers:
        writer.join()

    assert answers == [""] * 4
    assert [len(place.open().moves(name)) for name in names] == [30, 30, 60]
    assert {entry.by for entry in place.open().rollouts.log("r1")} == {"ada@ctl1", "r1"}


def test_threads_share_a_journal(place: Place) -> None:
    journal = place.open()
    journal.begin(RUN, PLAN)
    problems_seen: list[Exception] = []

    def work(host: str) -> None:
        try:
            for _ in range(10):
                journal.move("r1", result(host, HostState.PLANNED), at=NOW)
        except TcptuneError as problem:
            problems_seen.append(problem)

    threads = [threading.Thread(target=work, args=(host,)) for host in ("web1", "web2", "web1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (problems_seen, len(journal.moves("r1"))) == ([], 30)


def test_an_sqlite_journal_is_in_wal_mode_and_every_commit_is_on_disk(file: Path) -> None:
    journal = SqlJournal(f"sqlite:///{file}")
    with journal.database.engine.connect() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
