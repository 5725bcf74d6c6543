"""Which run may change which hosts, and until when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tcptune.adapters.journal.tables import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add claims, and the hosts that are claimed."""
    op.create_table(
        "claims",
        sa.Column("token", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("call", sa.String(32), nullable=False, index=True),
        sa.Column("run_id", sa.String(64), nullable=False, index=True),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("tool_version", sa.String(32), nullable=False),
        sa.Column("hosts", sa.JSON, nullable=False),
        sa.Column("lease_s", sa.Integer, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("ended", UtcDateTime),
        sa.Column("taken_by", sa.Integer),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "host_locks",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("token", sa.Integer, sa.ForeignKey("claims.token", ondelete="CASCADE"), nullable=False, index=True),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("host_locks")
    op.drop_table("claims")
