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
    from tahona.core.bootstrap import resamples_for
    from tahona.core.metrics import metric_names, with_intervals
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
    prices = project.decision.prices
    names = metric_names(cost=prices is not None and schema.binary)
    resamples = resamples_for(int(known.sum()))
    found = with_intervals(
        names, y[known], proba[known], decided[known],
        cost=prices, resamples=resamples, seed=project.split.seed, classes=len(schema.labels),
    )  # fmt: skip
    metrics = {
        name: {part: None if math.isnan(value) else value for part, value in interval.to_dict().items()}
        for name, interval in found.items()
    }
    return {"rows": rows, "rows_with_label": int(known.sum()), "metrics": metrics}
