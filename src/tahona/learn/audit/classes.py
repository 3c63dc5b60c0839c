"""Classes: too few rows of one, or too few to judge by."""

from __future__ import annotations

from collections.abc import Iterator

from tahona.core.findings import Finding
from tahona.learn.audit.data import AuditData

FEW_ROWS = 30
RARE_SHARE = 0.01
TEST_ROWS = 50
TEST_RARE = 10


def tiny_classes(data: AuditData) -> Iterator[Finding]:
    """Name classes of which the training part has fewer than thirty rows."""
    for label, count in zip(data.schema.labels, data.counts.tolist(), strict=True):
        if count < FEW_ROWS:
            yield Finding("tiny_class", data.schema.target, {"label": label, "rows": count, "least": FEW_ROWS})


def imbalance(data: AuditData) -> Iterator[Finding]:
    """Name a class so rare that a model which never predicts it has a fine accuracy."""
    rarest = int(data.counts.argmin())
    share = data.counts[rarest] / max(data.rows, 1)
    if share < RARE_SHARE:
        facts = {"label": data.schema.labels[rarest], "share": f"{100 * share:.2g}", "dummy": f"{1 - share:.4f}"}
        yield Finding("imbalance", data.schema.target, facts)


def small_test(data: AuditData) -> Iterator[Finding]:
    """Warn of wide intervals: few test rows, or few of the rarest class by its share in the training part."""
    expected = data.tested * data.counts.min() / max(data.rows, 1)
    if data.tested < TEST_ROWS or expected < TEST_RARE:
        yield Finding("small_test", facts={"rows": data.tested, "rare": round(float(expected), 1)})
