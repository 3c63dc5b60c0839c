"""The first tables: runs with parameters, metrics and steps; versions, aliases and their history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_runs()
    _make_run_parts()
    _make_registry()
    _make_history()


def _run_id(table: str) -> sa.Column[str]:
    key = sa.ForeignKey("runs.id", name=f"fk_{table}_runs", ondelete="CASCADE")
    return sa.Column("run_id", sa.String(200), key, nullable=False)


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(200), nullable=False),
        sa.Column("project", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("started", sa.String(40), nullable=False),
        sa.Column("finished", sa.String(40), nullable=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("chosen", sa.String(100), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_project_started", "runs", ["project", "started"])


def _make_run_parts() -> None:
    op.create_table(
        "params",
        _run_id("params"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("value_json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_params"),
    )
    op.create_table(
        "metrics",
        _run_id("metrics"),
        sa.Column("part", sa.String(20), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("metric", sa.String(100), nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.Column("details_json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "part", "position", name="pk_metrics"),
    )
    op.create_table(
        "steps",
        _run_id("steps"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("step", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("cpu_seconds", sa.Float, nullable=False),
        sa.Column("fingerprint", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "position", name="pk_steps"),
    )


def _make_registry() -> None:
    op.create_table(
        "versions",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("run", sa.String(200), nullable=False),
        sa.Column("bundle_digest", sa.String(64), nullable=False),
        sa.Column("data_digest", sa.String(64), nullable=False),
        sa.Column("predictions_digest", sa.String(64), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("metrics_json", sa.Text, nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("gate_passed", sa.Boolean, nullable=False),
        sa.Column("gate_reasons_json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name="pk_versions"),
        sa.UniqueConstraint("name", "run", name="uq_versions_name_run"),
    )
    op.create_table(
        "aliases",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("alias", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", "alias", name="pk_aliases"),
        sa.ForeignKeyConstraint(["name", "version"], ["versions.name", "versions.number"], name="fk_aliases_versions"),
    )


def _make_history() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("alias", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("happened", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_name", "events", ["name"])
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER events_no_{deed} BEFORE {deed.upper()} ON events "
                "BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END"
            )
