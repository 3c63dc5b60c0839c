"""Optuna as in S1: one family, and the whole pipeline fitted anew on every fold of every trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import optuna
from by_hand import SCORING, encoding, features
from optuna.trial import BaseTrial
from protocol import Asked, Probabilities, Task, main
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline


def propose(task: Task, trial: BaseTrial, seed: int) -> ClassifierMixin:
    """Return the estimator of a trial, from the search spaces of S1."""
    if not task.text:
        return RandomForestClassifier(
            n_estimators=trial.suggest_int("n_estimators", 50, 200),
            max_depth=trial.suggest_int("max_depth", 5, 30),
            min_samples_split=trial.suggest_int("min_samples_split", 2, 15),
            min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 10),
            max_features=trial.suggest_categorical("max_features", ["sqrt", "log2"]),
            random_state=seed,
        )
    solver = trial.suggest_categorical("solver", ["liblinear", "saga"])
    linear = LogisticRegression(
        C=trial.suggest_float("C", 0.001, 100, log=True),
        l1_ratio={"l1": 1.0, "l2": 0.0}[trial.suggest_categorical("penalty", ["l1", "l2"])],
        max_iter=trial.suggest_int("max_iter", 200, 2000),
        solver=solver,
        random_state=seed,
    )
    return OneVsRestClassifier(linear) if solver == "liblinear" else linear  # liblinear knows two classes only


def train(task: Task, model: Path, asked: Asked) -> dict[str, Any]:
    frame = task.train()
    X, y = features(task, frame), frame[task.label]

    def pipeline(trial: BaseTrial) -> Pipeline:
        return make_pipeline(encoding(task, frame), propose(task, trial, asked.seed))

    def objective(trial: BaseTrial) -> float:
        return float(cross_val_score(pipeline(trial), X, y, cv=5, scoring=SCORING[task.metric], n_jobs=2).mean())

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=asked.seed))
    study.optimize(objective, n_trials=asked.trials)
    joblib.dump(pipeline(optuna.trial.FixedTrial(study.best_params)).fit(X, y), model / "model.joblib")
    return {"chosen": str(study.best_params), "best": study.best_value}


def load(task: Task, model: Path) -> Probabilities:
    fitted = joblib.load(model / "model.joblib")
    assert tuple(fitted.classes_.tolist()) == task.classes
    return lambda frame: fitted.predict_proba(features(task, frame))


if __name__ == "__main__":
    main(train, load, ("optuna", "scikit-learn", "pandas", "numpy"), trials=20)
