"""Who works on a run, and what was begun on a host."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the controller at work, and the act that was begun on each host."""
    op.add_column("runs", sa.Column("at_work", sa.Text))
    op.add_column("host_results", sa.Column("doing", sa.String(16)))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("host_results", "doing")
    op.drop_column("runs", "at_work")
