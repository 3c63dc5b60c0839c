"""GridSearchCV as in a notebook: an encoding and a logistic regression; on breast cancer the four grids of S0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
from by_hand import SCORING, encoding, features
from protocol import Asked, Probabilities, Task, main
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

C = [0.1, 1, 10]


def grids(task: Task, seed: int) -> Mapping[str, tuple[Any, dict[str, list[Any]]]]:
    """Return name → estimator and grid."""
    linear = (LogisticRegression(max_iter=10_000), {"C": C})
    if task.data != "breast_cancer":
        return {"logistic_regression": linear}
    tree = {
        "criterion": ["gini", "entropy"],
        "max_depth": [None, 10, 20, 30],
        "min_samples_split": [2, 5, 10],
        "min_samples_leaf": [1, 2, 5],
    }
    near = {"n_neighbors": [3, 5, 7], "weights": ["uniform", "distance"], "metric": ["euclidean", "manhattan"]}
    return {
        "tree": (DecisionTreeClassifier(random_state=seed), tree),
        "svc": (
            SVC(probability=True, random_state=seed),
            {"C": C, "kernel": ["linear", "rbf"], "gamma": ["scale", "auto"]},
        ),
        "knn": (KNeighborsClassifier(), near),
        "logistic_regression": linear,
    }


def train(task: Task, model: Path, asked: Asked) -> dict[str, Any]:
    frame = task.train()
    found = []
    for name, (estimator, grid) in grids(task, asked.seed).items():
        search = GridSearchCV(
            Pipeline([("encode", encoding(task, frame)), ("learn", estimator)]),
            {f"learn__{key}": values for key, values in grid.items()},
            scoring=SCORING[task.metric],
            cv=5,
            n_jobs=2,
        ).fit(features(task, frame), frame[task.label])
        found.append((search.best_score_, name, search))
    score, name, best = max(found, key=lambda one: one[0])
    joblib.dump(best.best_estimator_, model / "model.joblib")
    return {
        "chosen": f"{name} {best.best_params_}",
        "best": score,
        "by_family": {name: best for best, name, _ in found},
    }


def load(task: Task, model: Path) -> Probabilities:
    fitted = joblib.load(model / "model.joblib")
    assert tuple(fitted.classes_.tolist()) == task.classes
    return lambda frame: fitted.predict_proba(features(task, frame))


if __name__ == "__main__":
    main(train, load, ("scikit-learn", "pandas", "numpy"))
