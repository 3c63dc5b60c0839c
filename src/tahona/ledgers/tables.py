"""The ledger's tables as SQLAlchemy sees them; `tahona.ledgers.migrations` makes them.

Only types that every database has. Times are ISO 8601 texts in UTC, which sort as they are; columns that end in
``_json`` hold JSON. A change here needs a migration: a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _run_id() -> Column[str]:
    return Column("run_id", String(200), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)


RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(200), primary_key=True),
    Column("project", String(200), nullable=False),
    Column("status", String(20), nullable=False),
    Column("started", String(40), nullable=False),
    Column("finished", String(40), nullable=False),
    Column("data_digest", String(64), nullable=False),
    Column("chosen", String(100), nullable=False),
    Column("error", Text, nullable=False),
    Index(None, "project", "started"),
)

PARAMS = Table(
    "params",
    METADATA,
    _run_id(),
    Column("name", String(200), primary_key=True),
    Column("value_json", Text, nullable=False),
)

# One row per number, so that a plain query compares runs: which data, which model, how sure.
METRICS = Table(
    "metrics",
    METADATA,
    _run_id(),
    Column("part", String(20), primary_key=True),  # "leaderboard" (out of fold) or "test"
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("data_digest", String(64), nullable=False),
    Column("model", String(100), nullable=False),
    Column("metric", String(100), nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("details_json", Text, nullable=False),  # whatever else the leaderboard's row has
)

STEPS = Table(
    "steps",
    METADATA,
    _run_id(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("step", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("fingerprint", String(128), nullable=False),
)

# A version outlives its run's row: `run` is a name here, not a foreign key.
VERSIONS = Table(
    "versions",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("run", String(200), nullable=False),
    Column("bundle_digest", String(64), nullable=False),
    Column("data_digest", String(64), nullable=False),
    Column("predictions_digest", String(64), nullable=False),
    Column("model", String(100), nullable=False),
    Column("metrics_json", Text, nullable=False),
    Column("created", String(40), nullable=False),
    Column("gate_passed", Boolean, nullable=False),
    Column("gate_reasons_json", Text, nullable=False),
    Column("seal", String(64), nullable=False, server_default=""),  # the digest of all other columns
    UniqueConstraint("name", "run"),
)

ALIASES = Table(
    "aliases",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("alias", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["name", "version"], ["versions.name", "versions.number"]),
)

# Append-only: on SQLite a trigger refuses to change or remove a row.
EVENTS = Table(
    "events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, index=True),
    Column("alias", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("action", String(20), nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("happened", String(40), nullable=False),
    Column("seal", String(64), nullable=False, server_default=""),  # the digest of all other columns but the id
)

# A row that was answered. Wide enough for what is ours; what a client sent stands in the Text columns.
PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("happened", String(40), nullable=False),
    Column("key", String(64), nullable=False),
    Column("label", Text, nullable=False),
    Column("probabilities_json", Text, nullable=False),
    Column("features_json", Text),
    Column("warnings_json", Text, nullable=False),
    Column("truth", Text),
    Column("told", String(40)),
    Index(None, "name", "happened"),
)
