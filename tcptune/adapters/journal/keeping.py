"""What is done to the journal itself: list its runs, take one out as a document, forget old ones."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session

from tcptune.adapters.journal import rows
from tcptune.adapters.journal.database import Database
from tcptune.adapters.journal.forms import HEAD
from tcptune.adapters.journal.rollouts import log_of, rollout_of, samples_of
from tcptune.adapters.journal.tables import Base, ClaimRow, HostLockRow, HostResultRow, RunRow, WaveRow
from tcptune.domain.changes import Plan
from tcptune.domain.journal import OPEN_WAVES, Kept, ListedRun, Pruned, RunList, RunRecord
from tcptune.domain.runs import CHANGED_STATES, HostState, Run

_STAYS = CHANGED_STATES - {HostState.CONFIRMED}
"""States of a host whose run is not over: without the run nobody could tell how to settle it."""


class Keeping:
    """Lists, exports and forgets runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listed(self, most: int) -> RunList:
        """Return the newest runs, newest first, with how many of their hosts stand in which state."""
        return self._database.read(lambda session: _listed(session, most))

    def record(self, run_id: str) -> RunRecord:
        """Return all that is known of a run, as of one moment. Raises UsageError where there is no such run."""
        return self._database.read(lambda session: self._record(session, run_id))

    def _record(self, session: Session, run_id: str) -> RunRecord:
        row = rows.row_of(session, run_id, self._database.name)
        [run] = rows.runs_of(session, [row])
        rollout = rollout_of(session, row.run_id)
        claims = session.scalars(sa.select(ClaimRow).where(ClaimRow.run_id == row.run_id).order_by(ClaimRow.token))
        return RunRecord(
            journal_form=HEAD,
            run=run,
            plan=_plan(row.plan),
            policy=rollout and rollout.policy,
            waves=rollout.waves if rollout else (),
            samples=tuple(samples_of(session, row.run_id)),
            log=tuple(log_of(session, row.run_id)),
            claims=tuple(rows.claim(claim) for claim in claims),
        )

    def prune(self, before: datetime, *, dry_run: bool = False) -> Pruned:
        """Forget the runs that began before a moment, but for those that are not over.

        A run stays while somebody works on it or died at it, a host holds a change that nobody has confirmed, a wave is
        open, or hosts are claimed for it.
        """
        found = self._database.read(lambda session: self._old(session, before))
        forgotten, kept = [], []
        for run_id, reason in found:
            why = reason if reason is not None or dry_run else self._forget(run_id)
            if why is None:
                forgotten.append(run_id)
            else:
                kept.append(Kept(run_id=run_id, why=why))
        return Pruned(before=before, dry_run=dry_run, forgotten=tuple(forgotten), kept=tuple(kept))

    def _old(self, session: Session, before: datetime) -> list[tuple[str, str | None]]:
        wanted = rows.NEWEST_FIRST.where(RunRow.started_at < before)
        return [(run.run_id, self._stays(session, run)) for run in rows.runs_of(session, session.scalars(wanted).all())]

    def _forget(self, run_id: str) -> str | None:
        """Forget one run. Return why it stays, where it was begun again since the look."""
        why: list[str] = []

        def work(session: Session, _call: str) -> None:
            row = session.get(RunRow, run_id, with_for_update=True)
            if row is None:
                return
            [run] = rows.runs_of(session, [row])
            if (reason := self._stays(session, run)) is not None:
                why[:] = [reason]
                return
            # Hosts, waves, samples and log go with it.
            session.execute(sa.delete(RunRow).where(RunRow.run_id == run_id))
            session.execute(sa.delete(ClaimRow).where(ClaimRow.run_id == run_id))

        self._database.write(work)
        return why[0] if why else None

    def _stays(self, session: Session, run: Run) -> str | None:
        """Return why a run cannot be forgotten, or None where it can."""
        if run.at_work is not None:
            return f"{run.at_work.act} by {run.at_work.by} {'is at work' if run.at_work.alive else 'has not ended'}"
        hosts = [result for result in run.results if result.state in _STAYS or result.doing is not None]
        if hosts:
            states = ", ".join(sorted({result.state.value for result in hosts}))
            return f"{len(hosts)} of its hosts {'is' if len(hosts) == 1 else 'are'} not settled: {states}"
        waves = _count(WaveRow).where(WaveRow.run_id == run.run_id, WaveRow.state.in_(OPEN_WAVES))
        if opened := session.scalars(waves).one():
            return f"{opened} of its waves {'is' if opened == 1 else 'are'} open"
        claims = _count(HostLockRow).join(ClaimRow, ClaimRow.token == HostLockRow.token)
        claims = claims.where(ClaimRow.run_id == run.run_id, ClaimRow.until > self._database.now(session))
        if claimed := session.scalars(claims).one():
            return f"{claimed} {'host is' if claimed == 1 else 'hosts are'} claimed for it"
        return None


def _count(table: type[Base]) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(table)


def _listed(session: Session, most: int) -> RunList:
    found = session.scalars(rows.NEWEST_FIRST.limit(most)).all()
    counted = (
        sa.select(HostResultRow.run_id, HostResultRow.state, sa.func.count())
        .where(HostResultRow.run_id.in_([row.run_id for row in found]))
        .group_by(HostResultRow.run_id, HostResultRow.state)
    )
    states: dict[str, dict[str, int]] = {}
    for run_id, state, hosts in session.execute(counted):
        states.setdefault(run_id, {})[state] = hosts
    return RunList(
        runs=tuple(
            ListedRun(
                run_id=row.run_id,
                plan_id=row.plan_id,
                profile=row.profile,
                started_at=row.started_at,
                ended_at=row.ended_at,
                operator=row.operator,
                tool_version=row.tool_version,
                states=states.get(row.run_id, {}),
                at_work=rows.at_work(row.at_work),
            )
            for row in found
        )
    )


def _plan(text: str) -> Plan | dict[str, Any]:
    try:
        return Plan.model_validate_json(text)
    except ValidationError:
        # It was another tcptune's: whoever exports the run wants what is there.
        found: dict[str, Any] = json.loads(text)
        return found
