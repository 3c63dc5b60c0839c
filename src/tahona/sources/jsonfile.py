"""JSON: an array of objects, or one object per line. Types are those of the file; what JSON forbids is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.headers import shown
from tahona.sources.limits import check_cells, check_columns
from tahona.sources.values import table_of_values

if TYPE_CHECKING:
    from tahona.sources.reading import Reading

__all__ = ["looks_like_json", "read_json"]

_DIGITS = 400
"""A number written with more digits than this is refused: no honest cell has as many."""


class _Forbidden(Exception):  # noqa: N818  (never leaves this file)
    """What is wrong, found inside the parser's callbacks, where the row is not known."""


def looks_like_json(text: str) -> bool:
    """Whether the text begins as an array of objects or as an object does."""
    start = text[: 1 << 16].lstrip()
    if start.startswith("{"):
        return start[1:].lstrip()[:1] in {'"', "}", ""}
    return start.startswith("[") and start[1:].lstrip()[:1] in {"{", "[", "]", ""}


def read_json(text: str, encoding: str, reading: Reading) -> FetchedTable:
    """Return the table of an array of objects or of JSON Lines. A key that a row lacks is null, and told.

    Raises DataError with row or line for NaN and Infinity, duplicate keys, nested values, and numbers of absurd length.
    """
    array = text.lstrip().startswith("[")
    rows, lines = (_array(text, reading), None) if array else _lines(text, reading)

    def place(row: int) -> str:
        return reading.row(row) if lines is None else f"{reading.where}:{lines[row]}"

    names: dict[str, None] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(
                "the row is not an object", where=place(index), fix='Write every row as {"column": value, …}.'
            )
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
            check_columns(len(names), where=reading.where, limits=reading.limits)
    if rows and not names:
        raise DataError("the rows hold no columns", where=reading.where, fix='Write rows as {"column": value, …}.')
    for name in names:
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise DataError(
                "a column name holds half of a surrogate pair", where=reading.where, fix="Correct the name."
            )
    check_cells(len(rows), len(names), reading.limits.values, where=reading.where)
    nulls = frozenset(reading.nulls)
    columns = [[_cell(row.get(name), nulls) for row in rows] for name in names]
    kind = "JSON" if array else "JSON Lines"
    told = [Finding("read_as", "", {"format": kind, "details": f"encoding={encoding}"})]
    for name in names:
        missing = sum(name not in row for row in rows)
        if missing:
            told.append(Finding("missing_keys", name, {"count": missing}))
    return table_of_values(tuple(names), columns, reading, place, findings=told)


def _cell(value: object, nulls: frozenset[str]) -> object:
    return None if isinstance(value, str) and value in nulls else value


def _array(text: str, reading: Reading) -> list[Any]:
    try:
        rows = _loads(text)
    except json.JSONDecodeError as error:
        raise _invalid(f"{reading.where}:{error.lineno}") from None
    except _Forbidden as error:
        raise DataError(str(error), where=reading.where, fix="Correct the file.") from None
    if not isinstance(rows, list):
        raise DataError("the file is not an array", where=reading.where, fix="Write the rows as an array of objects.")
    return rows


def _lines(text: str, reading: Reading) -> tuple[list[Any], list[int]]:
    rows: list[Any] = []
    lines: list[int] = []
    for number, line in _numbered(text):
        try:
            rows.append(_loads(line))
        except json.JSONDecodeError:
            fix = "Write one object per line, or all rows as one array."
            raise _invalid(f"{reading.where}:{number}", fix) from None
        except _Forbidden as error:
            raise DataError(str(error), where=f"{reading.where}:{number}", fix="Correct that line.") from None
        lines.append(number)
    return rows, lines


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _loads(text: str) -> object:
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_whole, parse_float=_real
        )
    except RecursionError:
        raise _Forbidden("the values are nested too deeply for a table") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Forbidden(f"an object has the key {shown(twice)} twice")
    return row


def _no_constant(name: str) -> NoReturn:
    raise _Forbidden(f"{name} is not JSON; a missing number is null")


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise _Forbidden(f"a number is written with more than {_DIGITS} digits")
    return int(digits)


def _real(digits: str) -> float:
    if len(digits) > _DIGITS:
        raise _Forbidden(f"a number is written with more than {_DIGITS} digits")
    return float(digits)


def _invalid(where: str, fix: str = "Correct the file: it may be cut off, or lack a comma or a quote.") -> DataError:
    return DataError("the text is not valid JSON", where=where, fix=fix)
