"""How a ledger's tables came to be what they are, one file in `versions` per change. Alembic reads this folder."""
