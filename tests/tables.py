"""Small tables of numbers whose labels are partly chance, ready for a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from tahona.core.schema import Schema
from tahona.executors.inline import InlineExecutor
from tahona.learn.columns import Columns, infer_schema, to_columns, to_labels
from tahona.learn.folds import Fold
from tahona.learn.search import FamilyResult, search_family


class Rows(NamedTuple):
    """Training rows and their folds."""

    columns: Columns
    y: np.ndarray
    schema: Schema
    folds: tuple[Fold, ...]

    def search(self, family: str, notes: Path, **changes: Any) -> FamilyResult:
        """Search the family's own space by its portfolio, unless told otherwise."""
        settings: dict[str, Any] = {
            "metric": "roc_auc",
            "space": None,
            "trials": None,
            "batch": 4,
            "seed": 1,
            "executor": InlineExecutor(),
            "notes": notes,
            "progress": lambda event, facts: None,
        }
        return search_family(family, self.columns, self.y, self.schema, self.folds, **{**settings, **changes})


def noisy_table(rows: int = 500, classes: int = 2, seed: int = 0) -> pd.DataFrame:
    """Return six numbers and a category, of which four tell something of the label."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 6))
    colour = draw.integers(0, 3, rows)
    score = values[:, 0] + values[:, 1] * values[:, 2] + 0.6 * (colour == 1) + draw.normal(scale=0.8, size=rows)
    label = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    return pd.DataFrame(values).add_prefix("x").assign(colour=[f"c{code}" for code in colour], label=label)


def noisy_rows(rows: int = 500, classes: int = 2, folds: int = 3, seed: int = 0) -> Rows:
    """Return such a table as training rows, with stratified folds."""
    frame = noisy_table(rows, classes, seed)
    schema, _ = infer_schema(frame, target="label", positive=1 if classes == 2 else None)
    y = to_labels(frame["label"], schema)
    cuts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y)
    return Rows(to_columns(frame, schema), y, schema, tuple((fit, judged) for fit, judged in cuts))


def same(one: FamilyResult, other: FamilyResult, columns: Columns) -> bool:
    """Tell whether two searches tried, found and made the same, to the last bit."""
    tried = [
        [(t.number, dict(t.params), t.value, t.fold_values, t.rounds, t.state) for t in result.trials]
        for result in (one, other)
    ]
    return (
        repr(tried[0]) == repr(tried[1])
        and (one.params, one.members, one.fold_values) == (other.params, other.members, other.fold_values)
        and one.oof.tobytes() == other.oof.tobytes()
        and one.oof_decided.tobytes() == other.oof_decided.tobytes()
        and one.model.scores(columns).tobytes() == other.model.scores(columns).tobytes()
    )
