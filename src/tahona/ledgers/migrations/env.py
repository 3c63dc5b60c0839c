"""Called by Alembic: run the migrations on the connection that the ledger hands over, in the ledger's transaction."""

from __future__ import annotations

from alembic import context

from tahona.ledgers.tables import METADATA

# `transactional_ddl`: SQLite can undo a CREATE TABLE too, so that a migration cut short leaves nothing behind.
context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True)
context.run_migrations()
