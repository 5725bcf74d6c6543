"""A journal on each kind of database: a test that asks for `place` runs on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tcptune.adapters.journal.store import SqlJournal
from tests.journal.server import PASSWORD, Server, missing

KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Place:
    """Where a journal is, and a way to it that does not go through the journal's code."""

    kind: str
    url: str
    name: str
    """What messages call it by."""
    file: Path
    server: Server | None = None
    database: str = ""

    def open(self, by: str = "ada@ctl1", patience_s: float = 20.0) -> SqlJournal:
        return SqlJournal(self.url, by=by, patience_s=patience_s)

    def asked(self, sql: str) -> list[tuple[object, ...]]:
        """Give the rows of a query."""
        if self.server is not None:
            return self.server.sql(sql, database=self.database)
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql).fetchall()

    def changed(self, sql: str) -> None:
        """Run a statement."""
        if self.server is not None:
            self.server.sql(sql, database=self.database)
            return
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(sql)


def serving() -> Iterator[Server]:
    """Start a server, and remove it in the end. A person without PostgreSQL skips what needs it; CI must not."""
    if reasons := missing():
        if os.environ.get("CI") == "true":
            pytest.fail("; ".join(reasons), pytrace=False)
        pytest.skip("; ".join(reasons))
    server = Server()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Give the session's server. Who stops it starts it again."""
    yield from serving()


def new_place(kind: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """Give an empty database of a kind."""
    if kind == "sqlite":
        file = folder / "journal.sqlite"
        return Place(kind, f"sqlite:///{file}", str(file), file)
    server: Server = request.getfixturevalue("server")
    name = server.new_database()
    url = server.plain_url(name, PASSWORD, name).replace("postgresql:", "postgresql+psycopg:")
    return Place(kind, url, url.replace(PASSWORD, "***"), folder / "no file", server, name)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return new_place(request.param, tmp_path, request)


@pytest.fixture
def journal(place: Place) -> SqlJournal:
    return place.open()
