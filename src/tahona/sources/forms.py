"""Text cells of a column whose form is known already: read cell by cell, so that a piece reads as the whole file does.

The type of the result depends on the form alone, never on the cells: ``real`` gives float64, ``whole``
Int64, ``boolean`` pandas' boolean, ``text`` and ``code`` str.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tahona.errors import DataError
from tahona.sources.cells import NUMBER, as_text
from tahona.sources.headers import shown
from tahona.sources.numbers import LARGEST, infinite, too_large

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from tahona.core.schema import Form
    from tahona.sources.cells import Decimal, Values
    from tahona.sources.reading import RowPlace

__all__ = ["read_form"]

_WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_PADDED = re.compile(r"\s*[+-]?0\d+\s*", re.ASCII)
_NUMBER = {mark: re.compile(pattern, re.ASCII) for mark, pattern in NUMBER.items()}


def read_form(name: str, cells: pa.ChunkedArray, form: Form, decimal: Decimal, place: RowPlace) -> Values:
    """Return a column of the cells, whose nulls are null already. Raises DataError with column and row."""
    if form == "text":
        return as_text(cells)
    if form == "code":
        return as_text(_codes(cells, decimal))
    if form == "boolean":
        return _booleans(name, cells, place)
    if form == "whole":
        return _wholes(name, cells, place)
    return _reals(name, cells, decimal, place)


def _reals(name: str, cells: pa.ChunkedArray, decimal: Decimal, place: RowPlace) -> NDArray[Any]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if decimal == ".":
        try:  # what is true of nearly every table: digits and a point, nothing around them
            reals = pc.cast(cells, pa.float64())
        except pa.ArrowInvalid:
            reals = None
        if reals is not None and pc.all(pc.is_finite(reals)).as_py() is not False:
            return np.asarray(reals.to_numpy(zero_copy_only=False), dtype=np.float64)
    numbers = pc.match_substring_regex(cells, NUMBER[decimal])
    if pc.all(numbers).as_py() is False:
        raise _no_number(name, place(pc.index(numbers, False).as_py()))
    trimmed = pc.utf8_trim_whitespace(cells)
    if decimal == ",":
        trimmed = pc.replace_substring(trimmed, ",", ".")
    found: NDArray[Any] = pc.cast(pc.utf8_ltrim(trimmed, "+"), pa.float64()).to_numpy(zero_copy_only=False)
    endless = np.flatnonzero(np.isinf(found))
    if endless.size:
        raise infinite(name, place(int(endless[0])))
    return found


def _wholes(name: str, cells: pa.ChunkedArray, place: RowPlace) -> Values:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.match_substring_regex(cells, r"^-?\d{1,18}$")).as_py() is not False:
        wholes = pc.cast(cells, pa.int64())
    else:
        wholes = pa.chunked_array([pa.array(_whole_cells(name, cells, place), pa.int64())])
    found: Values = wholes.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get).array
    return found


def _whole_cells(name: str, cells: pa.ChunkedArray, place: RowPlace) -> list[int | None]:
    """Read the cells one by one: some have blanks around them, or are no whole numbers."""
    found: list[int | None] = []
    for row, cell in enumerate(cells.to_pylist()):
        if cell is None:
            found.append(None)
            continue
        if not _WHOLE.fullmatch(cell):
            raise _no_number(name, place(row), whole=any(each.match(cell) for each in _NUMBER.values()))
        digits = cell.strip().lstrip("+-").lstrip("0")
        if len(digits) > 19 or int(digits or "0") > LARGEST:
            raise too_large(name, place(row))
        found.append(int(cell))
    return found


def _booleans(name: str, cells: pa.ChunkedArray, place: RowPlace) -> Values:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(cells)
    known = pc.if_else(pc.is_null(cells), True, pc.is_in(lower, value_set=pa.array(["true", "false"], cells.type)))
    wrong = pc.index(known, False).as_py()
    if wrong >= 0:
        raise DataError(
            f"column {shown(name)} held true and false in training; this cell is neither",
            where=place(wrong),
            fix="Write true or false, or leave it empty.",
        )
    found: Values = pc.equal(lower, "true").to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get).array
    return found


def _codes(cells: pa.ChunkedArray, decimal: Decimal) -> pa.ChunkedArray:
    """Return numbers and truth values as canonical text: `` 9``, ``9`` and ``9.0`` are one code, ``007`` is not."""
    import pyarrow as pa

    counted = cells.combine_chunks().dictionary_encode()
    codes = pa.array([_code(cell, decimal) for cell in counted.dictionary.to_pylist()], pa.large_string())
    return pa.chunked_array([codes.take(counted.indices)], pa.large_string())


def _code(cell: str, decimal: Decimal) -> str:
    from tahona.learn.values import canonical

    if cell.lower() in {"true", "false"}:
        return cell.lower()
    if not _NUMBER[decimal].match(cell) or _PADDED.fullmatch(cell):
        return cell
    if _WHOLE.fullmatch(cell) and len(cell) < 20:
        return str(int(cell))
    number = float(cell.replace(decimal, "."))
    return cell if abs(number) == float("inf") else canonical(number) or cell


def _no_number(name: str, place: str, *, whole: bool = False) -> DataError:
    if whole:
        return DataError(
            f"column {shown(name)} held whole numbers in training; this cell has a fraction",
            where=place,
            fix="Round it, or train on a table whose column has fractions too.",
        )
    return DataError(
        f"column {shown(name)} holds numbers; this cell is none",
        where=place,
        fix="Correct it or leave it empty; words for 'no value' belong in [data] nulls, a comma in [data] decimal.",
    )
