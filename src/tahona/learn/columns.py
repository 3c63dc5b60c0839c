"""From rows of any make to plain columns: the one door through which training, batch and single rows pass.

The other parts of a table's meaning stand beside it and can be imported from here: the schema is found in
`tahona.learn.inference`, the label is read in `tahona.learn.labels`, ranges are taken in `tahona.learn.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tahona.core.schema import Column, Schema
from tahona.errors import DataError
from tahona.learn.coded import read_coded
from tahona.learn.inference import infer_schema
from tahona.learn.labels import to_labels
from tahona.learn.reading import Columns, read_column, take, with_ranges
from tahona.learn.values import canonical

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Columns",
    "canonical",
    "conform",
    "infer_schema",
    "read_column",
    "take",
    "to_columns",
    "to_labels",
    "with_ranges",
]


def to_columns(rows: pd.DataFrame | Sequence[Mapping[str, object]], schema: Schema, *, coded: bool = False) -> Columns:
    """Return the schema's features from a table or from a list of rows; other columns are ignored.

    With ``coded``, for a reader that knows `Coded`, a table's categories come so where they can. Raises DataError
    naming missing columns, or column and row (1 is the first) of a cell of the wrong type.
    """
    names = [column.name for column in schema.features]
    if hasattr(rows, "columns"):
        frame = _with_columns(cast("pd.DataFrame", rows), names)
        return {column.name: _read(frame[column.name], column, coded=coded) for column in schema.features}
    cells = _row_cells(rows, names)
    return {column.name: read_column(cells[column.name], column) for column in schema.features}


def _read(values: pd.Series[Any], column: Column, *, coded: bool) -> Any:  # noqa: ANN401 - an array, or Coded
    return read_coded(values, column.name) if coded and column.kind == "category" else read_column(values, column)


def _with_columns(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    present = set(frame.columns)
    missing = [name for name in names if name not in present]
    if missing:
        raise _missing(missing, "the table")
    return frame


def _row_cells(rows: Sequence[Mapping[str, object]], names: list[str]) -> dict[str, list[object]]:
    try:
        return {name: [row[name] for row in rows] for name in names}
    except KeyError:
        lacking = ((number, [name for name in names if name not in row]) for number, row in enumerate(rows, start=1))
        number, missing = next((number, missing) for number, missing in lacking if missing)
        raise _missing(missing, f"row {number}") from None


def _missing(names: list[str], where: str) -> DataError:
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return DataError(
        f"missing column(s): {shown}", where=where, fix="Give every column of the schema, null where it is unknown."
    )


def conform(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return a copy of the table whose schema columns hold their kind: float64, datetime64 (UTC, no zone) or text.

    `to_columns` reads the copy exactly as it reads the table itself. Other columns are left as they are.
    """
    import pandas as pd

    converted: dict[str, Any] = {}
    for column in schema.columns:
        values = read_column(frame[column.name], column)
        if column.kind == "datetime":
            known = np.nan_to_num(values * 1e6).round().astype(np.int64).astype("datetime64[us]")
            converted[column.name] = np.where(np.isnan(values), np.datetime64("NaT", "us"), known)
        else:
            converted[column.name] = values if column.kind == "numeric" else pd.array(values, dtype="str")
    return frame.assign(**converted)
