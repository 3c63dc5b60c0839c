"""Whether one table can be judged by a model that learns from another: what is missing, what is more, what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tahona.bundle.predict import outside, unseen
from tahona.core.schema import Column, Schema
from tahona.errors import DataError
from tahona.learn.labels import to_labels
from tahona.learn.reading import read_column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Document = dict[str, Any]

MOST = 100
"""Columns that are named of each kind of difference."""


def agreement(train: Schema, test: pd.DataFrame, *, dropped: frozenset[str] = frozenset()) -> Document:
    """Compare the rows of a test table with the training table's schema; cells are counted, none is told.

    It fits when no feature is missing and every one can be read as training reads it.
    """
    names = [str(name) for name in test.columns]
    features = {column.name: column for column in train.features}
    known = {*train.names, train.target, *dropped}
    missing = [name for name in features if name not in names]
    differing: list[Document] = []
    unseen: list[Document] = []
    beyond: list[Document] = []
    for name, column in features.items():
        if name in missing:
            continue
        try:
            values = read_column(test[name], column)
        except DataError as error:
            differing.append({"column": name, "train": column.kind, "what": error.what, "where": error.where})
            continue
        unseen += _unseen(column, values)
        beyond += _beyond(column, values)
    return {
        "fits": not missing and not differing,
        "rows": len(test),
        "missing_columns": missing[:MOST],
        "extra_columns": [name for name in names if name not in known][:MOST],
        "differing_columns": differing[:MOST],
        "unseen_levels": unseen[:MOST],
        "outside_range": beyond[:MOST],
        "label": _label(train, test),
    }


def _unseen(column: Column, values: np.ndarray[Any, Any]) -> list[Document]:
    strange = values[unseen(column, values)].tolist()
    return [{"column": column.name, "levels": len(set(strange)), "rows": len(strange)}] if strange else []


def _beyond(column: Column, values: np.ndarray[Any, Any]) -> list[Document]:
    low, high = (int(bad.sum()) for bad in outside(column, values))
    return [{"column": column.name, "rows_below": low, "rows_above": high}] if low or high else []


def _label(train: Schema, test: pd.DataFrame) -> Mapping[str, Any]:
    """Say whether the true labels are there, and how many rows have one that training does not know."""
    if not train.target or train.target not in test.columns:
        return {"present": False}
    codes = to_labels(test[train.target], train)
    return {"present": True, "rows_without_known_label": int((codes < 0).sum())}
