"""The journal on SQLAlchemy. Every move is on disk before the next thing happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session

from tcptune.adapters.journal import controllers, rows
from tcptune.adapters.journal.database import PATIENCE_S, Database, Tell
from tcptune.adapters.journal.forms import bring_up_to_date
from tcptune.adapters.journal.keeping import Keeping
from tcptune.adapters.journal.locks import SqlHostLocks
from tcptune.adapters.journal.rollouts import SqlRollouts
from tcptune.adapters.journal.tables import HostResultRow, LogRow, RunRow
from tcptune.domain.changes import Plan
from tcptune.domain.journal import Rollout
from tcptune.domain.runs import MOVES, Act, HostResult, HostState, Move, Run
from tcptune.errors import TcptuneError


class SqlJournal:
    """Runs in a database."""

    def __init__(
        self, url: str, *, by: str = "", patience_s: float = PATIENCE_S, tell: Tell = lambda _line: None
    ) -> None:
        """Open the database at an SQLAlchemy `url`, and bring its tables to the newest form.

        `by` is who is at work, for the log. A server that goes away later is waited for `patience_s`, and `tell` is
        told so. Raises TcptuneError where the database cannot be opened: that is not waited for.
        """
        self.database = Database(url, by=by, patience_s=patience_s, tell=tell)
        bring_up_to_date(self.database, tell)
        self.locks = SqlHostLocks(self.database)
        self.rollouts = SqlRollouts(self.database)
        self.keeping = Keeping(self.database)

    def begin(self, run: Run, plan: Plan, rollout: Rollout | None = None) -> None:
        """Record a run, the whole plan and how it reaches its hosts, before anything is changed."""

        def work(session: Session, call: str) -> None:
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
                    at_work=rows.my_work(Act.APPLY, run.operator, run.started_at),
                    policy=rollout and rollout.policy.text,
                    policy_digest=rollout and rollout.policy.digest,
                ),
            )
            session.flush()
            session.add_all(rows.result_row(run.run_id, result) for result in run.results)
            session.add_all(rows.wave_row(run.run_id, wave) for wave in (rollout.waves if rollout else ()))
            session.add(self.database.log(run.run_id, run.started_at, call, after="begun"))

        self.database.write(work)

    def start(self, run_id: str, act: Act, hosts: Sequence[str], *, by: str, at: datetime) -> None:
        """Record that an act begins on some hosts of a run.

        Raises TcptuneError while another process of this machine works on the run.
        """
        mine = rows.my_work(act, by, at)

        def work(session: Session, call: str) -> None:
            run = _locked_run(session, run_id)
            other = rows.at_work(run.at_work)
            if other is not None and other.alive and other.process != controllers.me():
                raise TcptuneError(
                    f"run {run_id}: {other.act} by {other.by} is at work on it since "
                    f"{other.since:%Y-%m-%d %H:%M:%S} UTC (pid {other.pid})",
                    hint=f"wait for it to end, or end it: then tcptune doctor says what the hosts of run {run_id} hold",
                )
            run.at_work, run.ended_at = mine, None
            for host in sorted(hosts):
                row = _host(session, run_id, host)
                row.doing = act.value
                session.add(
                    self.database.log(
                        run_id, at, call, host=host, before=row.state, after=row.state, note=f"{act} begun"
                    )
                )

        self.database.write(work)

    def move(self, run_id: str, result: HostResult, *, at: datetime, note: str = "") -> None:
        """Record a host's new state. Raises TcptuneError for a move that the table of moves forbids."""

        def work(session: Session, call: str) -> None:
            row = _host(session, run_id, result.host)
            before = HostState(row.state)
            if result.state is not before and result.state not in MOVES[before]:
                raise TcptuneError(f"{result.host}: a host that is {before} cannot become {result.state}")
            row.state, row.error, row.hint = result.state.value, result.error, result.hint
            row.deadline, row.doing = result.deadline, result.doing and result.doing.value
            row.at_boot = rows.boot_check(result)
            # What was replaced is what a rollback restores: once known it is never forgotten.
            row.replaced = row.replaced or result.replaced
            session.add(
                self.database.log(
                    run_id,
                    at,
                    call,
                    host=result.host,
                    before=before.value,
                    after=result.state.value,
                    note=note or result.error or "",
                ),
            )

        self.database.write(work)

    def end(self, run_id: str, *, at: datetime) -> None:
        """Record that nobody works on the run any more."""

        def work(session: Session, call: str) -> None:
            row = _locked_run(session, run_id)
            other = rows.at_work(row.at_work)
            if other is not None and other.process != controllers.me():
                # Another machine could not see us, and has taken over: the end is for it to record.
                return
            row.ended_at, row.at_work = at, None
            session.add(self.database.log(run_id, at, call, before="begun", after="ended"))

        self.database.write(work)

    def find(self, run_id: str) -> tuple[Run, Plan]:
        """Return a run by its id, by a unique start of it, or 'last'."""
        return self.database.read(lambda session: self._find(session, run_id))

    def _find(self, session: Session, run_id: str) -> tuple[Run, Plan]:
        row = rows.row_of(session, run_id, self.database.name)
        [run] = rows.runs_of(session, [row])
        return run, self._plan(row)

    def _plan(self, row: RunRow) -> Plan:
        try:
            return Plan.model_validate_json(row.plan)
        except ValidationError as problem:
            first = problem.errors()[0]
            raise TcptuneError(
                f"the journal {self.database.name} holds no usable plan of run {row.run_id}: {first['msg']}",
                hint="was it written by another version of tcptune?",
            ) from None

    def runs(self, *, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""
        return self.database.read(
            lambda session: rows.runs_of(session, session.scalars(rows.NEWEST_FIRST.limit(limit)).all()),
        )

    def unsettled(self) -> list[Run]:
        """Return the runs with a host that something is being done to, or that nobody has ended; newest first."""
        return self.database.read(
            lambda session: rows.runs_of(session, session.scalars(rows.NEWEST_FIRST.where(rows.UNSETTLED)).all()),
        )

    def moves(self, run_id: str) -> list[Move]:
        """Return what the log of a run says of its hosts, oldest first."""
        about_hosts = sa.select(LogRow).where(LogRow.run_id == run_id, LogRow.host.is_not(None)).order_by(LogRow.id)
        return self.database.read(
            lambda session: [
                Move(at=r.at, host=r.host or "", before=HostState(r.before), after=HostState(r.after), note=r.note)
                for r in session.scalars(about_hosts)
            ],
        )


def _locked_run(session: Session, run_id: str) -> RunRow:
    """Return a run that nobody else changes meanwhile. Raises TcptuneError where there is none."""
    # Not the strongest lock: that would wait for whoever writes a line of its log, who may wait for us.
    row = session.get(RunRow, run_id, with_for_update={"key_share": True})
    if row is None:
        raise TcptuneError(f"the journal has no run {run_id} any more", hint="tcptune runs")
    return row


def _host(session: Session, run_id: str, host: str) -> HostResultRow:
    row = session.get(HostResultRow, (run_id, host), with_for_update=True)
    if row is None:
        raise TcptuneError(f"{host} is no host of run {run_id}")
    return row
