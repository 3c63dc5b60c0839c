"""Whether a table fits a model: what is missing, more, of another type, beyond what training saw; and how well it does.

Findings count cells and name columns; no cell is repeated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.bundle.predict import outside, raw_columns, score, unseen
from tahona.bundle.raw import column_forms
from tahona.errors import DataError, InputError
from tahona.learn.dates import read_times
from tahona.learn.labels import to_labels
from tahona.serve.back.measuring import measured
from tahona.sources.cells import NUMBER
from tahona.sources.file import FileSource

if TYPE_CHECKING:
    import pandas as pd

    from tahona.bundle.bundle import Bundle
    from tahona.core.schema import Form, Schema
    from tahona.learn.columns import Columns
    from tahona.project.model import Project
    from tahona.sources.limits import Limits

Document = dict[str, Any]

PIECE = 10_000
INTERVAL_ROWS = 10_000
"""Up to so many rows the metrics have their intervals: 200 resamples of more rows take seconds."""
WHERE = "csv_file"
_WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_TRUTH = re.compile(r"true|false", re.IGNORECASE)


class _AllText(dict[str, "Form"]):
    """Says of every column that it is read as it stands."""

    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, _: str) -> Form:
        return "text"


@dataclass(slots=True)
class _Cells:
    """What one column's texts look like: how many are null, and how many cannot be read, from which row on."""

    nulls: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def count(self, mark: str, bad: NDArray[np.bool_], start: int) -> None:
        if bad.any():
            self.wrong[mark] = self.wrong.get(mark, 0) + int(bad.sum())
            self.first.setdefault(mark, start + int(bad.argmax()) + 1)


@dataclass(slots=True)
class _Look:
    """The table as texts."""

    names: list[str] = field(default_factory=list)
    rows: int = 0
    cells: dict[str, _Cells] = field(default_factory=dict)


def check_table(bundle: Bundle, project: Project, file: Path, limits: Limits) -> Document:
    """Say what is odd about a CSV file of raw rows; predict it where it fits, and judge it where it has the label.

    Raises DataError, with the line, for what is no table.
    """
    look = _look(bundle, project, file, limits)
    mark: str = project.data.decimal or min((".", ","), key=lambda each: _wrong(look, each))
    findings = [*_columns_differ(bundle, look), *_wrong_types(look, mark), *_new_nulls(bundle, look)]
    fits = not any(each["stops"] for each in findings)
    document: Document = {
        "rows": look.rows,
        "names": look.names,
        "findings": findings,
        "predictions": [],
        "metrics": {},
    }
    if not fits:
        return document
    try:
        kept, columns, labels = _read(bundle, project, file, limits)
    except InputError as error:
        findings.append(_finding("unreadable", "", look.rows, look.rows, error.what, stops=True))
        return document
    if len(kept) < look.rows:
        dropped = look.rows - len(kept)
        findings.append(_finding("dropped_rows", "", dropped, look.rows, "the cleaning functions drop these rows"))
    if not len(kept):
        return document
    proba, codes = score(bundle, columns)
    findings += _beyond(bundle.schema, columns, kept)
    decided: NDArray[Any] = np.full(look.rows, None, dtype=object)
    decided[kept] = np.asarray(bundle.schema.labels, dtype=object)[codes]
    document["predictions"] = decided.tolist()
    if labels is not None:
        document |= _judged(bundle, project, labels[kept], proba, codes, findings)
    return document


def _look(bundle: Bundle, project: Project, file: Path, limits: Limits) -> _Look:
    import pandas as pd

    forms = column_forms(bundle)
    times = {column.name: column.format for column in bundle.schema.of_kind("datetime")}
    look = _Look()
    for piece in _pieces(project, file, _AllText(), limits):
        look.names = [str(name) for name in piece.columns]
        for name in look.names:
            cells = look.cells.setdefault(name, _Cells())
            places, distinct = pd.factorize(piece[name])
            cells.nulls += int((places < 0).sum())
            for mark, reads in _readers(forms.get(name), None if bundle.clean else times.get(name)):
                bad = np.array([*(not reads(cell) for cell in distinct), False])  # the last one stands for null
                cells.count(mark, bad[places], look.rows)
        look.rows += len(piece)
    return look


def _readers(form: Form | None, time: str | None) -> Iterator[tuple[str, Callable[[str], bool]]]:
    """Give, for either decimal mark, what tells whether a text can be read as the column's form."""
    for mark in ".,":
        if form == "real":
            pattern = re.compile(NUMBER[mark], re.ASCII)
            yield mark, lambda cell, pattern=pattern: _is_number(cell, pattern)  # type: ignore[misc]
        elif form == "whole":
            yield mark, lambda cell: _WHOLE.fullmatch(cell) is not None
        elif form == "boolean":
            yield mark, lambda cell: _TRUTH.fullmatch(cell) is not None
        elif time is not None:
            yield mark, lambda cell: _is_time(cell, time)


