"""From raw rows to decisions: clean, read columns, encode, score, calibrate, mix, decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.decision import decide
from tahona.errors import DataError
from tahona.learn.columns import Columns, to_columns
from tahona.learn.ensemble import mix

if TYPE_CHECKING:
    import pandas as pd

    from tahona.bundle.bundle import Bundle
    from tahona.core.schema import Column, Form

DROPPED = "dropped by a cleaning function"


def predict_frame(bundle: Bundle, rows: pd.DataFrame | Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return one row per raw row, in order: `label`, `probability_<class>`, `version`, `warnings`.

    A row that a cleaning function drops has no label and says so in its warnings. Raises DataError when a needed column
    is missing or a cell has the wrong type.
    """
    import pandas as pd

    count = len(rows)
    if count == 0:
        raise DataError("there are no rows to predict", fix="send at least one row")
    kept, columns = raw_columns(bundle, rows)
    proba, codes = score(bundle, columns)
    labels: NDArray[Any] = np.full(count, None, dtype=object)
    labels[kept] = np.asarray(bundle.schema.labels, dtype=object)[codes]
    warnings: NDArray[Any] = np.full(count, DROPPED, dtype=object)
    warnings[kept] = row_warnings(bundle, columns)
    full = np.full((count, proba.shape[1]), np.nan)
    full[kept] = proba
    result: dict[str, Any] = {"label": labels}
    result |= {f"probability_{label}": full[:, code] for code, label in enumerate(bundle.schema.labels)}
    return pd.DataFrame(result | {"version": bundle.version, "warnings": warnings})


def raw_columns(
    bundle: Bundle, rows: pd.DataFrame | Sequence[Mapping[str, object]]
) -> tuple[NDArray[np.int64], Columns]:
    """Clean raw rows and read the schema's columns; return which rows were kept, and their columns."""
    if not bundle.cleaning.functions:
        return np.arange(len(rows)), to_columns(rows, bundle.schema)
    if bundle.clean is None:
        raise DataError(
            f"this bundle was trained behind cleaning functions ({', '.join(bundle.cleaning.functions)})",
            fix="load it through its project: tahona.load_bundle('NAME@champion', project='DIR')",
        )
    frame = conform(rows, bundle.cleaning.raw_types)
    cleaned = bundle.clean(frame)
    if not cleaned.index.isin(frame.index).all() or cleaned.index.has_duplicates:
        raise DataError(
            "the cleaning functions gave rows that were not asked for",
            fix="a cleaning function may change or drop rows; it must keep the index of those it returns",
        )
    return cleaned.index.to_numpy(dtype=np.int64), to_columns(cleaned, bundle.schema)


def column_forms(bundle: Bundle) -> dict[str, Form]:
    """Say which columns of a text file a raw row needs, and how their cells are read: as training read them."""
    raw = bundle.cleaning.raw_types
    if bundle.cleaning.functions:
        return {name: _form_of_type(kind) for name, kind in raw.items()}
    return {column.name: _form_of_column(column, raw.get(column.name, "str")) for column in bundle.schema.columns}


def _form_of_type(dtype: str) -> Form:
    """Return the form of a raw column that the user's functions will read."""
    if dtype.lower().startswith(("int", "uint")):
        return "whole"
    if dtype.lower().startswith("float"):
        return "real"
    return "boolean" if dtype.startswith("bool") else "text"


def _form_of_column(column: Column, dtype: str) -> Form:
    """Return the form of a feature column; a category that training read as numbers is a code, `9` and `9.0` alike."""
    if column.kind == "numeric":
        return "real"
    return "code" if column.kind == "category" and _form_of_type(dtype) != "text" else "text"


def conform(rows: pd.DataFrame | Sequence[Mapping[str, object]], types: Mapping[str, str]) -> pd.DataFrame:
    """Return the raw columns with the types that the training table had, whatever the caller's library made of them."""
    import pandas as pd

    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    missing = [name for name in types if name not in frame.columns]
    if missing:
        raise DataError(f"missing column(s): {', '.join(missing[:20])}", fix="send every column of the training table")
    frame = frame.loc[:, list(types)].reset_index(drop=True)
    for name, kind in types.items():
        if str(frame[name].dtype) == kind:
            continue
        wanted = "Int64" if kind == "int64" and frame[name].isna().any() else kind
        try:
            frame[name] = frame[name].astype(wanted)  # type: ignore[call-overload]
        except (TypeError, ValueError) as error:
            raise DataError(f"the cells are not {kind}", where=f"column '{name}'") from error
    return frame


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
    return np.asarray([text.removesuffix("; ") for text in found], dtype=object)


MOST_LEVELS = 1000
"""A schema lists at most so many levels of a category: a full list does not tell what is unseen."""


def _unseen(values: NDArray[Any], levels: tuple[str, ...]) -> NDArray[np.bool_]:
    import pandas as pd

    series = pd.Series(values, dtype=object)
    return (series.notna() & ~series.isin(levels)).to_numpy(dtype=bool)
