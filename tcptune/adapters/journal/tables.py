"""The tables of the journal. A change here needs a migration beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Float, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets time zones, so that they are put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the moment in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the moment with its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """A text that somebody else wrote, such as what a host said: with what no database keeps made visible."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text without what cannot be stored: NUL on PostgreSQL, half a character on either."""
        if value is None:
            return None
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()


class Base(DeclarativeBase):
    """Base of all tables."""


class RunRow(Base):
    """One run and the whole plan it carries out."""

    __tablename__ = "runs"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    plan_id: Mapped[str] = mapped_column(String(64), index=True)
    profile: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    operator: Mapped[str] = mapped_column(Text)
    tool_version: Mapped[str] = mapped_column(String(32))
    plan: Mapped[str] = mapped_column(Text)
    at_work: Mapped[str | None] = mapped_column(Text)
    policy: Mapped[str | None] = mapped_column(Text)
    policy_digest: Mapped[str | None] = mapped_column(String(64))


class HostResultRow(Base):
    """Where a host stands in a run."""

    __tablename__ = "host_results"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    cohort: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(32))
    replaced: Mapped[dict[str, Any]] = mapped_column(JSON)
    deadline: Mapped[datetime | None] = mapped_column(UtcDateTime)
    at_boot: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Words)
    hint: Mapped[str | None] = mapped_column(Words)
    doing: Mapped[str | None] = mapped_column(String(16))


class WaveRow(Base):
    """A wave of a run."""

    __tablename__ = "waves"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    hosts: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(32))
    began: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended: Mapped[datetime | None] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(Words)
    baseline: Mapped[str | None] = mapped_column(Text)
    """JSON of what was known before its change."""


class SampleRow(Base):
    """What one check of a gate said of one host."""

    __tablename__ = "gate_samples"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "wave"], ["waves.run_id", "waves.number"], ondelete="CASCADE"),
        Index("ix_gate_samples_run_id_wave", "run_id", "wave"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(String(64))
    wave: Mapped[int] = mapped_column(Integer)
    host: Mapped[str] = mapped_column(String(255))
    gate: Mapped[str] = mapped_column(String(32))
    check: Mapped[str] = mapped_column(Words)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    before: Mapped[float | None] = mapped_column(Float)
    after: Mapped[float | None] = mapped_column(Float)
    unit: Mapped[str] = mapped_column(Text)
    threshold: Mapped[float | None] = mapped_column(Float)
    verdict: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str | None] = mapped_column(String(32))
    treat: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(Words)


class LogRow(Base):
    """One change of a state: of a host, of a wave, or of the run itself."""

    __tablename__ = "log"
    __table_args__ = (Index("ix_log_run_id_id", "run_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str | None] = mapped_column(Text)
    tool_version: Mapped[str | None] = mapped_column(String(32))
    wave: Mapped[int | None] = mapped_column(Integer)
    host: Mapped[str | None] = mapped_column(String(255))
    before: Mapped[str] = mapped_column(String(32))
    after: Mapped[str] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(Words)
    call: Mapped[str | None] = mapped_column(String(32), index=True)
    """The same for all that was written together: it tells whether a write whose answer was lost has happened."""


class ClaimRow(Base):
    """The right of one controller to change some hosts, for a time."""

    __tablename__ = "claims"
    # A token that was given once is never given again, even where the newest claims were deleted.
    __table_args__ = ({"sqlite_autoincrement": True},)

    token: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    call: Mapped[str] = mapped_column(String(32), index=True)
    run_id: Mapped[str] = mapped_column(String(64), index=True)
    by: Mapped[str] = mapped_column(Text)
    tool_version: Mapped[str] = mapped_column(String(32))
    hosts: Mapped[list[str]] = mapped_column(JSON)
    lease_s: Mapped[int] = mapped_column(Integer)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    ended: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taken_by: Mapped[int | None] = mapped_column(Integer)


class HostLockRow(Base):
    """A host that is claimed. That there is one row for a host is what keeps two runs apart."""

    __tablename__ = "host_locks"

    host: Mapped[str] = mapped_column(String(255), primary_key=True)
    token: Mapped[int] = mapped_column(ForeignKey("claims.token", ondelete="CASCADE"), index=True)
