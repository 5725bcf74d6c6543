"""When a held host takes its change back by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tcptune.adapters.journal.tables import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the deadline of a host in a run."""
    op.add_column("host_results", sa.Column("deadline", UtcDateTime))


def downgrade() -> None:
    """Drop the deadline."""
    op.drop_column("host_results", "deadline")
