"""Rows of the journal's tables, and the values they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from tcptune.adapters.journal import controllers
from tcptune.adapters.journal.tables import ClaimRow, HostResultRow, LogRow, RunRow, SampleRow, WaveRow
from tcptune.domain.journal import ClaimRecord, LogEntry, SampleRecord, WaveRecord, WaveState
from tcptune.domain.runs import Act, BootCheck, HostResult, HostState, Run, Work
from tcptune.errors import UsageError

# A plan can be megabytes: it is read where it is asked for.
NEWEST_FIRST = sa.select(RunRow).options(defer(RunRow.plan)).order_by(RunRow.started_at.desc(), RunRow.run_id.desc())

_OPEN = (HostState.APPLYING, HostState.HELD, HostState.BROKEN)
UNSETTLED = RunRow.run_id.in_(
    sa.select(HostResultRow.run_id).where(HostResultRow.state.in_(_OPEN) | HostResultRow.doing.is_not(None))
)
"""Condition: the run has a host that something is being done to, or that nobody has ended."""


def row_of(session: Session, run_id: str, journal: str) -> RunRow:
    """Return a run by its id, by a unique start of it, or 'last'. Raises UsageError where that names no run."""
    if not run_id:
        raise UsageError(f"there is no run with an empty name in {journal}", hint="tcptune runs")
    if run_id == "last":
        found = session.scalars(NEWEST_FIRST.limit(1)).all()
    else:
        found = session.scalars(NEWEST_FIRST.where(RunRow.run_id.startswith(run_id, autoescape=True))).all()
        found = [row for row in found if row.run_id == run_id] or found
    if not found:
        raise UsageError(f"there is no run {run_id!r} in {journal}", hint="tcptune runs")
    if len(found) > 1:
        raise UsageError(f"{run_id!r} is the start of {len(found)} runs", hint="give more of it; see tcptune runs")
    return found[0]


def result_row(run_id: str, result: HostResult) -> HostResultRow:
    """Return the row of a host in a run."""
    return HostResultRow(
        run_id=run_id,
        host=result.host,
        cohort=result.cohort,
        state=result.state.value,
        replaced=result.replaced,
        deadline=result.deadline,
        at_boot=boot_check(result),
        error=result.error,
        hint=result.hint,
        doing=result.doing and result.doing.value,
    )


def boot_check(result: HostResult) -> dict[str, Any] | None:
    """Return what was seen when a host was confirmed, as it is stored."""
    return result.at_boot.model_dump(mode="json") if result.at_boot else None


def my_work(act: Act, by: str, since: datetime) -> str:
    """Return that this process is at work, as it is stored."""
    me = controllers.me()
    return Work(act=act, by=by, since=since, process=me, pid=controllers.pid(me)).model_dump_json(exclude={"alive"})


def at_work(text: str | None) -> Work | None:
    """Return who was at work, and whether that process is still there."""
    if text is None:
        return None
    work = Work.model_validate_json(text)
    return work.model_copy(update={"alive": controllers.alive(work.process)})


def runs_of(session: Session, rows: Iterable[RunRow]) -> list[Run]:
    """Return runs with their hosts, in the order of the rows."""
    return [_run(session, row) for row in rows]


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
        results=tuple(_result(r) for r in results),
        at_work=at_work(row.at_work),
    )


def _result(row: HostResultRow) -> HostResult:
    return HostResult(
        host=row.host,
        cohort=row.cohort,
        state=HostState(row.state),
        replaced=row.replaced,
        deadline=row.deadline,
        at_boot=BootCheck.model_validate(row.at_boot) if row.at_boot else None,
        error=row.error,
        hint=row.hint,
        doing=Act(row.doing) if row.doing else None,
    )


def wave(row: WaveRow) -> WaveRecord:
    """Return a wave."""
    return WaveRecord(
        number=row.number,
        hosts=tuple(row.hosts),
        state=WaveState(row.state),
        began=row.began,
        ended=row.ended,
        why=row.why,
    )


def wave_row(run_id: str, record: WaveRecord) -> WaveRow:
    """Return the row of a wave."""
    return WaveRow(run_id=run_id, **{**record.model_dump(), "hosts": list(record.hosts), "state": record.state.value})


def sample_row(run_id: str, sample: SampleRecord) -> SampleRow:
    """Return the row of a sample."""
    return SampleRow(run_id=run_id, **sample.model_dump())


def sample(row: SampleRow) -> SampleRecord:
    """Return a sample."""
    return SampleRecord.model_validate({name: getattr(row, name) for name in SampleRecord.model_fields})


def entry(row: LogRow) -> LogEntry:
    """Return a line of the log."""
    return LogEntry.model_validate({name: getattr(row, name) for name in LogEntry.model_fields})


def claim(row: ClaimRow) -> ClaimRecord:
    """Return a claim."""
    return ClaimRecord.model_validate({name: getattr(row, name) for name in ClaimRecord.model_fields})
