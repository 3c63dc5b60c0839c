"""A second, slow look at rows that did not fit at first sight: it says what is wrong where, or takes them as they are.

It decides alone, by the rules by which every cell of a table is read (`tahona.scorer.cells`), and repeats nothing but
names of columns.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tahona.errors import DataError
from tahona.scorer.cells import canonical, number
from tahona.scorer.times import from_text, microseconds
from tahona.serve.front.rows import Column, Form, Reader, form_of
from tahona.serve.front.visit import RefusedError
from tahona.serve.problems import Problem

MOST_NAMES = 20
LONGEST_NAME = 60
MOST_EXTRA = 1000
"""Unknown columns of one row that are put up with."""
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_DIGITS = 400
"""A number with more digits is infinite in any case."""


class _Object(dict[str, Any]):
    """A JSON object, and the keys that stand in it more than once."""

    twice: tuple[str, ...] = ()


class _Wrong:
    """Stands for a number that is none."""

    def __init__(self, what: str) -> None:
        self.what = what


def look_again(body: bytes, reader: Reader) -> tuple[list[Any], tuple[str, ...]]:
    """Return the rows and the names of columns that nobody asked for. Raise RefusedError where they cannot be taken."""
    limit = reader.limits.rows
    _check_amount(body, reader)
    rows = _rows(_parse(body), form_of(body))
    if not rows:
        raise _refused("there are no rows to predict", fix='send at least one: {"rows": [{ … }]}')
    if len(rows) > limit:
        raise _too_many(limit)
    extra: dict[str, None] = {}
    taken = [_row(row, place, reader, extra) for place, row in enumerate(rows, start=1)]
    return taken, tuple(extra)


def _check_amount(body: bytes, reader: Reader) -> None:
    """Refuse what would make more objects or values than rows can have, before any is made."""
    limit = reader.limits.rows
    widest = len(reader.columns) + len(reader.ignored) + MOST_EXTRA
    braces = body.count(b"{")
    most = (min(braces, limit) + 1) * widest
    if braces <= limit + 1 and body.count(b",") <= most:
        return
    objects = values = place = 0
    while place < len(body):  # what stands in texts does not count
        quote = body.find(b'"', place)
        end = len(body) if quote < 0 else quote
        objects += body.count(b"{", place, end)
        values += body.count(b",", place, end)
        if objects > limit + 1:
            raise _too_many(limit)
        if values > most:
            raise RefusedError(Problem(413, f"more than {MOST_EXTRA:,} values in a row that the model does not know"))
        text = _TEXT.match(body, end)
        place = len(body) if text is None else text.end()


def shown(names: Iterable[str]) -> list[str]:
    """Return so many names that an answer stays short."""
    texts = (name.encode("utf-8", "replace").decode() for name in names)  # half a surrogate pair cannot be sent
    every = [text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…" for text in texts]
    return every if len(every) <= MOST_NAMES else [*every[:MOST_NAMES], f"… and {len(every) - MOST_NAMES} more"]


def _rows(document: object, form: Form) -> list[object]:
    if form == "rows" and isinstance(document, _Object):
        if len(document) + len(document.twice) > 1:
            what = "the object that holds the rows holds something else as well"
            raise _refused(what, fix='send {"rows": [ … ]} alone')
        document = document["rows"]
    return document if isinstance(document, list) else [document]


def _parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=lambda _: _Wrong("NaN or Infinity, which JSON does not have"),
            parse_float=_real,
            parse_int=_whole,
        )
    except UnicodeDecodeError:
        raise RefusedError(Problem(400, "the body is not UTF-8", fix="send JSON in UTF-8")) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RefusedError(Problem(400, "the body is not JSON", where=place)) from None
    except RecursionError:
        raise RefusedError(Problem(400, "the body is nested too deeply")) from None


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        made.twice = tuple(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return made


def _real(text: str) -> float | _Wrong:
    value = float(text)
    return value if math.isfinite(value) else _Wrong("a number that is too large")


def _whole(text: str) -> int | _Wrong:
    return int(text) if len(text) <= _DIGITS else _Wrong("a number that is too large")


def _row(row: object, place: int, reader: Reader, extra: dict[str, None]) -> Any:  # noqa: ANN401 - as Reader.make
    if not isinstance(row, _Object):
        raise _refused("a row has to be an object: column → value", row=place)
    if row.twice:
        known = [column.name for column in reader.columns if column.name in row.twice]
        raise _refused("a column stands twice in the row", row=place, column=known[0] if known else "")
    missing = [column.name for column in reader.columns if column.name not in row]
    if missing:
        raise _refused(
            f"missing column(s): {', '.join(shown(missing))}",
            row=place,
            fix="give every column of the schema, null where it is unknown",
            more={"missing": shown(missing)},
        )
    if len(row) > len(reader.columns):
        names = {column.name for column in reader.columns}
        unknown = [name for name in row if name not in names and name not in reader.ignored]
        if len(unknown) + len(extra) > MOST_EXTRA:
            what = f"more than {MOST_EXTRA} columns that the model does not know"
            raise RefusedError(Problem(413, what, where=f"row {place}"))
        extra.update(dict.fromkeys(unknown))
    return reader.make([_cell(row[column.name], column, place, reader.limits.cell) for column in reader.columns])


def _cell(value: Any, column: Column, place: int, longest: int) -> Any:  # noqa: ANN401 - any JSON
    """Return the cell as a row has it."""
    if isinstance(value, _Wrong):
        raise _refused(f"{value.what}", row=place, column=column.name, fix="write null where nothing is known")
    if isinstance(value, str) and len(value) > longest:
        what = f"a text of more than {longest:,} characters"
        raise RefusedError(Problem(413, what, where=f"row {place}, column '{column.name}'", more={"limit": longest}))
    if isinstance(value, list | dict):
        raise _refused("a list or an object stands where one value is expected", row=place, column=column.name)
    try:
        _READERS[column.kind](value, column)
        return number(value) if column.kind == "numeric" and value is not None else value
    except DataError as error:
        raise _refused(error.what, row=place, column=column.name, fix=error.fix) from None


_READERS: Mapping[str, Callable[[Any, Column], object]] = {
    "numeric": lambda value, _: number(value),
    "datetime": lambda value, column: (from_text if isinstance(value, str) else microseconds)(value, column.format),
    "category": lambda value, _: canonical(value),
    "text": lambda value, _: canonical(value),
}


def _refused(
    what: str, *, row: int = 0, column: str = "", fix: str = "", more: Mapping[str, Any] | None = None
) -> RefusedError:
    where = ", ".join([*([f"row {row}"] if row else []), *([f"column '{column}'"] if column else [])])
    facts = {**({"row": row} if row else {}), **({"column": column} if column else {}), **(more or {})}
    return RefusedError(Problem(422, what, where=where, fix=fix, more=facts))


def _too_many(limit: int) -> RefusedError:
    return RefusedError(
        Problem(413, f"the request has more than {limit:,} rows", fix="send fewer at a time", more={"limit": limit})
    )
