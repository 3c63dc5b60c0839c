"""From raw rows to decisions: clean, read columns, encode, score, calibrate, mix, decide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.bundle.raw import conform
from tahona.core.decision import decide
from tahona.errors import DataError
from tahona.learn.coded import Coded
from tahona.learn.columns import Columns, to_columns
from tahona.learn.ensemble import mix

if TYPE_CHECKING:
    import pandas as pd

    from tahona.bundle.bundle import Bundle
    from tahona.core.schema import Column

DROPPED = "dropped by a cleaning function"
MOST_LEVELS = 1000
"""A schema lists at most so many levels of a category: a full list does not tell what is unseen."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Rows behind the cleaning functions: which were kept of how many, and their columns."""

    count: int
    kept: NDArray[np.int64]
    columns: Columns


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the bundle says of raw rows, in their order."""

    labels: Coded
    """None where a cleaning function dropped the row."""
    probabilities: NDArray[np.float64]
    """(n, k); NaN where the row was dropped."""
    warnings: Coded
    """Joined by semicolons."""


def predict_frame(
    bundle: Bundle, rows: pd.DataFrame | Sequence[Mapping[str, object]], *, first: int = 0
) -> pd.DataFrame:
    """Return one row per raw row, in order: `label`, `probability_<class>`, `version`, `warnings`.

    A row that a cleaning function drops has no label and says so in its warnings. Raises DataError when a needed column
    is missing or a cell has the wrong type; ``first`` is how many rows of the caller's table stand before these, so
    that the message names the row's place in it.
    """
    import pandas as pd

    if len(rows) == 0:
        raise DataError("there are no rows to predict", fix="send at least one row")
    scored = score_read(bundle, [Read(len(rows), *raw_columns(bundle, rows, first, coded=True))])[0]
    classes = {f"probability_{label}": scored.probabilities[:, code] for code, label in enumerate(bundle.schema.labels)}
    labels, warnings = scored.labels.to_pandas(), scored.warnings.to_pandas()
    return pd.DataFrame({"label": labels, **classes, "version": bundle.version, "warnings": warnings})


def raw_columns(
    bundle: Bundle, rows: pd.DataFrame | Sequence[Mapping[str, object]], first: int = 0, *, coded: bool = False
) -> tuple[NDArray[np.int64], Columns]:
    """Clean raw rows and read the schema's columns; return which rows were kept, and their columns.

    With ``coded``, categories come as `to_columns` says.
    """
    everything = np.arange(len(rows))
    if not bundle.cleaning.functions:
        with _placed(everything, first):
            return everything, to_columns(rows, bundle.schema, coded=coded)
    if bundle.clean is None:
        raise DataError(
            f"this bundle was trained behind cleaning functions ({', '.join(bundle.cleaning.functions)})",
            fix="load it through its project: tahona.load_bundle('NAME@champion', project='DIR')",
        )
    with _placed(everything, first):
        frame = conform(rows, bundle.cleaning.raw_types)
    cleaned = bundle.clean(frame)
    if not cleaned.index.isin(frame.index).all() or cleaned.index.has_duplicates:
        raise DataError(
            "the cleaning functions gave rows that were not asked for",
            fix="a cleaning function may change or drop rows; it must keep the index of those it returns",
        )
    kept = cleaned.index.to_numpy(dtype=np.int64)
    with _placed(kept, first):
        return kept, to_columns(cleaned, bundle.schema, coded=coded)


@contextmanager
def _placed(kept: NDArray[np.int64], first: int) -> Iterator[None]:
    """Turn the row that an error names (1 is the first of those read) into its place in the caller's table."""
    try:
        yield
    except DataError as error:
        named = re.search(r"\brow (\d+)$", error.where)
        if named is None:
            raise
        row = first + int(kept[int(named[1]) - 1]) + 1
        raise DataError(error.what, where=f"{error.where[: named.start()]}row {row:,}", fix=error.fix) from None


