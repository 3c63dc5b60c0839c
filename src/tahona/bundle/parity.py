"""Whether a scorer answers as its bundle does, tried row by row: it is accepted for equal bits and for nothing less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tahona.bundle.predict import row_warnings, score
from tahona.bundle.raw import EXACT
from tahona.learn.columns import to_columns
from tahona.learn.tables import LARGEST

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle
    from tahona.core.schema import Column, Schema
    from tahona.scorer import Scorer

Row = Mapping[str, object]
ROWS = 500
"""Rows at most on which a scorer is judged: .04 CPU s."""
ROWS_OF_TEXT = 100
"""The same where a row has text, whose words take the most time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison showed."""

    accepted: bool
    rows: int
    largest_difference: float
    """Between two probabilities of one row."""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(bundle: Bundle, scorer: Scorer, rows: Sequence[Row]) -> Verdict:
    """Ask the scorer for each row alone and the bundle for all rows at once."""
    columns = to_columns(rows, bundle.schema)
    proba, codes = score(bundle, columns)
    said = np.array(row_warnings(bundle, columns).tolist(), dtype=object)
    answers = [scorer.score(scorer.row(row)) for row in rows]
    found = np.array([answer[1] for answer in answers])
    largest = float(np.abs(found - proba).max())
    others = np.array([answer[0] for answer in answers]) != codes
    silent = np.array(["; ".join(answer[2]) for answer in answers], dtype=object) != said
    apart = (found.view(np.int64) != np.ascontiguousarray(proba).view(np.int64)).any(axis=1)
    for differs, what in ((others, "decision"), (apart, "probability"), (silent, "warnings")):
        if differs.any():
            why = f"its compiled form gives another {what} for {int(differs.sum())} of {len(rows)} rows"
            return Verdict(accepted=False, rows=len(rows), largest_difference=largest, why=why)
    return Verdict(accepted=True, rows=len(rows), largest_difference=largest)


def mutate(rows: Sequence[Row], schema: Schema, seed: int) -> list[dict[str, object]]:
    """Return training rows with a few cells changed: nothing, unseen, out of range, drawn anew, or of another type.

    A third of the rows stays as it is. What a cell becomes is what its column may hold.
    """
    draw = np.random.default_rng(seed)
    features = schema.features
    changed = [{column.name: row[column.name] for column in features} for row in rows]
    for row in changed[len(changed) // 3 :]:
        for place in draw.integers(len(features), size=int(draw.integers(1, 5))).tolist():
            column = features[place]
            row[column.name] = _another(row[column.name], column, draw)
    return changed


def _another(cell: object, column: Column, draw: np.random.Generator) -> object:
    which = int(draw.integers(4))
    if which == 0:
        return (None, float("nan"))[int(draw.integers(2))]
    if column.kind == "numeric":
        return _number(which, column, draw)
    if column.kind == "category" and column.levels and which > 1:
        level = column.levels[int(draw.integers(len(column.levels)))]
        return int(level) if which == 2 and level.isdecimal() and str(int(level)) == level else level
    if column.kind == "datetime":
        return cell
    return f"unseen {draw.integers(9)}" if column.kind == "category" else cell


def _number(which: int, column: Column, draw: np.random.Generator) -> object:
    low, high = column.low or 0.0, column.high or 0.0
    span = min(high - low or 1.0, LARGEST)
    if which == 1:
        return float(draw.choice((low - span, high + span, 1e39, -1e39, 0.0)))
    value = low + span * draw.random()
    return round(value) if which == 2 and abs(value) < EXACT else value
