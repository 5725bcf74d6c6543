"""What wins over our files at the next boot of a confirmed host."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what was seen when a host was confirmed."""
    op.add_column("host_results", sa.Column("at_boot", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("host_results", "at_boot")
