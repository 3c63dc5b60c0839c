"""How good a version is on rows whose labels are known and that it has not learnt from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tahona.bundle.bundle import Bundle
    from tahona.project.model import Project

PIECE = 50_000
"""Rows that are read at a time."""


def measure_file(project: Project, bundle: Bundle, file: Path, *, where: str) -> dict[str, Any]:
    """Return the metrics on the file's rows, each with its 95 % interval; null for one that does not exist there.

    The columns are read as training read them. Rows without a label that the version knows count for nothing but their
    number. Raises DataError when a column is missing or cannot be read so.
    """
    import numpy as np

    from tahona.bundle.predict import raw_columns, score
    from tahona.bundle.raw import column_forms
    from tahona.errors import DataError
    from tahona.learn.labels import to_labels
    from tahona.project.model import DataPart
    from tahona.sources.file import FileSource

    kept = project.data.model_dump(include={"nulls", "separator", "decimal", "encoding", "sheet"})
    schema = bundle.schema
    forms = {**column_forms(bundle), schema.target: "code"}
    source = FileSource(file, DataPart(source="-", **kept), where=where, forms=forms)
    rows = 0
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for piece in source.batches(PIECE):
        if schema.target not in piece.columns:
            raise DataError(f"there is no column '{schema.target}', the label", where=where)
        places, columns = raw_columns(bundle, piece, rows)
        rows += len(piece)
        if places.size:
            proba, decided = score(bundle, columns)
            parts.append((to_labels(piece[schema.target].iloc[places], schema), proba, decided))
    y = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    known = y >= 0
    if not known.any():
        return {"rows": rows, "rows_with_label": 0, "metrics": {}}
    proba, decided = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
    metrics = measured(project, bundle, y[known], proba[known], decided[known], seed=project.split.seed)
    return {"rows": rows, "rows_with_label": int(known.sum()), "metrics": metrics}


def measured(
    project: Project,
    bundle: Bundle,
    y: NDArray[Any],
    proba: NDArray[Any],
    decided: NDArray[Any],
    *,
    seed: int = 0,
    intervals: bool = True,
) -> dict[str, dict[str, float | None]]:
    """Return the metrics on rows whose labels are known, as value, low and high; null for what does not exist there.

    Without ``intervals``, low and high do not.
    """
    from tahona.core.bootstrap import resamples_for
    from tahona.core.metrics import compute, metric_names, with_intervals
    from tahona.core.records import Interval

    cost = project.decision.prices if bundle.schema.binary else None
    names, classes = metric_names(cost=cost is not None), len(bundle.schema.labels)
    if intervals:
        found = with_intervals(
            names, y, proba, decided, cost=cost, resamples=resamples_for(len(y)), seed=seed, classes=classes
        )
    else:
        values = compute(names, y, proba, decided, cost=cost, classes=classes)
        found = {name: Interval(value, math.nan, math.nan) for name, value in values.items()}
    return {
        name: {part: value if math.isfinite(value) else None for part, value in interval.to_dict().items()}
        for name, interval in found.items()
    }
