"""Each candidate's metrics on the test rows, the view `metricas` of them, and a history that no server rewrites.

Runs of before have the chosen model's metrics only: their view shows that model.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHOSEN_ONLY = """
INSERT INTO metrics (run_id, part, position, data_digest, model, metric, value, low, high, details_json)
SELECT run_id, 'candidate', position, data_digest, model, metric, value, low, high, details_json
FROM metrics WHERE part = 'test' AND model <> ''
"""

_METRICAS = """
CREATE VIEW metricas AS
SELECT
    row_number() OVER (ORDER BY runs.finished, runs.id, min(metrics.position)) AS "id",
    metrics.model AS "model",
    max(CASE WHEN metrics.metric = 'precision' THEN metrics.value END) AS "precision",
    max(CASE WHEN metrics.metric = 'recall' THEN metrics.value END) AS "recall",
    max(CASE WHEN metrics.metric = 'f1' THEN metrics.value END) AS "f1_score",
    runs.id AS "run_id",
    max(CASE WHEN metrics.metric = 'roc_auc' THEN metrics.value END) AS "auc",
    runs.finished AS "time"
FROM runs JOIN metrics ON metrics.run_id = runs.id AND metrics.part = 'candidate'
WHERE runs.status = 'done'
GROUP BY runs.id, runs.finished, metrics.model
"""

_APPEND_ONLY = """
CREATE FUNCTION tahona_events_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the history is append-only'; END $$
"""

_GUARD = """
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION tahona_events_append_only()
"""


def upgrade() -> None:
    op.execute(_CHOSEN_ONLY)
    op.execute(_METRICAS)
    if op.get_bind().dialect.name == "postgresql":  # SQLite has its triggers since 0001
        op.execute(_APPEND_ONLY)
        op.execute(_GUARD)
