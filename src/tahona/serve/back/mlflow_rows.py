"""Rows in the forms of MLflow's scoring protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from tahona.bundle.raw import column_forms
from tahona.serve.back.asking import too_many
from tahona.serve.back.refusing import Refused
from tahona.serve.front.mistakes import shown

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle
    from tahona.project.model import ServeLimitsPart
    from tahona.serve.back.batching import Row

_DIGITS = 400
_HINT = "send one of dataframe_split, dataframe_records, instances and inputs"


def rows_of_mlflow(body: bytes, bundle: Bundle, limits: ServeLimitsPart) -> list[Row]:
    """Return the raw rows in a body of JSON. Raise Refused for anything else than MLflow's forms.

    NaN stands for null, as MLflow's own clients write it. The columns that the bundle needs are taken, no others.
    """
    document = _parse(body)
    if not isinstance(document, dict):
        raise Refused(400, "the body is not an object", fix=_HINT)
    forms = [name for name in _FORMS if name in document]
    if len(forms) != 1:
        raise Refused(400, f"the body has {len(forms)} of the four forms of rows", fix=_HINT)
    names = list(column_forms(bundle))
    rows = _FORMS[forms[0]](document[forms[0]], names)
    if not rows:
        raise Refused(400, "there are no rows to predict", where=forms[0], fix="send at least one")
    if len(rows) > limits.rows:
        raise too_many(limits.rows)
    return [_checked(row, place, names, limits.cell) for place, row in enumerate(rows, start=1)]


def _parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(
            body.decode("utf-8"), parse_constant=_constant, parse_int=_whole, object_pairs_hook=_each_once
        )
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise Refused(400, "the body is not JSON in UTF-8") from None
    except RecursionError:
        raise Refused(400, "the body is nested too deeply") from None


def _constant(name: str) -> None:
    if name != "NaN":
        raise Refused(400, "the body holds an infinite number", fix="send null where nothing is known")


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise Refused(400, "the body holds a whole number of more than 400 digits")
    return int(text)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Refused(400, "an object holds a field twice", fix="send every field once")
    return made


def _split(value: Any, _: Sequence[str]) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, dict) or not value.keys() <= {"columns", "data", "index"} or "data" not in value:
        _wrong("dataframe_split", 'an object of "columns" and "data"')
    columns, data = value.get("columns", []), value["data"]
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        _wrong("dataframe_split", 'names in "columns"')
    if len(set(columns)) < len(columns):
        raise Refused(400, "a column stands twice in the frame", where="dataframe_split")
    if not isinstance(data, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        _wrong("dataframe_split", 'as many cells in every row of "data" as there are columns')
    return [dict(zip(columns, row, strict=True)) for row in data]


def _records(form: str) -> Callable[[Any, Sequence[str]], list[Any]]:
    def read(value: Any, names: Sequence[str]) -> list[Any]:  # noqa: ANN401
        if not isinstance(value, list):
            _wrong(form, "a list of objects")
        if len(names) == 1 and not any(isinstance(row, list | dict) for row in value):
            return [{names[0]: cell} for cell in value]
        if not all(isinstance(row, dict) for row in value):
            _wrong(form, "a list of objects")
        return list(value)

    return read


def _inputs(value: Any, names: Sequence[str]) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        return _records("inputs")(value, names)
    columns = {name: cells if isinstance(cells, list) else [cells] for name, cells in value.items()}
    if len({len(cells) for cells in columns.values()}) > 1:
        _wrong("inputs", "columns of one length")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


_FORMS: Mapping[str, Callable[[Any, Sequence[str]], list[Any]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records("dataframe_records"),
    "instances": _records("instances"),
    "inputs": _inputs,
}


def _wrong(form: str, wanted: str) -> NoReturn:
    raise Refused(400, f"there has to be {wanted}", where=form)


def _checked(row: Mapping[str, Any], place: int, names: Sequence[str], longest: int) -> Row:
    missing = [name for name in names if name not in row]
    if missing:
        raise Refused(
            400,
            f"missing column(s): {', '.join(shown(missing))}",
            where=f"row {place}",
            fix="give every column of the schema, null where it is unknown",
        )
    for name in names:
        cell = row[name]
        where = f"row {place}, column '{name}'"
        if isinstance(cell, list | dict):
            raise Refused(400, "a list or an object stands where one value is expected", where=where)
        if isinstance(cell, str) and len(cell) > longest:
            raise Refused(413, f"a text of more than {longest:,} characters", where=where, more={"limit": longest})
        if isinstance(cell, float) and not math.isfinite(cell):
            raise Refused(400, "a number that is too large", where=where)
    return {name: row[name] for name in names}
