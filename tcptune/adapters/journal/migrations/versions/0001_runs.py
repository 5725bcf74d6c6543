"""Runs, host results and moves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tcptune.adapters.journal.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("plan_id", sa.String(64), nullable=False, index=True),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False, index=True),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("tool_version", sa.String(32), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
    )
    op.create_table(
        "host_results",
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("cohort", sa.String(64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("replaced", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("hint", sa.Text),
    )
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


def downgrade() -> None:
    """Drop the first tables."""
    op.drop_table("moves")
    op.drop_table("host_results")
    op.drop_table("runs")
