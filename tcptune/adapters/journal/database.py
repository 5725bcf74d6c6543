"""The journal's database: whole transactions on SQLite or PostgreSQL, and patience with a server that is away."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import URL, Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tcptune import __version__
from tcptune.adapters.journal import problems
from tcptune.adapters.journal.tables import LogRow, UtcDateTime
from tcptune.errors import TcptuneError

T = TypeVar("T")
Tell = Callable[[str], None]
"""Told what a person who waits should know: one line."""
OnWait = Callable[[str, float], None]
"""Told that a server that is away is waited for, and so many seconds at most."""

PATIENCE_S = 60.0
"""How long a call waits for a server that was there and is away: a restart, a failover."""
_LOCKED_S = 10
"""How long a call waits for what another process has locked."""
_FROZEN_S = 5
"""How long a server keeps a transaction of a controller that was stopped in it, such as a laptop that sleeps.

Shorter than others wait for what it has locked. The controller does it again when it wakes up.
"""
_LONGEST_PAUSE_S = 2.0
_WRITES = "tcptune_writes"

_CONNECTING = {
    "connect_timeout": 5,
    # A server that vanished without a word is noticed in half a minute, not in the two hours of the kernel.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Of libpq, unless the URL says otherwise; all but the last in seconds, that one in milliseconds."""


class Database:
    """Reads and writes, each a transaction that happens whole or not at all."""

    def __init__(self, url: str, *, by: str, patience_s: float = PATIENCE_S, tell: Tell = lambda _line: None) -> None:
        """Prepare for the database at an SQLAlchemy `url`; `by` is who is at work, for the log.

        Raises TcptuneError where it is no database that the journal can be in.
        """
        self.name = "that TCPTUNE_JOURNAL names"
        self.by = by
        self._patience_s = patience_s
        self.on_wait: OnWait = lambda why, seconds: tell(f"{why}: waiting for it, {seconds:.0f} s at most")
        self._url: URL | None = None
        try:
            self._url = given = _settled(sa.make_url(url))
            # Nothing of the query: it can hold a password, too.
            self.name = given.set(query={}).render_as_string(hide_password=True)
            self.engine = self._engine(given)
        except (SQLAlchemyError, ImportError, ValueError) as problem:
            raise self.broken(problem) from problem
        self._reading = self.engine
        if self.postgresql:
            # Several reads of one answer see one moment, as they do on SQLite.
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ")
        self.writing = self.engine.execution_options(**{_WRITES: True})

    @property
    def postgresql(self) -> bool:
        """Whether a server keeps it, which people on other machines use too."""
        return self.engine.dialect.name == "postgresql"

    @property
    def file(self) -> str | None:
        """Path of the SQLite file; None where there is none."""
        database = self.engine.url.database
        return database if not self.postgresql and database and database != ":memory:" else None

    def read(self, work: Callable[[Session], T]) -> T:
        """Return what `work` reads, all of it as of one moment."""
        return self._patiently(self._reading, lambda session, _again: work(session), self._patience_s)

    def write(self, work: Callable[[Session, str], None], *, call: str = "", patience_s: float | None = None) -> None:
        """Let `work` write, whole or not at all, and exactly once even where the answer was lost.

        What it adds to the log carries the `call` that it is given: it tells whether the write has happened.
        """
        mark = call or new_call()

        def once(session: Session, again: bool) -> None:
            if self.postgresql:
                # The server may still be at the first attempt, where only the connection to it is lost.
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(mark, 0))))
            if not again or session.scalar(sa.select(LogRow.id).where(LogRow.call == mark).limit(1)) is None:
                work(session, mark)

        self._patiently(self.writing, once, self._patience_s if patience_s is None else patience_s)

    def log(self, run_id: str, at: datetime, call: str, **fields: Any) -> LogRow:
        """Return a line for the log of a run."""
        given = {"wave": None, "host": None, "before": "", "after": "", "note": "", **fields}
        return LogRow(run_id=run_id, at=at, by=self.by, tool_version=__version__, call=call, **given)

    def now(self, session: Session) -> datetime:
        """Return the time by the database's clock, at this very moment of the transaction."""
        if self.postgresql:
            return session.scalars(sa.select(sa.func.clock_timestamp(type_=UtcDateTime()))).one()
        said = session.scalars(sa.select(sa.func.strftime("%Y-%m-%dT%H:%M:%f", "now", type_=sa.String()))).one()
        return datetime.fromisoformat(said).replace(tzinfo=UTC)

    def broken(self, problem: Exception) -> TcptuneError:
        """Return the error that tells a person of a problem."""
        what, hint = problems.explained(problem, self._url)
        return TcptuneError(f"the journal {self.name} cannot be used: {what}", hint=hint)

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turn any problem with the database into a TcptuneError."""
        try:
            yield
        except (SQLAlchemyError, ImportError, OSError) as problem:
            raise self.broken(problem) from problem

    def _patiently(self, engine: sa.Engine, work: Callable[[Session, bool], T], patience_s: float) -> T:
        """Run a transaction; while the server is away, wait and run it again. `work` is told whether it is again."""
        until, pause_s, again, told = time.monotonic() + patience_s, 0.1, False, False
        while True:
            try:
                with Session(engine) as session, session.begin():
                    return work(session, again)
            except SQLAlchemyError as problem:
                left_s = until - time.monotonic()
                if not problems.passing(problem):
                    raise self.broken(problem) from problem
                if left_s <= 0:
                    raise self._away(problem, patience_s) from problem
                # The first failure may be an old connection; a server that was restarted is there already.
                if again and not told:
                    self.on_wait(f"the journal {self.name} does not answer", left_s)
                    told = True
                time.sleep(min(pause_s, left_s))
                again, pause_s = True, min(pause_s * 2, _LONGEST_PAUSE_S)

    def _away(self, problem: Exception, patience_s: float) -> TcptuneError:
        what, _ = problems.explained(problem, self._url)
        return TcptuneError(
            f"the journal {self.name} did not answer for {patience_s:.0f} s: {what}; whether the last step is recorded "
            "is not known, half of it is not",
            hint="once it answers again, tcptune doctor says what the hosts hold",
        )

    def _engine(self, url: URL) -> sa.Engine:
        if url.get_backend_name() == "sqlite":
            engine = sa.create_engine(url)
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            return engine
        given = {name: value for name, value in _CONNECTING.items() if name not in url.query}
        engine = sa.create_engine(url, connect_args={"application_name": "tcptune", **given})
        sa.event.listen(engine, "begin", _begin_postgresql)
        return engine


def new_call() -> str:
    """Return a name for one write that no other has."""
    return uuid.uuid4().hex


def _settled(url: URL) -> URL:
    """Return the URL with the driver that the journal is tested with.

    Raises ValueError for a database that is neither SQLite nor PostgreSQL.
    """
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ValueError(f"{backend} is neither sqlite nor postgresql")
    return url


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Python would begin a transaction only at the first write, and by itself; a read before it would stand outside.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Readers and a writer do not block each other, and a committed move survives a power cut.
    cursor.execute(f"PRAGMA busy_timeout={_LOCKED_S * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later is refused, not queued, where another has written in between.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(
        f"SET LOCAL lock_timeout = '{_LOCKED_S}s'; SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN_S}s'"
    )
