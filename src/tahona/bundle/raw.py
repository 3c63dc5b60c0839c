"""Raw rows as the training table had them, whatever file or library they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tahona.errors import DataError
from tahona.learn.dates import read_times
from tahona.learn.values import is_null, read_numbers, read_texts

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

    from tahona.bundle.bundle import Bundle
    from tahona.core.schema import Column, Form

EXACT = 2**53
"""Beyond this, whole numbers lose digits as floating point."""


def column_forms(bundle: Bundle) -> dict[str, Form]:
    """Say which columns of a text file a raw row needs, and how their cells are read: as training read them."""
    raw = bundle.cleaning.raw_types
    if bundle.cleaning.functions:
        return {name: _form_of_type(kind) for name, kind in raw.items()}
    return {column.name: _form_of_column(column, raw.get(column.name, "str")) for column in bundle.schema.features}


def coded_columns(bundle: Bundle) -> frozenset[str]:
    """Name the columns whose distinct texts are all that predicting needs: categories that no function cleans."""
    if bundle.cleaning.functions:
        return frozenset()
    return frozenset(column.name for column in bundle.schema.of_kind("category"))


def _form_of_type(dtype: str) -> Form:
    """Return the form of a raw column that the user's functions will read."""
    if dtype.lower().startswith("int"):
        return "whole"
    if dtype.lower().startswith("float"):
        return "real"
    return "boolean" if dtype.startswith("bool") else "text"


def _form_of_column(column: Column, dtype: str) -> Form:
    """Return the form of a feature column; a category that training read as numbers is a code, `9` and `9.0` alike."""
    if column.kind == "numeric":
        return "real"
    return "text" if _form_of_type(dtype) == "text" else "code"


def conform(rows: pd.DataFrame | Sequence[Mapping[str, object]], types: Mapping[str, str]) -> pd.DataFrame:
    """Return the raw columns with the types of the training table, numbered from 0; nothing is converted by guessing.

    A whole-number or boolean column without nulls in training gets pandas' nullable type where there are nulls. Raises
    DataError naming missing columns, or column and row (1 is the first) of a cell of another type.
    """
    import pandas as pd

    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
    missing = [name for name in types if name not in frame.columns]
    if missing:
        shown = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
        raise DataError(f"missing column(s): {shown}", fix="send every column of the training table")
    columns = {
        name: frame[name].array if str(frame[name].dtype) == kind else _converted(frame[name], kind, name)
        for name, kind in types.items()
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _converted(series: pd.Series[Any], kind: str, name: str) -> Any:  # noqa: ANN401 - what a DataFrame takes
    import pandas as pd

    if kind == "float64":
        return read_numbers(series, name)
    if kind.lower() == "int64":
        return _wholes(series, kind, name)
    if kind.startswith("bool"):
        return _truths(series, kind, name)
    if kind.startswith("datetime64"):
        seconds = read_times(series, name)
        stamps = np.nan_to_num(seconds * 1e6).round().astype(np.int64).astype("datetime64[us]")
        return np.where(np.isnan(seconds), np.datetime64("NaT", "us"), stamps)
    return pd.array(read_texts(series, name), dtype="str")


def _wholes(series: pd.Series[Any], kind: str, name: str) -> ExtensionArray:
    import pandas as pd

    absent = series.isna()
    if pd.api.types.is_integer_dtype(series.dtype):
        whole = series
    else:
        numbers = read_numbers(series, name)
        wrong = ~np.isnan(numbers) & ((numbers % 1 != 0) | (np.abs(numbers) > EXACT))
        if wrong.any():
            raise DataError(
                "the column held whole numbers in training; this one has a fraction, or too many digits",
                where=f"column '{name}', row {int(wrong.argmax()) + 1}",
                fix="Round it, or train on a table whose column has fractions too.",
            )
        whole = pd.Series(numbers)
    return whole.astype("Int64" if absent.any() else kind).array  # type: ignore[call-overload, no-any-return]


def _truths(series: pd.Series[Any], kind: str, name: str) -> ExtensionArray:
    import pandas as pd

    cells = series.to_numpy(dtype=object)
    for row, cell in enumerate(cells, start=1):
        if not isinstance(cell, bool | np.bool_) and not is_null(cell):
            raise DataError(
                f"a {type(cell).__name__} stands where true or false is expected",
                where=f"column '{name}', row {row}",
                fix="Write true or false, or leave it null.",
            )
    wanted = "boolean" if series.isna().any() else kind
    return pd.Series([None if is_null(cell) else bool(cell) for cell in cells]).astype(wanted).array  # type: ignore[call-overload, no-any-return]
