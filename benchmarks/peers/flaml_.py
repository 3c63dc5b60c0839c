"""FLAML: AutoML().fit with a budget of wall seconds. Texts are turned into TF-IDF by hand, as FLAML takes none."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from flaml import AutoML
from protocol import Asked, Probabilities, Task, main
from sklearn.feature_extraction.text import TfidfVectorizer

METRICS = {"roc_auc": "roc_auc", "f1": "f1", "f1_macro": "macro_f1"}


def train(task: Task, model: Path, asked: Asked) -> dict[str, Any]:
    frame = task.train()
    X, y = frame.drop(columns=[task.label]), np.searchsorted(task.classes, frame[task.label])  # XGBoost counts from 0
    words = None
    if task.text:
        words = TfidfVectorizer(stop_words="english")
        X = words.fit_transform(X[task.text])
    learner = AutoML()
    learner.fit(
        X,
        y,
        task="classification",
        metric=METRICS[task.metric],
        time_budget=asked.budget,
        seed=asked.seed,
        verbose=1,
    )
    with (model / "model.pkl").open("wb") as file:
        pickle.dump((words, learner), file)
    return {"chosen": f"{learner.best_estimator} {learner.best_config}"}


def load(task: Task, model: Path) -> Probabilities:
    with (model / "model.pkl").open("rb") as file:
        words, learner = pickle.load(file)
    assert [int(place) for place in learner.classes_] == list(range(len(task.classes)))
    return lambda frame: learner.predict_proba(words.transform(frame[task.text]) if words else frame)


if __name__ == "__main__":
    main(train, load, ("flaml", "lightgbm", "xgboost", "scikit-learn", "pandas", "numpy"), budget=121.0)
