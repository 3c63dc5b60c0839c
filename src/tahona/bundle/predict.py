"""From raw rows to decisions: clean, read columns, encode, score, calibrate, mix, decide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

DROPPED = "dropped by a cleaning function"


def predict_frame(
    bundle: Bundle, rows: pd.DataFrame | Sequence[Mapping[str, object]], *, first: int = 0
) -> pd.DataFrame:
    """Return one row per raw row, in order: `label`, `probability_<class>`, `version`, `warnings`.

    A row that a cleaning function drops has no label and says so in its warnings. Raises DataError when a needed column
    is missing or a cell has the wrong type; ``first`` is how many rows of the caller's table stand before these, so
    that the message names the row's place in it.
    """
    count = len(rows)
    if count == 0:
        raise DataError("there are no rows to predict", fix="send at least one row")
    kept, columns = raw_columns(bundle, rows, first, coded=True)
    if not kept.size:
        return _answers(bundle, np.full(count, None), np.full((count, len(bundle.schema.labels)), np.nan), DROPPED)
    proba, codes = score(bundle, columns)
    labels: NDArray[Any] = np.full(count, None, dtype=object)
    labels[kept] = np.asarray(bundle.schema.labels, dtype=object)[codes]
    warnings: NDArray[Any] = np.full(count, DROPPED, dtype=object)
    warnings[kept] = row_warnings(bundle, columns)
    full = np.full((count, proba.shape[1]), np.nan)
    full[kept] = proba
    return _answers(bundle, labels, full, warnings)


def _answers(
    bundle: Bundle, labels: NDArray[Any], proba: NDArray[np.float64], warnings: NDArray[Any] | str
) -> pd.DataFrame:
    import pandas as pd

    columns = {f"probability_{label}": proba[:, code] for code, label in enumerate(bundle.schema.labels)}
    return pd.DataFrame({"label": labels, **columns, "version": bundle.version, "warnings": warnings})


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


def score(bundle: Bundle, columns: Columns) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return calibrated probabilities (n, k) and decided class codes (n,)."""
    parts = {m.model.family: m.calibrator.apply(m.model.scores(columns)) for m in bundle.members}
    proba = mix(parts, {m.model.family: m.weight for m in bundle.members})
    if bundle.rule == "estimator":
        return proba, bundle.members[0].model.decide(columns)
    return proba, decide(proba, bundle.threshold)


def row_warnings(bundle: Bundle, columns: Columns) -> NDArray[Any]:
    """Return a text per row that names columns with an unseen category or a value outside the training range."""
    size = len(next(iter(columns.values())))
    found: NDArray[Any] = np.full(size, "", dtype=object)
    for column in bundle.schema.columns:
        values = columns.get(column.name)
        if values is None:
            continue
        if column.kind == "category" and column.levels and len(column.levels) < MOST_LEVELS:
            bad = _unseen(values, column.levels)
            said = f"unseen category in {column.name}; "
        elif column.kind in {"numeric", "datetime"} and column.low is not None and column.high is not None:
            with np.errstate(invalid="ignore"):
                bad = (values < column.low) | (values > column.high)
            said = f"{column.name} outside the training range; "
        else:
            continue
        if bad.any():
            found[bad] = found[bad] + said
    some = np.flatnonzero(found != "")
    found[some] = [text.removesuffix("; ") for text in found[some]]
    return found


MOST_LEVELS = 1000
"""A schema lists at most so many levels of a category: a full list does not tell what is unseen."""


def _unseen(values: NDArray[Any] | Coded, levels: tuple[str, ...]) -> NDArray[np.bool_]:
    import pandas as pd

    if isinstance(values, Coded):
        known = {None, *levels}
        return values.each(lambda text: text not in known, bool)

    series = pd.Series(values, dtype=object)
    return (series.notna() & ~series.isin(levels)).to_numpy(dtype=bool)
