"""Columns as plain arrays, and what their rows show of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.schema import Column, Schema
from tahona.learn.dates import read_times
from tahona.learn.values import Cells, read_numbers, read_texts

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, NDArray[Any]]
"""Feature name → (n,) array: float64 with NaN for null (numeric; datetime as seconds since 1970 UTC), or an object
array of canonical texts with None for null (category, text). All arrays have the same length."""

LEVELS_KEPT = 1_000
"""Levels of a category that a schema remembers."""


def read_column(values: Cells | pd.Series[Any], column: Column) -> NDArray[Any]:
    """Return one column's cells as its kind asks for. Raises DataError with column and row."""
    if column.kind == "numeric":
        return read_numbers(values, column.name)
    if column.kind == "datetime":
        return read_times(values, column.name, column.format)
    return read_texts(values, column.name)


def take(columns: Columns, rows: NDArray[Any] | slice) -> Columns:
    """Return the columns at these rows."""
    return {name: values[rows] for name, values in columns.items()}


def with_ranges(schema: Schema, columns: Columns) -> Schema:
    """Return the schema with lows, highs, levels and nullability as these (training) rows show them."""
    ranged = (_ranged(column, columns[column.name]) if column.name in columns else column for column in schema.columns)
    return replace(schema, columns=tuple(ranged))


def _ranged(column: Column, values: NDArray[Any]) -> Column:
    if column.kind in ("numeric", "datetime"):
        known = values[~np.isnan(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (None, None)
        return replace(column, nullable=known.size < values.size, low=low, high=high, levels=())
    counts = Counter(values.tolist())
    nullable = counts.pop(None, 0) > 0
    levels: tuple[str, ...] = ()
    if column.kind == "category":
        levels = tuple(sorted(counts, key=lambda level: (-counts[level], level))[:LEVELS_KEPT])
    return replace(column, nullable=nullable, low=None, high=None, levels=levels)
