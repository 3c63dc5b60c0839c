"""PyCaret: compare, tune, finalise, save. With ``--rows`` it learns from a sample, as is done with large tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from protocol import Asked, Probabilities, Task, main
from pycaret.classification import (
    compare_models,
    finalize_model,
    load_model,
    predict_model,
    pull,
    save_model,
    setup,
    tune_model,
)

DATE = "date"
SORT = {"roc_auc": "AUC", "f1": "F1", "f1_macro": "F1"}


def named(task: Task, frame: pd.DataFrame) -> pd.DataFrame:
    """Rename the date: PyCaret adds DATE_year and the like, which the bookings have already."""
    return frame.rename(columns={task.date: DATE}) if task.date else frame


def train(task: Task, model: Path, asked: Asked) -> dict[str, Any]:
    frame = named(task, task.train())
    if 0 < asked.rows < len(frame):
        frame = frame.sample(asked.rows, random_state=asked.seed)
    setup(
        frame.reset_index(drop=True),
        target=task.label,
        text_features=[task.text] if task.text else None,
        date_features=[DATE] if task.date else None,
        session_id=asked.seed,
        n_jobs=2,
        html=False,
        verbose=False,
    )
    best = compare_models(sort=SORT[task.metric], verbose=False)
    compared = len(pull())
    tuned = tune_model(best, optimize=SORT[task.metric], choose_better=True, verbose=False)
    save_model(finalize_model(tuned), str(model / "model"))
    return {"chosen": type(best).__name__, "rows": len(frame), "compared": compared}


def load(task: Task, model: Path) -> Probabilities:
    fitted = load_model(str(model / "model"), verbose=False)
    names = [f"prediction_score_{label}" for label in task.classes]

    def probabilities(frame: pd.DataFrame) -> np.ndarray:
        scores = predict_model(fitted, data=named(task, frame), raw_score=True, round=12, verbose=False)
        return scores[names].to_numpy()

    return probabilities


if __name__ == "__main__":
    main(train, load, ("pycaret", "scikit-learn", "lightgbm", "pandas", "numpy"), rows=0)
