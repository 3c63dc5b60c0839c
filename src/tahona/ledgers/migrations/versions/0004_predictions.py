"""The prediction log: every row that a server answered, and what turned out to be true."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("happened", sa.String(40), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("probabilities_json", sa.Text, nullable=False),
        sa.Column("features_json", sa.Text),
        sa.Column("warnings_json", sa.Text, nullable=False),
        sa.Column("truth", sa.Text),
        sa.Column("told", sa.String(40)),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_name_happened", "predictions", ["name", "happened"])
