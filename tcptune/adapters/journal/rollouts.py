"""Waves and what gates measured, in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tcptune.adapters.journal import rows
from tcptune.adapters.journal.database import Database
from tcptune.adapters.journal.tables import LogRow, RunRow, SampleRow, WaveRow
from tcptune.domain.gates import Baseline
from tcptune.domain.journal import (
    OPEN_WAVES,
    WAVE_MOVES,
    LogEntry,
    PolicyRecord,
    Rollout,
    SampleRecord,
    WaveRecord,
    WaveState,
)
from tcptune.errors import TcptuneError


class SqlRollouts:
    """How runs reach their hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rollout(self, run_id: str) -> Rollout | None:
        """Return the policy and the waves of a run; None where it was no rollout."""
        return self._database.read(lambda session: rollout_of(session, run_id))

    def move_wave(self, run_id: str, number: int, state: WaveState, *, at: datetime, why: str = "") -> None:
        """Record a wave's new state. Raises TcptuneError for a move that the table of moves forbids."""

        def work(session: Session, call: str) -> None:
            row = _wave(session, run_id, number, changing=True)
            before = WaveState(row.state)
            if state is not before and state not in WAVE_MOVES[before]:
                raise TcptuneError(f"wave {number} of run {run_id}: a wave that is {before} cannot become {state}")
            row.state, row.why = state.value, why
            if state is WaveState.CHANGING:
                row.began = row.began or at
            row.ended = None if state in OPEN_WAVES else at
            session.add(
                self._database.log(run_id, at, call, wave=number, before=before.value, after=state.value, note=why)
            )

        self._database.write(work)

    def keep_baseline(self, run_id: str, number: int, baseline: Baseline) -> None:
        """Record what was known of a wave before its change."""

        def work(session: Session, _call: str) -> None:
            _wave(session, run_id, number).baseline = baseline.model_dump_json()

        self._database.write(work)

    def baseline(self, run_id: str, number: int) -> Baseline | None:
        """Return what was known of a wave before its change; None where it was not begun."""
        text = self._database.read(lambda session: _wave(session, run_id, number).baseline)
        return None if text is None else Baseline.model_validate_json(text)

    def record_samples(self, run_id: str, samples: Sequence[SampleRecord], *, at: datetime) -> None:
        """Record what the gates of a wave said, all of it or nothing, with a line in the log."""
        if not samples:
            return
        said = ", ".join(
            f"{sum(s.verdict == verdict for s in samples)} {verdict}"
            for verdict in ("passed", "failed", "undecided")
            if any(s.verdict == verdict for s in samples)
        )
        [wave, *others] = sorted({sample.wave for sample in samples})
        if others:
            raise TcptuneError(f"run {run_id}: samples of waves {wave} and {others[0]} cannot be recorded together")

        def work(session: Session, call: str) -> None:
            row = _wave(session, run_id, wave)
            session.add_all(rows.sample_row(run_id, sample) for sample in samples)
            session.add(
                self._database.log(
                    run_id, at, call, wave=wave, before=row.state, after=row.state, note=f"gates asked: {said}"
                )
            )

        self._database.write(work)

    def samples(self, run_id: str, wave: int | None = None) -> list[SampleRecord]:
        """Return what gates said of the hosts of a wave, or of all waves, oldest first."""
        return self._database.read(lambda session: samples_of(session, run_id, wave))

    def log(self, run_id: str) -> list[LogEntry]:
        """Return every change of a state of the run, its waves and its hosts, oldest first."""
        return self._database.read(lambda session: log_of(session, run_id))


def _wave(session: Session, run_id: str, number: int, *, changing: bool = False) -> WaveRow:
    row = session.get(WaveRow, (run_id, number), with_for_update=changing)
    if row is None:
        raise TcptuneError(f"run {run_id} has no wave {number}")
    return row


def rollout_of(session: Session, run_id: str) -> Rollout | None:
    """Return the policy and the waves of a run; None where it was no rollout."""
    run = session.get(RunRow, run_id)
    if run is None or run.policy is None:
        return None
    found = session.scalars(sa.select(WaveRow).where(WaveRow.run_id == run_id).order_by(WaveRow.number))
    waves: tuple[WaveRecord, ...] = tuple(rows.wave(row) for row in found)
    return Rollout(policy=PolicyRecord(text=run.policy, digest=run.policy_digest or ""), waves=waves)


def samples_of(session: Session, run_id: str, wave: int | None = None) -> list[SampleRecord]:
    """Return what gates said, oldest first."""
    wanted = sa.select(SampleRow).where(SampleRow.run_id == run_id).order_by(SampleRow.id)
    return [
        rows.sample(row) for row in session.scalars(wanted if wave is None else wanted.where(SampleRow.wave == wave))
    ]


def log_of(session: Session, run_id: str) -> list[LogEntry]:
    """Return the log of a run, oldest first."""
    wanted = sa.select(LogRow).where(LogRow.run_id == run_id).order_by(LogRow.id)
    return [rows.entry(row) for row in session.scalars(wanted)]
