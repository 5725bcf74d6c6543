"""Run by Alembic: bring the journal that the caller has opened to the newest form."""

from __future__ import annotations

from alembic import context

from tcptune.adapters.journal.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