def score_read(bundle: Bundle, requests: Sequence[Read]) -> list[Scored]:
    """Score several requests' columns at once."""
    ends = np.cumsum([each.kept.size for each in requests], dtype=np.int64)
    if not ends.size or ends[-1] == 0:
        return [_dropped(bundle, each.count) for each in requests]
    parts = [each.columns for each in requests if each.kept.size]
    columns = (
        parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    )
    proba, codes = score(bundle, columns)
    warnings = row_warnings(bundle, columns)
    whole = Scored(Coded((*bundle.schema.labels, None), codes), proba, warnings)
    slices = (slice(end - each.kept.size, end) for each, end in zip(requests, ends.tolist(), strict=True))
    return [_of_request(bundle, each, whole, rows) for each, rows in zip(requests, slices, strict=True)]


def _of_request(bundle: Bundle, read: Read, whole: Scored, rows: slice) -> Scored:
    """Return the answers to a request, whose kept rows stand in the whole so."""
    kept = Scored(whole.labels[rows], whole.probabilities[rows], whole.warnings[rows])
    if read.kept.size == read.count:
        return kept
    answer = _dropped(bundle, read.count)
    answer.labels.codes[read.kept] = kept.labels.codes
    answer.probabilities[read.kept] = kept.probabilities
    answer.warnings.codes[read.kept] = kept.warnings.codes
    return Scored(answer.labels, answer.probabilities, Coded((*kept.warnings.texts, DROPPED), answer.warnings.codes))


def _dropped(bundle: Bundle, count: int) -> Scored:
    """Return the answer to rows that the cleaning functions dropped."""
    last = np.full(count, -1, dtype=np.int64)
    nothing = np.full((count, len(bundle.schema.labels)), np.nan)
    return Scored(Coded((*bundle.schema.labels, None), last), nothing, Coded((DROPPED,), last.copy()))


def score(bundle: Bundle, columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return calibrated probabilities (n, k) and decided class codes (n,)."""
    parts = {m.model.family: m.calibrator.apply(m.model.scores(columns)) for m in bundle.members}
    proba = mix(parts, {m.model.family: m.weight for m in bundle.members})
    if bundle.rule == "estimator":
        return proba, bundle.members[0].model.decide(columns)
    return proba, decide(proba, bundle.threshold)


def row_warnings(bundle: Bundle, columns: Columns) -> Coded:
    """Return a text per row that names columns with an unseen category or a value outside the training range."""
    found: dict[int, str] = {}
    for column in bundle.schema.columns:
        values = columns.get(column.name)
        if values is None:
            continue
        if column.kind == "category":
            bad, said = unseen(column, values), f"unseen category in {column.name}"
        else:
            bad, said = np.logical_or(*outside(column, values)), f"{column.name} outside the training range"
        for row in np.flatnonzero(bad).tolist():
            found[row] = f"{found[row]}; {said}" if row in found else said
    texts = ("", *dict.fromkeys(found.values()))
    place = {text: place for place, text in enumerate(texts)}
    codes = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
    codes[list(found)] = [place[text] for text in found.values()]
    return Coded(texts, codes)


def unseen(column: Column, values: NDArray[Any] | Coded) -> NDArray[np.bool_]:
    """Tell which cells have a category that training did not see, as far as the column's list says."""
    import pandas as pd

    if column.kind != "category" or not 0 < len(column.levels) < MOST_LEVELS:
        return np.zeros(len(values), dtype=bool)
    if isinstance(values, Coded):
        known = {None, *column.levels}
        return values.each(lambda text: text not in known, bool)
    series = pd.Series(values, dtype=object)
    return (series.notna() & ~series.isin(column.levels)).to_numpy(dtype=bool)


def outside(column: Column, values: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which cells are below, and which above, what training saw of a number or a time."""
    if column.low is None or column.high is None:
        return np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    with np.errstate(invalid="ignore"):
        return values < column.low, values > column.high
