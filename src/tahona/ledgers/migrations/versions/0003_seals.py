"""Versions and history carry a digest of what was written, so that a changed bit is found when they are read.

Those of before have none, and are read as they are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("versions", "events"):
        op.add_column(table, sa.Column("seal", sa.String(64), nullable=False, server_default=""))
