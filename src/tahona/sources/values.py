"""Typed values (JSON, Excel, SQL) to columns: one type per column, or text with the mixture told."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.cells import as_boolean, as_text, as_whole
from tahona.sources.headers import normalise_headers, shown
from tahona.sources.numbers import EXACT, LARGEST, infinite, too_large

if TYPE_CHECKING:
    from tahona.sources.cells import Values
    from tahona.sources.reading import Reading, RowPlace

__all__ = ["canonical_text", "read_values", "table_of_values"]

_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    str: "text",
    UUID: "text",
    dt.datetime: "date",
    dt.date: "date",
    dt.time: "text",
    dt.timedelta: "text",
}


def table_of_values(
    header: Sequence[str],
    columns: Sequence[Sequence[object]],
    reading: Reading,
    place: RowPlace,
    *,
    findings: Sequence[Finding] = (),
) -> FetchedTable:
    """Return the table of columns of Python values, names normalised and types settled."""
    import pandas as pd

    names, renamed = normalise_headers(header, where=reading.where, limits=reading.limits)
    if not columns or not len(columns[0]):
        raise DataError("the table has 0 rows", where=reading.where, fix="Give a table with rows.")
    told = [*findings, *renamed]
    values: dict[str, Any] = {}
    for name, cells in zip(names, columns, strict=True):
        values[name], notes = read_values(name, cells, reading, place)
        told += notes
    return FetchedTable(pd.DataFrame(values, copy=False), tuple(told))


def read_values(
    name: str, cells: Sequence[object], reading: Reading, place: RowPlace
) -> tuple[Values, tuple[Finding, ...]]:
    """Return a column (an array that a DataFrame takes as it is); None and NaN are null.

    Raises DataError with row and column for nested values, bytes, infinities and whole numbers beyond 64 bits.
    """
    import pyarrow as pa

    cells = [None if cell is None or (isinstance(cell, float) and math.isnan(cell)) else cell for cell in cells]
    types = Counter(type(cell) for cell in cells if cell is not None)
    for found in types:
        if found not in _KINDS:
            raise _unreadable(name, cells, found, place)
    kinds: Counter[str] = Counter()
    for found, count in types.items():
        kinds[_KINDS[found]] += count
    if set(kinds) <= {"text"} or reading.is_text(name):
        return _text(name, cells, reading, place), ()
    if len(kinds) > 1:
        counts = {kind: kinds[kind] for kind in ("number", "boolean", "date", "text")}
        return _text(name, cells, reading, place), (Finding("mixed_types", name, counts),)
    if "boolean" in kinds:
        return as_boolean(pa.chunked_array([pa.array(cells, pa.bool_())])), ()
    if "date" in kinds:
        return _dates(name, cells, place)
    return (_whole if set(types) == {int} else _reals)(name, cells, place)


def canonical_text(value: object) -> str:
    """Return a value as text: ``true``, ``9`` for 9.0, ISO 8601 for dates; text as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    if isinstance(value, int):
        return format(Decimal(value), "f")  # str(int) refuses more than 4,300 digits
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _whole(name: str, cells: Sequence[object], place: RowPlace) -> tuple[Values, tuple[Finding, ...]]:
    import pyarrow as pa

    wide = False
    for row, cell in enumerate(cells):
        if isinstance(cell, int):
            if not -LARGEST - 1 <= cell <= LARGEST:
                raise too_large(name, place(row))
            wide = wide or abs(cell) > EXACT
    column = as_whole(pa.chunked_array([pa.array(cells, pa.int64())]))
    return column, (Finding("wide_integers", name),) if wide else ()


def _reals(name: str, cells: Sequence[object], place: RowPlace) -> tuple[Values, tuple[Finding, ...]]:
    import numpy as np

    reals = np.array([math.nan if cell is None else _real(cell) for cell in cells], dtype=np.float64)
    endless = np.flatnonzero(np.isinf(reals))
    if endless.size:
        raise infinite(name, place(int(endless[0])))
    return reals, ()


def _text(name: str, cells: Sequence[object], reading: Reading, place: RowPlace) -> Values:
    import pyarrow as pa

    texts = [None if cell is None else canonical_text(cell) for cell in cells]
    limit = reading.limits.cell_characters
    for row, text in enumerate(texts):
        if text is None:
            continue
        if len(text) > limit:
            raise DataError(
                f"a cell in column {shown(name)} is larger than the limit of {limit:,} characters",
                where=place(row),
                fix="Shorten it.",
            )
        if "\0" in text:
            raise DataError(f"a cell in column {shown(name)} holds a NUL", where=place(row), fix="Remove it.")
    try:
        return as_text(pa.chunked_array([pa.array(texts, pa.large_string())]))
    except UnicodeEncodeError:
        row = next(row for row, text in enumerate(texts) if text is not None and not _encodable(text))
        raise DataError(
            f"a cell in column {shown(name)} holds half of a surrogate pair, which is no text",
            where=place(row),
            fix="Correct the escape sequence.",
        ) from None


def _dates(name: str, cells: Sequence[object], place: RowPlace) -> tuple[Values, tuple[Finding, ...]]:
    """Return datetime64 in microseconds without a zone; zoned times become UTC, and that is told."""
    import numpy as np

    zoned = Counter(isinstance(cell, dt.datetime) and cell.tzinfo is not None for cell in cells if cell is not None)
    if len(zoned) > 1:
        row = next(row for row, cell in enumerate(cells) if isinstance(cell, dt.datetime) and cell.tzinfo is not None)
        raise DataError(
            f"column {shown(name)} mixes times with a zone ({zoned[True]:,}) and without ({zoned[False]:,})",
            where=place(row),
            fix="Write all of them with a zone, or all without.",
        )
    plain = [
        cell.astimezone(dt.UTC).replace(tzinfo=None) if isinstance(cell, dt.datetime) and cell.tzinfo else cell
        for cell in cells
    ]
    array = np.array(plain, dtype="datetime64[us]")
    return array, (Finding("to_utc", name),) if zoned[True] else ()


def _real(cell: object) -> float:
    try:
        return float(cell)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(name: str, cells: Sequence[object], found: type, place: RowPlace) -> DataError:
    row = next(row for row, cell in enumerate(cells) if type(cell) is found)
    what = {"dict": "an object", "list": "a list", "bytes": "bytes"}.get(found.__name__, f"a {found.__name__}")
    return DataError(
        f"a cell in column {shown(name)} holds {what}; a cell is a number, text, true/false or a date",
        where=place(row),
        fix="Flatten the table before use.",
    )
