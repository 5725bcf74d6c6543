"""Bring an older journal to the form that this tcptune uses: alone, whole or not at all, and with a way back."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from tcptune.adapters.journal import problems
from tcptune.adapters.journal.database import Database, Tell
from tcptune.errors import TcptuneError

HEAD = "0007"
"""The form that the tables in tables.py have."""
_MIGRATING = 0x7463_7074
"""Any number that no other program on the server locks."""
_OTHERS_MIGRATE_S = 120


def bring_up_to_date(database: Database, tell: Tell) -> None:
    """Give an empty database its tables, or an older journal the newest ones.

    Raises TcptuneError for a journal of a newer tcptune, for another program's database, and where the change cannot be
    made; then it is as it was.
    """
    with database.in_words(), _alone(database):
        with database.engine.connect() as connection:
            if form(connection) == HEAD:
                return
        with database.writing.begin() as connection:
            if database.postgresql:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_OTHERS_MIGRATE_S}s'")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
            _upgrade(database, connection, tell)


def form(connection: Connection) -> str | None:
    """Return the form of the tables: the number of the last migration; None where there are none yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Keep other controllers on this machine from opening the same SQLite file for the first time meanwhile."""
    with ExitStack() as stack:
        if database.file:
            # A transaction keeps no second one from switching to the log at the same time; this does.
            lock = stack.enter_context(_lock_file(Path(f"{database.file}.lock")))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lock_file(path: Path) -> Any:
    try:
        return path.open("w", encoding="utf-8")
    except OSError:
        if not path.exists():
            raise
        # Who may only read the journal still may wait for whoever writes it.
        return path.open(encoding="utf-8")


def _upgrade(database: Database, connection: Connection, tell: Tell) -> None:
    at = form(connection)
    if at == HEAD:
        return
    # Only now: Alembic takes a tenth of a second to import.
    from alembic import command, config, script

    settings = config.Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {step.revision for step in script.ScriptDirectory.from_config(settings).walk_revisions()}
    if at is not None and at not in known:
        raise _unknown(database, connection, at)
    if at is not None:
        _check_nobody_works(database, connection)
        tell(f"the journal {database.name} is of form {at}: bringing it to {HEAD}. {_way_back(database, at)}")
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, "head")
    except ProgrammingError as problem:
        if problems.sqlstate(problem) != "42501":
            raise
        raise _not_allowed(database, at) from problem


def _way_back(database: Database, at: str) -> str:
    """Keep the journal as it was, where that is a file. Return where it is, or how to make the like."""
    if not database.file:
        return (
            "That is done whole or not at all; an older tcptune refuses the journal from then on. Its way back is the "
            "server's own backup, such as pg_dump makes"
        )
    backup = Path(f"{database.file}.form-{at}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    _copy(Path(database.file), backup)
    return f"As it was, it is kept in {backup}"


def _copy(file: Path, backup: Path) -> None:
    """Copy an SQLite database with what is in its log. The copy is whole, and on disk, once it has its name."""
    part = backup.with_name(f"{backup.name}.part")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(backup)
    except sqlite3.Error as problem:
        raise TcptuneError(
            f"the journal {file} is older than this tcptune, and a backup of it cannot be written to {backup}: "
            f"{problem}; it was left as it is",
            hint=f"make room there, or {problems.ELSEWHERE}",
        ) from problem
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(backup.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_nobody_works(database: Database, connection: Connection) -> None:
    """Raise TcptuneError where a process of this machine works on a run: an older tcptune knows the old tables only."""
    from tcptune.adapters.journal.rows import at_work

    if "at_work" not in {column["name"] for column in sa.inspect(connection).get_columns("runs")}:
        return
    for run_id, text in connection.execute(sa.text("SELECT run_id, at_work FROM runs WHERE at_work IS NOT NULL")):
        work = at_work(text)
        if work and work.alive:
            raise TcptuneError(
                f"the journal {database.name} is older than this tcptune, and {work.act} of run {run_id} by {work.by} "
                f"is at work on it (pid {work.pid})",
                hint="wait for it to end; the journal was left as it is",
            )


def _unknown(database: Database, connection: Connection, at: str) -> TcptuneError:
    if not sa.inspect(connection).has_table("runs"):
        return TcptuneError(
            f"{database.name} is the database of another program: its alembic_version is {at}",
            hint="give tcptune a database of its own: set TCPTUNE_JOURNAL",
        )
    return TcptuneError(f"{database.name} was written by a newer tcptune (its form is {at})", hint="upgrade tcptune")


def _not_allowed(database: Database, at: str | None) -> TcptuneError:
    what = "has no tables yet" if at is None else f"is of form {at}, older than this tcptune's {HEAD}"
    with database.engine.connect() as connection:
        owner = connection.scalar(sa.text("SELECT tableowner FROM pg_tables WHERE tablename = 'runs' LIMIT 1"))
    who = f"the owner of the tables, {owner}," if owner else "a user with CREATE on the schema"
    return TcptuneError(
        f"the journal {database.name} {what}, and its user may not change that",
        hint=f"back it up with pg_dump, then let {who} run `tcptune runs` once",
    )
