"""One cell at a time: what a value means, whatever library it came from.

Every reader here decides cell by cell, so that a row gives the same bits alone and in any batch. (pandas does not:
there None becomes NaN only when another string stands in the column.) Errors name column and row, never the cell.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from tahona.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Value = TypeVar("Value")
Cells = Sequence[object]

LARGEST_INTEGER = 2**64 - 1
"""Integers beyond 64 bits are refused: they are identifiers, and float64 would merge them."""


def is_null(value: object) -> bool:
    """Tell whether the cell holds nothing: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return bool(value != value)  # noqa: PLR0124 - the definition of NaN
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in {"NAType", "NaTType"}


def canonical(value: object) -> str | None:
    """Return the one text that stands for a cell, None for null.

    Whole numbers have no decimal point whatever their type (``9``, ``9.0`` → ``"9"``), booleans are ``"true"`` and
    ``"false"``, texts are kept literally but NFC. Raises DataError for what is not one value (lists, bytes).
    """
    if isinstance(value, str):
        return str(value) if value.isascii() else _unicode(value)
    if is_null(value):
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return _integer(int(value))
    if isinstance(value, float | np.floating | Decimal):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return _rare(value)


def _unicode(value: str) -> str:
    text = unicodedata.normalize("NFC", value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("the text is not valid Unicode (half of a surrogate pair)") from None
    return text


def _integer(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        raise DataError("the integer has thousands of digits", fix="Write it as text.") from None


def _rare(value: object) -> str:
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, datetime):
        midnight = value.tzinfo is None and not (value.hour or value.minute or value.second or value.microsecond)
        return value.date().isoformat() if midnight else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise DataError(
        f"a {type(value).__name__} stands where one value is expected",
        fix="Turn it into a number or a text in a cleaning function.",
    )


def number(value: object) -> float:
    """Return the cell as float64, NaN for null. Raises DataError for texts and booleans: nothing is guessed."""
    if isinstance(value, float):
        return value
    if isinstance(value, bool | np.bool_):
        raise DataError("a boolean stands where a number is expected", fix="Write 1 or 0.")
    if isinstance(value, int | np.integer):
        if abs(int(value)) > LARGEST_INTEGER:
            raise DataError("the integer does not fit in 64 bits", fix='Declare the column as "id" in [data.types].')
        return float(value)
    if is_null(value):
        return np.nan
    if isinstance(value, np.floating | Decimal):
        return float(value)
    if isinstance(value, str):
        raise DataError("a text stands where a number is expected", fix="Write the number without quotes.")
    raise DataError(f"a {type(value).__name__} stands where a number is expected")


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
        result = values.to_numpy(dtype=np.float64, na_value=np.nan)
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
