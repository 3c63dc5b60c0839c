"""Finding out what a table's columns are: kind by kind, with a finding for everything decided for the user."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.core.findings import Fact, Finding
from tahona.core.schema import ROW, Column, Kind, Schema
from tahona.core.spelling import did_you_mean
from tahona.errors import DataError
from tahona.learn.dates import find_format, looks_like_date, mixed_zones, read_times
from tahona.learn.labels import infer_labels
from tahona.learn.reading import with_ranges
from tahona.learn.values import is_null, read_numbers, read_texts

if TYPE_CHECKING:
    import pandas as pd

Storage = Literal["number", "bool", "time", "text", "mixed"]

# Thresholds of the rules below. A declared type always wins over them.
ID_ROWS = 20  # fewer distinct cells say nothing about identity
SEQUENCE_ROWS = 30
NEARLY_ALL = 0.95
HINTED = 0.1  # with a name like `patient_id`, ten rows per value are an identity still
TEXT_WORDS = 4.0
MANY_LEVELS = 100

_ID_NAME = re.compile(
    r"(?:^|[_\W])(?:id|ids|uuid|guid|key|code|codigo|código|folio|expediente|nhc|dni|nif|index|idx|hash|token)(?:$|[_\W])"
    r"|[a-z]I[dD]$"
)
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")
_HASH = re.compile(r"(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{16,128}")
_NUMBER = re.compile(r"\s*-?(?:0|[1-9]\d*)(?:\.\d+)?\s*")
_LEADING_ZERO = re.compile(r"0\d+")


@dataclass(frozen=True)
class _Look:
    """A column as it lies there: its cells in the form of its storage, and the distinct ones."""

    name: str
    storage: Storage
    cells: NDArray[Any]
    distinct: tuple[Any, ...]
    known: int
    types: Mapping[str, int]

    @property
    def nulls(self) -> int:
        return len(self.cells) - self.known

    @property
    def share(self) -> float:
        """Distinct cells per known cell: 1 when all differ."""
        return len(self.distinct) / self.known

    @property
    def id_name(self) -> bool:
        return bool(_ID_NAME.search(self.name.lower()) or re.search(r"[a-z](?:Id|ID)$", self.name))


def infer_schema(
    frame: pd.DataFrame,
    *,
    target: str,
    positive: object = None,
    drop: Sequence[str] = (),
    types: Mapping[str, Kind] | None = None,
    formats: Mapping[str, str] | None = None,
) -> tuple[Schema, tuple[Finding, ...]]:
    """Return the table's schema, and a finding for every column dropped, set aside or read with doubt.

    ``types`` overrides the kind of a column; ``formats`` gives the strptime format of a date column. Identifier columns
    are in the schema (kind ``id``) but are no features. Raises DataError for a label that is none, for infinities, for
    dates that can be read in two ways and for names that are not in the table.
    """
    types, formats = types or {}, formats or {}
    _check_names(frame, target, drop, types, formats)
    labels, chosen, label_findings = infer_labels(frame[target], target, positive)
    findings: list[Finding] = list(label_findings)
    columns: list[Column] = []
    cells: dict[str, NDArray[Any]] = {}
    for name in frame.columns:
        if name in {target, ROW, *drop}:
            continue
        column, values, noticed = infer_column(frame[name], name, types.get(name), formats.get(name, ""))
        findings += noticed
        if column is not None:
            columns.append(column)
            cells[name] = values
    if not any(column.kind != "id" for column in columns):
        raise DataError(
            "no feature column is left",
            where="data",
            fix="Look at [data] drop, and at which columns have one value only, none, or a new one in every row.",
        )
    return with_ranges(Schema(tuple(columns), target, labels, chosen), cells), tuple(findings)


def _check_names(
    frame: pd.DataFrame, target: str, drop: Sequence[str], types: Mapping[str, Kind], formats: Mapping[str, str]
) -> None:
    names = [str(name) for name in frame.columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"column name(s) given twice: {', '.join(twice[:20])}", fix="Rename one of each pair.")
    if target not in names:
        hint = did_you_mean(target, names) or f"the table has {', '.join(names[:20])}"
        raise DataError(f"the label '{target}' is not a column of the table", where="[project] target", fix=hint)
    if target in drop:
        raise DataError(f"the label '{target}' is among the dropped columns", where="[data] drop", fix="Take it out.")
    for key, wanted in (("drop", drop), ("types", types), ("formats", formats)):
        for name in wanted:
            if name not in names:
                hint = did_you_mean(name, names) or "Write a column of the table, or take the name out."
                raise DataError(f"there is no column '{name}' in the table", where=f"[data] {key}", fix=hint)


def infer_column(
    series: pd.Series[Any], name: str, declared: Kind | None, form: str
) -> tuple[Column | None, NDArray[Any], list[Finding]]:
    if form and declared is None:
        declared = "datetime"
    look = _look(series, name)
    if look.known == 0:
        return None, look.cells, [Finding("all_null", name)]
    if len(look.distinct) == 1 and not look.nulls:
        return None, look.cells, [Finding("constant", name)]
    findings: list[Finding] = []
    if look.storage == "mixed" and declared in (None, "text"):
        counts: dict[str, Fact] = {kind: look.types.get(kind, 0) for kind in ("number", "boolean", "date", "text")}
        findings.append(Finding("mixed_types", name, counts))
    if declared is not None:
        column, cells = _declared(series, look, declared, form)
        return column, cells, findings
    column, cells, noticed = _found(series, look)
    return column, cells, findings + noticed


def _look(series: pd.Series[Any], name: str) -> _Look:
    """Read the column in the form in which it is stored."""
    types = _cell_types(series)
    storage = _storage(types)
    if storage == "number":
        cells = read_numbers(series, name)
        known = cells[~np.isnan(cells)]
        return _Look(name, storage, cells, tuple(np.unique(known).tolist()), known.size, types)
    if storage == "time":
        _check_zones(series, name)
        cells = read_times(series, name)
        known = cells[~np.isnan(cells)]
        return _Look(name, storage, cells, tuple(np.unique(known).tolist()), known.size, types)
    cells = read_texts(series, name)
    counts = Counter(cells.tolist())
    nulls = counts.pop(None, 0)
    return _Look(name, storage, cells, tuple(counts), len(cells) - nulls, types)


def _cell_types(series: pd.Series[Any]) -> dict[str, int]:
    """Count the non-null cells by what they are: number, boolean, date, text."""
    import pandas as pd
    from pandas.api import types

    dtype = series.dtype
    known = int(series.notna().sum())
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        return {"text": known}
    if types.is_bool_dtype(dtype):
        return {"boolean": known}
    if types.is_integer_dtype(dtype) or types.is_float_dtype(dtype):
        return {"number": known}
    if dtype.kind == "M":
        return {"date": known}
    return dict(Counter(_cell_type(value) for value in series.to_numpy(dtype=object) if not is_null(value)))


def _cell_type(value: object) -> str:
    from datetime import date
    from decimal import Decimal

    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.number | Decimal):
        return "number"
    if isinstance(value, date | np.datetime64):
        return "date"
    return "text"  # read_texts takes it (a UUID) or refuses it (a list) with the row


def _storage(types: Mapping[str, int]) -> Storage:
    if len(types) > 1:
        return "mixed"
    names: dict[str, Storage] = {"number": "number", "boolean": "bool", "date": "time"}
    return names.get(next(iter(types), "text"), "text")


def _check_zones(series: pd.Series[Any], name: str) -> None:
    if series.dtype != object:
        return
    zones = {value.utcoffset() for value in series if not is_null(value) and hasattr(value, "utcoffset")}
    if len(zones) > 1:
        raise mixed_zones(name, len(zones))


def _declared(series: pd.Series[Any], look: _Look, kind: Kind, form: str) -> tuple[Column, NDArray[Any]]:
    """Read the column as declared; what cannot be read so is refused here, before anything is trained."""
    name = look.name
    if kind == "numeric":
        other = look.known - look.types.get("number", 0)
        if other:
            raise DataError(
                f"the column is declared numeric, but {other:,} of {look.known:,} values are no numbers",
                where=f"column '{name}'",
                fix="Turn them into numbers or null in a cleaning function ([data] clean); predictions pass it too.",
            )
        return Column(name, kind), read_numbers(series, name)
    if kind == "datetime":
        if not form and look.storage == "text":
            found = find_format(look.distinct, name)
            if found is None:
                raise DataError(
                    "the column is declared datetime, but its texts have no one form of a date",
                    where=f"column '{name}'",
                    fix=f'Declare the form: [data.formats] {name} = "%d/%m/%Y".',
                )
            form = found
        return Column(name, kind, format=form), read_times(series, name, form)
    return Column(name, kind), read_texts(series, name)


def _found(series: pd.Series[Any], look: _Look) -> tuple[Column, NDArray[Any], list[Finding]]:
    """Decide the kind of a column nobody declared."""
    name = look.name
    if look.storage == "bool":
        return Column(name, "category"), look.cells, []
    if look.storage == "time":
        return Column(name, "datetime"), look.cells, []
    if look.storage == "number":
        reason = _number_id(look)
        if reason:
            return Column(name, "id"), read_texts(series, name), [_identifier(look, reason)]
        return Column(name, "numeric"), look.cells, []
    if look.storage == "text":
        form = find_format(look.distinct, name)
        if form is not None:
            told = [Finding("date_form", name, {"form": form})] if form else []
            return Column(name, "datetime", format=form), read_times(look.cells.tolist(), name, form), told
    return _found_text(look)


def _found_text(look: _Look) -> tuple[Column, NDArray[Any], list[Finding]]:
    name, findings = look.name, []
    dated = sum(map(looks_like_date, look.distinct))
    if dated >= 10 and dated >= 0.9 * len(look.distinct):
        findings.append(Finding("dates_unread", name, {"dated": dated, "distinct": len(look.distinct)}))
    reason = _text_id(look)
    if reason:
        return Column(name, "id"), look.cells, [*findings, _identifier(look, reason)]
    if _is_text(look):
        return Column(name, "text"), look.cells, findings
    facts: dict[str, Fact] = {"distinct": len(look.distinct), "rows": look.known}
    if _quoted_numbers(look):
        findings.append(Finding("numbers_as_text", name, facts))
    if len(look.distinct) > MANY_LEVELS and look.share > 0.5:
        findings.append(Finding("many_levels", name, facts))
    return Column(name, "category"), look.cells, findings


def _identifier(look: _Look, reason: str) -> Finding:
    return Finding("identifier", look.name, {"distinct": len(look.distinct), "rows": look.known, "reason": reason})


def _number_id(look: _Look) -> str:
    """Return why a number column only names its rows, or the empty string."""
    if look.known < ID_ROWS or not all(float(value).is_integer() for value in look.distinct):
        return ""
    span = look.distinct[-1] - look.distinct[0] + 1
    if look.known >= SEQUENCE_ROWS and look.share == 1 and span == look.known:
        return "a sequence of whole numbers"
    if look.id_name and look.share >= NEARLY_ALL:
        return "whole numbers, nearly all distinct"
    return ""


def _text_id(look: _Look) -> str:
    """Return why a text column only names its rows, or the empty string."""
    share, distinct = look.share, look.distinct
    shaped = _part(distinct, _UUID) >= NEARLY_ALL or _part(distinct, _HASH) >= NEARLY_ALL
    if shaped and (share >= 0.05 or len(distinct) > 1_000):
        return "UUIDs or hashes"
    if look.known < ID_ROWS or (_mean_words(distinct) >= TEXT_WORDS):
        return ""
    if share >= NEARLY_ALL:
        return "nearly all distinct"
    if _coded(look) and share > 0.5:
        return "codes with leading zeros, mostly distinct"
    if look.id_name and share >= HINTED and len(distinct) >= ID_ROWS:
        return "a name of an identifier and few rows per value"
    return ""


def _coded(look: _Look) -> bool:
    """Tell digits with leading zeros: `00123` is no number."""
    digits = all(text.isdigit() for text in look.distinct)
    return digits and any(_LEADING_ZERO.fullmatch(text) for text in look.distinct)


def _quoted_numbers(look: _Look) -> bool:
    """Tell text that is nothing but numbers, in a source that could have said number."""
    return look.storage == "text" and all(_NUMBER.fullmatch(text) for text in look.distinct)


def _is_text(look: _Look) -> bool:
    """Tell running text from names of a category: several words a cell, and many different cells."""
    words, distinct = _mean_words(look.distinct), len(look.distinct)
    if words >= 10 and distinct >= 5 and look.share >= 0.1:
        return True
    return words >= TEXT_WORDS and (distinct > 200 or (distinct >= 20 and look.share >= 0.1))


def _part(texts: Iterable[str], pattern: re.Pattern[str]) -> float:
    hits = [bool(pattern.fullmatch(text)) for text in texts]
    return sum(hits) / max(1, len(hits))


def _mean_words(texts: Sequence[str]) -> float:
    """Return the mean number of words of the first thousand texts."""
    some = texts[:1_000]
    return sum(len(text.split()) for text in some) / max(1, len(some))
