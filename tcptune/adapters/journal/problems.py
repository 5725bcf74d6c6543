"""What a database says when it refuses, as one message: what is wrong, and what to do. No password is in it."""

from __future__ import annotations

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

ELSEWHERE = "set TCPTUNE_JOURNAL to another place"
"""The last resort for any trouble."""

_ENDED = frozenset({"57P01", "57P02", "57P03", "25P03"})
"""The server ends, ended, or has not begun: what PostgreSQL says while it is stopped and started.

The last: it took back a transaction in which this process was stopped for too long.
"""
_ONCE_MORE = frozenset({"40001", "40P01"})
"""Two transactions were in each other's way, and this one was taken back whole."""
_CROWDED = frozenset({"53300"})
"""Too many connections: somebody leaves."""

_POSTGRESQL: dict[str, tuple[str, str]] = {
    "25006": ("it takes no writes: this is a standby, or somebody made it read-only", "name the primary server"),
    "28000": ("the server does not let this user in", "look at its pg_hba.conf"),
    "28P01": ("the server refuses the password", "put the right one into ~/.pgpass"),
    "3D000": ("there is no such database", "createdb, as an administrator of the server"),
    "42501": ("its user may not do that", "GRANT it the rights on the tables, as their owner"),
    "53100": ("the disk of the server is full", "make room there"),
    "53300": ("the server has too many connections", "wait, or raise max_connections"),
    "55P03": ("another process keeps it locked", "try again; pg_stat_activity of the server says which"),
}
"""SQLSTATE -> what it means here, and what to do (PostgreSQL manual, appendix A)."""

_AT_THE_DOOR: dict[str, str] = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "is not permitted to log in": "28000",
    'FATAL: role "': "28000",
    'FATAL: database "': "3D000",
    "too many connections": "53300",
    "remaining connection slots": "53300",
}
"""What a server says that lets nobody in -> SQLSTATE: libpq does not hand over the code of it.

In another language than English no code is found, and the message stands for itself.
"""

_SQLITE: dict[str, tuple[str, str]] = {
    "SQLITE_BUSY": ("another process keeps it locked", "try again; `fuser` of the file says which process has it open"),
    "SQLITE_CANTOPEN": ("the file cannot be opened", ELSEWHERE),
    "SQLITE_CORRUPT": ("the file is damaged", f"put a backup in its place, or {ELSEWHERE}"),
    "SQLITE_FULL": ("the disk is full", "make room there"),
    "SQLITE_IOERR": ("the disk does not read or write it", ELSEWHERE),
    "SQLITE_NOTADB": ("the file is no SQLite database", ELSEWHERE),
    "SQLITE_READONLY": ("this user may only read it", f"let its owner give you the right to write, or {ELSEWHERE}"),
}
"""Primary name of a result code -> what it means here, and what to do (sqlite.org/rescode.html)."""

_MISSING = {"psycopg": "pip install 'tcptune[postgres]'"}


def said(problem: Exception, url: URL | None = None) -> str:
    """Return what the database said, on one line and without the password of its URL."""
    text = " ".join(str(getattr(problem, "orig", None) or problem).split())
    for secret in filter(None, [url.password if url else None, *(_query_secrets(url) if url else ())]):
        text = text.replace(str(secret), "***")
    return text


def explained(problem: Exception, url: URL | None = None) -> tuple[str, str]:
    """Return what is wrong, and what to do."""
    text = said(problem, url)
    if isinstance(problem, ModuleNotFoundError) and problem.name in _MISSING:
        return f"the Python package {problem.name} is missing", _MISSING[problem.name]
    known = _POSTGRESQL.get(sqlstate(problem)) or _SQLITE.get(_sqlite_name(problem))
    if known is None and _no_connection(problem):
        known = ("no connection to the server", "is it running? `psql` with the same address says more")
    if known is None:
        return text, ELSEWHERE
    meaning, hint = known
    hint = hint if "TCPTUNE_JOURNAL" in hint else f"{hint}; or {ELSEWHERE}"
    return f"{meaning} ({text})", hint


def sqlstate(problem: Exception) -> str:
    """Return PostgreSQL's code, or nothing where it gave none."""
    found = getattr(getattr(problem, "orig", None), "sqlstate", None)
    if found or not isinstance(problem, OperationalError) or _sqlite_name(problem):
        return found or ""
    text = said(problem)
    return next((code for words, code in _AT_THE_DOOR.items() if words in text), "")


def passing(problem: Exception) -> bool:
    """Say whether the same call may go well in a moment, from what a journal says that worked before.

    SQLite waits for its lock by itself, and nothing else of it passes.
    """
    if not isinstance(problem, DBAPIError) or _sqlite_name(problem):
        return False
    state = sqlstate(problem)
    return problem.connection_invalidated or state in _ENDED | _ONCE_MORE | _CROWDED or _no_connection(problem)


def _no_connection(problem: Exception) -> bool:
    # libpq gives no code for a connection that it could not make, and its words are in the server's language.
    return isinstance(problem, OperationalError) and not sqlstate(problem) and not _sqlite_name(problem)


def _sqlite_name(problem: Exception) -> str:
    """Return the name of SQLite's primary result code: SQLITE_BUSY for SQLITE_BUSY_SNAPSHOT."""
    name = getattr(getattr(problem, "orig", None), "sqlite_errorname", "") or ""
    return "_".join(name.split("_")[:2])


def _query_secrets(url: URL) -> list[str]:
    found = url.query.get("password", ())
    return [found] if isinstance(found, str) else list(found)
