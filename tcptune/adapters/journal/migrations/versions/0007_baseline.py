"""What was known of a wave before its change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the baseline of each wave."""
    op.add_column("waves", sa.Column("baseline", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("waves", "baseline")
