"""One cell: what a value means, whatever library it came from. Light, so that the row scorer reads cells alike."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import numpy as np

from tahona.errors import DataError

LONGEST_KEPT = 64
"""Characters of a text that is remembered with what it stands for: longer ones come from nobody's table."""
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