def _is_number(cell: str, pattern: re.Pattern[str]) -> bool:
    return pattern.match(cell) is not None and math.isfinite(float(cell.replace(",", ".")))


def _is_time(cell: str, form: str) -> bool:
    try:
        read_times([cell], "", form)
    except DataError:
        return False
    return True


def _pieces(project: Project, file: Path, forms: Mapping[str, Form], limits: Limits) -> Iterator[pd.DataFrame]:
    data = project.data.model_copy(update={"sha256": None})
    yield from FileSource(file, data, where=WHERE, limits=limits, forms=forms).batches(PIECE)


def _wrong(look: _Look, mark: str) -> int:
    return sum(cells.wrong.get(mark, 0) for cells in look.cells.values())


def _columns_differ(bundle: Bundle, look: _Look) -> list[Document]:
    needed = column_forms(bundle)
    known = {*needed, *bundle.schema.names, *bundle.cleaning.raw_types, bundle.schema.target}
    missing = [name for name in needed if name not in look.names]
    extra = [name for name in look.names if name not in known]
    return [
        *(
            _finding("missing_column", name, look.rows, look.rows, "the column is missing", stops=True)
            for name in missing
        ),
        *(_finding("extra_column", name, 0, look.rows, "the model does not know the column") for name in extra),
    ]


def _wrong_types(look: _Look, mark: str) -> list[Document]:
    return [
        _finding(
            "wrong_type",
            name,
            cells.wrong[mark],
            look.rows,
            "cells that are not of the column's type",
            first=cells.first[mark],
            stops=True,
        )
        for name, cells in look.cells.items()
        if mark in cells.wrong
    ]


def _new_nulls(bundle: Bundle, look: _Look) -> list[Document]:
    return [
        _finding("unexpected_null", column.name, look.cells[column.name].nulls, look.rows, "nulls; training saw none")
        for column in bundle.schema.features
        if not column.nullable and column.name in look.cells and look.cells[column.name].nulls
    ]


def _read(
    bundle: Bundle, project: Project, file: Path, limits: Limits
) -> tuple[NDArray[np.int64], Columns, NDArray[np.int64] | None]:
    """Return which rows were kept, their columns, and every row's label code where the table has the label."""
    schema = bundle.schema
    forms: dict[str, Form] = {schema.target: "code", **column_forms(bundle)}
    kept, parts, labels, start = [], [], [], 0
    for piece in _pieces(project, file, forms, limits):
        rows, columns = raw_columns(bundle, piece, start)
        kept.append(rows + start)
        parts.append(columns)
        if schema.target in piece.columns:
            labels.append(to_labels(piece[schema.target], schema))
        start += len(piece)
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate(kept), together, np.concatenate(labels) if labels else None


def _beyond(schema: Schema, columns: Columns, kept: NDArray[np.int64]) -> Iterator[Document]:
    """Give the columns with levels that training did not see, or values outside its range."""
    for column in schema.features:
        values = columns[column.name]
        if column.kind == "category":
            bad, kind, said = unseen(column, values), "unseen_level", "levels that training did not see"
        else:
            bad = np.logical_or(*outside(column, values))
            kind, said = "out_of_range", "values outside the range that training saw"
        if bad.any():
            yield _finding(kind, column.name, int(bad.sum()), len(values), said, first=int(kept[bad.argmax()]) + 1)


def _judged(
    bundle: Bundle,
    project: Project,
    labels: NDArray[np.int64],
    proba: NDArray[np.float64],
    codes: NDArray[np.int64],
    findings: list[Document],
) -> Document:
    """Measure the predictions on the rows whose label is known."""
    known = labels >= 0
    unknown = int((~known).sum())
    if unknown:
        findings.append(
            _finding("unknown_label", bundle.schema.target, unknown, len(labels), "labels that are null or new")
        )
    if not known.any():
        return {"labelled_rows": 0}
    y = labels[known]
    metrics = measured(project, bundle, y, proba[known], codes[known], intervals=len(y) <= INTERVAL_ROWS)
    return {"labelled_rows": len(y), "metrics": metrics}


def _finding(
    kind: str, column: str, rows: int, of: int, said: str, *, first: int | None = None, stops: bool = False
) -> Document:
    """Return one finding: which rows (how many, what share, the first one from 1), and whether it stops predicting."""
    return {
        "kind": kind,
        "column": column,
        "rows": rows,
        "share": rows / of if of else 0.0,
        "first_row": first,
        "stops": stops,
        "message": said,
    }
