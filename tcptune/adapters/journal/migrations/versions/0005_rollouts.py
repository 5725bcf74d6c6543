"""Waves, what gates measured, the policy of a run, and a log that says who and with which tcptune."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tcptune.adapters.journal.tables import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them. What the log had of hosts stays as it was: nobody knows by whom it was written."""
    op.add_column("runs", sa.Column("policy", sa.Text))
    op.add_column("runs", sa.Column("policy_digest", sa.String(64)))
    op.create_table(
        "waves",
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("hosts", sa.JSON, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("began", UtcDateTime),
        sa.Column("ended", UtcDateTime),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "gate_samples",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("gate", sa.String(32), nullable=False),
        sa.Column("check", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("before", sa.Float),
        sa.Column("after", sa.Float),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("threshold", sa.Float),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(32)),
        sa.Column("treat", sa.String(16), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["run_id", "wave"], ["waves.run_id", "waves.number"], ondelete="CASCADE"),
    )
    op.create_index("ix_gate_samples_run_id_wave", "gate_samples", ["run_id", "wave"])
    op.create_table(
        "log",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("by", sa.Text),
        sa.Column("tool_version", sa.String(32)),
        sa.Column("wave", sa.Integer),
        sa.Column("host", sa.String(255)),
        sa.Column("before", sa.String(32), nullable=False),
        sa.Column("after", sa.String(32), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("call", sa.String(32), index=True),
    )
    op.create_index("ix_log_run_id_id", "log", ["run_id", "id"])
    op.execute(
        "INSERT INTO log (run_id, at, host, before, after, note) "
        "SELECT run_id, at, host, before, after, note FROM moves ORDER BY id"
    )
    op.drop_table("moves")


def downgrade() -> None:
    """Drop them. Of the log only what is about hosts is kept."""
    op.create_table(
        "moves",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("before", sa.String(32), nullable=False),
        sa.Column("after", sa.String(32), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("ix_moves_run_id_id", "moves", ["run_id", "id"])
    op.execute(
        "INSERT INTO moves (run_id, at, host, before, after, note) "
        "SELECT run_id, at, host, before, after, note FROM log WHERE host IS NOT NULL ORDER BY id"
    )
    op.drop_table("log")
    op.drop_table("gate_samples")
    op.drop_table("waves")
    op.drop_column("runs", "policy_digest")
    op.drop_column("runs", "policy")
