"""One cell at a time: what a value means, whatever library it came from.

Every reader here decides cell by cell, so that a row gives the same bits alone and in any batch. (pandas does not:
there None becomes NaN only when another string stands in the column.) Errors name column and row, never the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from tahona.errors import DataError
from tahona.scorer.cells import canonical, is_null, number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cells", "canonical", "each", "is_null", "is_series", "number", "read_numbers", "read_texts"]

Value = TypeVar("Value")
Cells = Sequence[object]


def each(values: Iterable[object], read: Callable[[object], Value], name: str) -> list[Value]:
    """Read every cell; an error is raised again with the column and the row (1 is the first row given)."""
    cells = values if isinstance(values, Sequence | np.ndarray) else list(values)
    try:
        return [read(value) for value in cells]
    except DataError:
        raise _located(cells, read, name) from None


def _located(values: Iterable[object], read: Callable[[object], Value], name: str) -> DataError:
    for row, value in enumerate(values, start=1):
        try:
            read(value)
        except DataError as error:
            return DataError(error.what, where=f"column '{name}', row {row}", fix=error.fix)
    raise AssertionError(name)


def is_series(values: object) -> TypeGuard[pd.Series[Any]]:
    """Tell a pandas Series without importing pandas."""
    return hasattr(values, "dtype") and hasattr(values, "iloc")


def read_texts(values: Cells | pd.Series[Any], name: str) -> NDArray[Any]:
    """Return the cells as an object array of canonical texts, None for null."""
    if is_series(values):
        return _series_texts(values, name)
    result = np.empty(len(values), dtype=object)
    result[:] = each(values, canonical, name)
    return result


def _series_texts(series: pd.Series[Any], name: str) -> NDArray[Any]:
    import pandas as pd
    from pandas.api.types import is_object_dtype as is_object

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes, distinct = series.cat.codes.to_numpy(), list(series.cat.categories)
    elif is_object(dtype) or isinstance(dtype, pd.ArrowDtype):
        return read_texts(list(series.to_numpy(dtype=object)), name)
    else:  # one type in the whole column: equal cells have equal texts
        numbered, index = pd.factorize(series)
        codes, distinct = numbered, list(index)
    try:
        table = [canonical(value) for value in distinct]
    except DataError:
        return read_texts(list(series.to_numpy(dtype=object)), name)  # names the row
    texts = np.empty(len(table) + 1, dtype=object)
    texts[: len(table)] = table
    texts[-1] = None
    return texts[codes]


def read_numbers(values: Cells | pd.Series[Any], name: str, read: Callable[[object], float] = number) -> NDArray[Any]:
    """Return the cells as float64, NaN for null. Raises DataError for other types and for infinities."""
    if is_series(values) and _holds_numbers(values):
        plain = isinstance(values.dtype, np.dtype)  # its nulls are NaN already
        result = values.to_numpy(dtype=np.float64) if plain else values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        cells = list(values.to_numpy(dtype=object)) if is_series(values) else values
        result = np.array(each(cells, read, name), dtype=np.float64)
    infinite = np.isinf(result)
    if infinite.any():
        raise DataError(
            f"{int(infinite.sum())} infinite value(s)",
            where=f"column '{name}', row {int(infinite.argmax()) + 1}",
            fix="Replace them by null or by a number in a cleaning function; look for a division by zero.",
        )
    return result


def _holds_numbers(series: pd.Series[Any]) -> bool:
    from pandas.api import types

    dtype = series.dtype
    return types.is_integer_dtype(dtype) or types.is_float_dtype(dtype)
