"""How good predictions are for parts of the rows: by the values of a few columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.metrics import with_intervals
from tahona.core.schema import Column, Schema
from tahona.errors import InputError
from tahona.learn.columns import Columns

LEAST_ROWS = 30
"""Smaller slices are not judged."""
TOP_LEVELS = 8
MISSING = "–"
"""Stands for "no value" among the levels."""

_DEFAULT_COLUMNS = 6
_MOST_LEVELS = 20
_RESAMPLES = 200


def slice_columns(schema: Schema, declared: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return the columns to slice by: the declared ones, else the first six categories with 2 to 20 levels.

    Raise InputError for a declared column that is no feature, or holds text or ids (their cells must not leave the
    table).
    """
    if not declared:
        fit = [column for column in schema.of_kind("category") if 2 <= len(column.levels) <= _MOST_LEVELS]
        return tuple(fit[:_DEFAULT_COLUMNS])
    known = {column.name: column for column in schema.columns if column.kind not in ("text", "id")}
    for name in declared:
        if name not in known:
            raise InputError(
                f"Cannot slice by '{name}': it is not a feature, or it holds text or ids.",
                where="audit.slices",
                fix=f"Choose among: {', '.join(known)}.",
            )
    return tuple(known[name] for name in declared)


def slice_table(
    by: Sequence[Column],
    columns: Columns,
    y: NDArray[Any],
    proba: NDArray[Any],
    decided: NDArray[Any],
    *,
    metric: str,
    cost: Mapping[str, float] | None = None,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return one row per column and level: rows, and the metric with its interval.

    The eight most frequent levels with at least 30 rows are shown; a slice in which the metric does not exist (an AUC
    of one class) is left out.
    """
    table = []
    for column in by:
        for level, rows in _levels(column, columns[column.name]):
            interval = with_intervals(
                [metric],
                y[rows],
                proba[rows],
                decided[rows],
                cost=cost,
                resamples=_RESAMPLES,
                seed=seed,
                groups=None if groups is None else groups[rows],
                classes=proba.shape[1],
            )[metric]
            if math.isnan(interval.low):
                continue
            table.append(
                {"column": column.name, "level": level, "rows": len(rows), "metric": metric, **interval.to_dict()}
            )
    return table


def _levels(column: Column, values: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield the name of each level and its rows, the most frequent first; numbers by quarters, dates by year."""
    if column.kind == "category":
        names = np.array([MISSING if value is None else value for value in values], dtype=object)
    elif column.kind == "datetime":
        names = _years(values)
    else:
        names = _quarters(values)
    found, place = np.unique(names.astype(str), return_inverse=True)
    count = np.bincount(place, minlength=len(found))
    for code in np.argsort(-count, kind="stable")[:TOP_LEVELS]:
        if count[code] >= LEAST_ROWS:
            yield str(found[code]), np.flatnonzero(place == code)


def _years(seconds: NDArray[Any]) -> NDArray[Any]:
    known = ~np.isnan(seconds)
    names = np.full(len(seconds), MISSING, dtype=object)
    years = seconds[known].astype("int64").astype("datetime64[s]").astype("datetime64[Y]")
    names[known] = years.astype(str)
    return names


def _quarters(values: NDArray[Any]) -> NDArray[Any]:
    """Return the value itself when there are few, else the quarter of the rows it lies in, as a range."""
    known = ~np.isnan(values)
    names = np.full(len(values), MISSING, dtype=object)
    distinct = np.unique(values[known])
    if len(distinct) <= TOP_LEVELS:
        names[known] = [f"{value:g}" for value in values[known]]
        return names
    edges = np.unique(np.quantile(values[known], [0.0, 0.25, 0.5, 0.75, 1.0]))
    place = np.clip(np.searchsorted(edges, values[known], side="left") - 1, 0, len(edges) - 2)
    names[known] = [f"{edges[quarter]:g} … {edges[quarter + 1]:g}" for quarter in place]
    return names
