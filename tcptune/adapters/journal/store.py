"""The journal on SQLAlchemy. Every move is on disk before the next thing happens."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tcptune.adapters.journal import controllers
from tcptune.adapters.journal.tables import HostResultRow, MoveRow, RunRow
from tcptune.domain.changes import Plan
from tcptune.domain.runs import MOVES, Act, BootCheck, HostResult, HostState, Move, Run, Work
from tcptune.errors import TcptuneError, UsageError

_HEAD = "0004"
_LOCK_NUMBER = 0x7463_7074
"""Any number that no other program on the server locks."""


class SqlJournal:
    """Runs in a database."""

    def __init__(self, url: str) -> None:
        """Open the database at an SQLAlchemy `url`, and bring its tables to the newest form.

        Raises TcptuneError where it cannot be opened.
        """
        self._name = "that TCPTUNE_JOURNAL names"
        try:
            self._name = sa.make_url(url).render_as_string(hide_password=True)
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _prepare_sqlite)
            self._migrate()
        except (SQLAlchemyError, ImportError, OSError) as problem:
            raise self._broken(problem) from problem

    def begin(self, run: Run, plan: Plan) -> None:
        """Record a run and the whole plan before anything is changed."""
        with self._session() as session:
            session.add(
                RunRow(
                    run_id=run.run_id,
                    plan_id=run.plan_id,
                    profile=run.profile,
                    started_at=run.started_at,
                    ended_at=None,
                    operator=run.operator,
                    tool_version=run.tool_version,
                    plan=plan.model_dump_json(),
                    at_work=_work(Act.APPLY, run.operator, run.started_at),
                ),
            )
            session.flush()
            session.add_all(_result_row(run.run_id, result) for result in run.results)

    def start(self, run_id: str, act: Act, hosts: Sequence[str], *, by: str, at: datetime) -> None:
        """Record that an act begins on some hosts of a run.

        Raises TcptuneError while another process of this machine works on the run.
        """
        mine = _work(act, by, at)
        while not self._take(run_id, mine):
            # Somebody else began in this very moment: look who.
            pass
        with self._session() as session:
            for host in hosts:
                row = session.get(HostResultRow, (run_id, host))
                if row is None:
                    raise TcptuneError(f"{host} is no host of run {run_id}")
                row.doing = act.value
                session.add(
                    MoveRow(run_id=run_id, at=at, host=host, before=row.state, after=row.state, note=f"{act} begun")
                )

    def _take(self, run_id: str, mine: str) -> bool:
        """Put this process at work on a run. Return whether nobody did so since the look."""
        with self._session() as session:
            found = session.scalar(sa.select(RunRow.at_work).where(RunRow.run_id == run_id))
        other = _at_work(found)
        if other is not None and other.alive and other.process != controllers.me():
            raise TcptuneError(
                f"run {run_id}: {other.act} by {other.by} is at work on it since {other.since:%Y-%m-%d %H:%M:%S} UTC "
                f"(pid {other.pid})",
                hint=f"wait for it to end, or end it: then tcptune doctor says what the hosts of run {run_id} hold",
            )
        with self._session() as session:
            taken = session.execute(
                sa.update(RunRow)
                .where(RunRow.run_id == run_id, RunRow.at_work.is_not_distinct_from(found))
                .values(at_work=mine, ended_at=None)
                .returning(RunRow.run_id)
            )
            return taken.first() is not None

    def move(self, run_id: str, result: HostResult, *, at: datetime, note: str = "") -> None:
        """Record a host's new state. Raises TcptuneError for a move that the table of moves forbids."""
        with self._session() as session:
            row = session.get(HostResultRow, (run_id, result.host), with_for_update=True)
            if row is None:
                raise TcptuneError(f"{result.host} is no host of run {run_id}")
            before = HostState(row.state)
            if result.state is not before and result.state not in MOVES[before]:
                raise TcptuneError(f"{result.host}: a host that is {before} cannot become {result.state}")
            row.state, row.error, row.hint = result.state.value, result.error, result.hint
            row.deadline, row.doing = result.deadline, result.doing and result.doing.value
            row.at_boot = _at_boot(result)
            # What was replaced is what a rollback restores: once known it is never forgotten.
            row.replaced = row.replaced or result.replaced
            session.add(
                MoveRow(
                    run_id=run_id,
                    at=at,
                    host=result.host,
                    before=before.value,
                    after=result.state.value,
                    note=note or result.error or "",
                ),
            )

    def end(self, run_id: str, *, at: datetime) -> None:
        """Record that nobody works on the run any more."""
        with self._session() as session:
            row = session.get(RunRow, run_id, with_for_update=True)
            work = _at_work(row.at_work) if row else None
            if row is None or (work is not None and work.process != controllers.me()):
                # Another machine could not see us, and has taken over: the end is for it to record.
                return
            row.ended_at, row.at_work = at, None

    def find(self, run_id: str) -> tuple[Run, Plan]:
        """Return a run by its id, by a unique start of it, or 'last'."""
        with self._session() as session:
            newest_first = sa.select(RunRow).order_by(RunRow.started_at.desc(), RunRow.run_id.desc())
            if not run_id:
                raise UsageError(f"there is no run with an empty name in {self._name}", hint="tcptune runs")
            if run_id == "last":
                rows = session.scalars(newest_first.limit(1)).all()
            else:
                rows = session.scalars(newest_first.where(RunRow.run_id.startswith(run_id, autoescape=True))).all()
                rows = [row for row in rows if row.run_id == run_id] or rows
            if not rows:
                raise UsageError(f"there is no run {run_id!r} in {self._name}", hint="tcptune runs")
            if len(rows) > 1:
                raise UsageError(
                    f"{run_id!r} is the start of {len(rows)} runs", hint="give more of it; see tcptune runs"
                )
            return _run(session, rows[0]), self._plan(rows[0])

    def _plan(self, row: RunRow) -> Plan:
        try:
            return Plan.model_validate_json(row.plan)
        except ValidationError as problem:
            first = problem.errors()[0]
            raise TcptuneError(
                f"the journal {self._name} holds no usable plan of run {row.run_id}: {first['msg']}",
                hint="was it written by another version of tcptune?",
            ) from None

    def runs(self, *, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""
        with self._session() as session:
            rows = session.scalars(
                sa.select(RunRow).order_by(RunRow.started_at.desc(), RunRow.run_id.desc()).limit(limit),
            ).all()
            return [_run(session, row) for row in rows]

    def moves(self, run_id: str) -> list[Move]:
        """Return the log of a run, oldest first."""
        with self._session() as session:
            rows = session.scalars(sa.select(MoveRow).where(MoveRow.run_id == run_id).order_by(MoveRow.id)).all()
            return [
                Move(at=r.at, host=r.host, before=HostState(r.before), after=HostState(r.after), note=r.note)
                for r in rows
            ]

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except SQLAlchemyError as problem:
            raise self._broken(problem) from problem

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other controllers on this machine from opening the same SQLite file for the first time meanwhile."""
        file = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        with ExitStack() as stack:
            if file and file != ":memory:":
                # SQLite commits each table by itself and lets nobody wait for the switch to its log: neither is safe
                # with two at it.
                lock = stack.enter_context(Path(f"{file}.lock").open("w", encoding="utf-8"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _at_head(self) -> bool:
        with self._engine.connect() as connection:
            known = sa.inspect(connection).has_table("alembic_version")
            return known and connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == _HEAD

    def _migrate(self) -> None:
        with self._alone():
            if not self._at_head():
                self._upgrade()

    def _upgrade(self) -> None:
        with self._engine.begin() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
            known = sa.inspect(connection).has_table("alembic_version")
            at = connection.scalar(sa.text("SELECT version_num FROM alembic_version")) if known else None
            if at == _HEAD:
                return
            # Only now: Alembic takes a tenth of a second to import.
            from alembic import command, config, script

            settings = config.Config()
            settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            if at is not None and at not in {
                s.revision for s in script.ScriptDirectory.from_config(settings).walk_revisions()
            }:
                raise TcptuneError(
                    f"{self._name} was written by a newer tcptune (its form is {at})", hint="upgrade tcptune"
                )
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")

    def _broken(self, problem: Exception) -> TcptuneError:
        cause = getattr(problem, "orig", None) or problem
        return TcptuneError(
            f"the journal {self._name} cannot be used: {' '.join(str(cause).split())}",
            hint="set TCPTUNE_JOURNAL to another place",
        )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # Readers and a writer do not block each other, and a committed move survives a power cut.
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _result_row(run_id: str, result: HostResult) -> HostResultRow:
    return HostResultRow(
        run_id=run_id,
        host=result.host,
        cohort=result.cohort,
        state=result.state.value,
        replaced=result.replaced,
        deadline=result.deadline,
        at_boot=_at_boot(result),
        error=result.error,
        hint=result.hint,
        doing=result.doing and result.doing.value,
    )


def _at_boot(result: HostResult) -> dict[str, Any] | None:
    return result.at_boot.model_dump(mode="json") if result.at_boot else None


def _work(act: Act, by: str, since: datetime) -> str:
    me = controllers.me()
    return Work(act=act, by=by, since=since, process=me, pid=controllers.pid(me)).model_dump_json(exclude={"alive"})


def _at_work(text: str | None) -> Work | None:
    if text is None:
        return None
    work = Work.model_validate_json(text)
    return work.model_copy(update={"alive": controllers.alive(work.process)})


def _run(session: Session, row: RunRow) -> Run:
    results = session.scalars(
        sa.select(HostResultRow).where(HostResultRow.run_id == row.run_id).order_by(HostResultRow.host),
    ).all()
    return Run(
        run_id=row.run_id,
        plan_id=row.plan_id,
        profile=row.profile,
        started_at=row.started_at,
        ended_at=row.ended_at,
        operator=row.operator,
        tool_version=row.tool_version,
        results=tuple(
            HostResult(
                host=r.host,
                cohort=r.cohort,
                state=HostState(r.state),
                replaced=r.replaced,
                deadline=r.deadline,
                at_boot=BootCheck.model_validate(r.at_boot) if r.at_boot else None,
                error=r.error,
                hint=r.hint,
                doing=Act(r.doing) if r.doing else None,
            )
            for r in results
        ),
        at_work=_at_work(row.at_work),
    )
