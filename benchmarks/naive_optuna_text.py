"""How much CPU a study by hand spends on text, against the same study through Tahona.

    python benchmarks/naive_optuna_text.py [medical_abstracts.csv] [--trials 20] [--family logistic_regression]

The study is the one that people write first: a pipeline of a vectoriser and a classifier, built anew and fitted from
raw text at every trial and every fold. Tahona goes first and chooses the trials; the study by hand is given the same
points, the same folds and Tahona's own text encoding as its vectoriser, so that every fold's value must be the same to
the last digit. Only saga is another solver in Tahona (decision 0017): how far its values are apart is printed.
Tahona leaves out the last folds of trials that are clearly behind. Both run in one process, one after the other, one
thread each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from tahona.core.schema import Schema
from tahona.executors.inline import InlineExecutor
from tahona.learn.columns import Columns, infer_schema, take, to_columns, to_labels
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.families.family import Matrix
from tahona.learn.folds import Fold, TrainingRows, tidy
from tahona.learn.search import FamilyResult, search_family
from tahona.learn.split import split_rows
from tahona.learn.threads import one_thread
from tahona.project.model import FloatRange, IntRange, Range, SplitPart

SHIPPED = Path(__file__).resolve().parents[2] / "shared" / "data" / "medical_abstracts.csv"
SEED = 1
SPACES: Mapping[str, Mapping[str, Range]] = {
    "logistic_regression": {
        "C": FloatRange(float=(0.001, 100.0), log=True),
        "penalty": ("l1", "l2"),
        "solver": ("liblinear", "saga"),
        "max_iter": IntRange(int=(200, 2000)),
    },
    "random_forest": {
        "n_estimators": IntRange(int=(50, 200)),
        "max_depth": IntRange(int=(5, 30)),
        "min_samples_split": IntRange(int=(2, 15)),
        "min_samples_leaf": IntRange(int=(1, 10)),
        "max_features": ("sqrt", "log2"),
    },
}
Result = TypeVar("Result")


class Encoder(TransformerMixin, BaseEstimator):
    """Tahona's encoding as a step of a pipeline, fitted again with every pipeline."""

    def __init__(self, schema: Schema, family: str) -> None:
        self.schema = schema
        self.family = family

    def fit(self, columns: Columns, _y: object = None) -> Encoder:
        self.encoding_ = fit_encoding(columns, self.schema, FAMILIES[self.family].wants)
        return self

    def transform(self, columns: Columns) -> Matrix:
        return tidy(self.encoding_.apply(columns))


def classifier(family: str, params: Mapping[str, Any]) -> BaseEstimator:
    """Return the classifier as somebody who knows scikit-learn writes it."""
    if family == "random_forest":
        return RandomForestClassifier(random_state=SEED, **params)
    ratio = 1.0 if params["penalty"] == "l1" else 0.0
    plain = {name: value for name, value in params.items() if name != "penalty"}
    regression = LogisticRegression(l1_ratio=ratio, random_state=SEED, **plain)
    return OneVsRestClassifier(regression) if params["solver"] == "liblinear" else regression


def by_hand(
    family: str,
    points: Sequence[Mapping[str, Any]],
    rows: Columns,
    y: np.ndarray,
    schema: Schema,
    folds: Sequence[Fold],
) -> list[list[float]]:
    """Return every fold's value of every trial of an Optuna study over these points."""
    found: list[list[float]] = []

    def objective(trial: optuna.Trial) -> float:
        params = {name: suggest(trial, name, values) for name, values in SPACES[family].items()}
        values = []
        for fit, judge in folds:
            pipeline = make_pipeline(Encoder(schema, family), classifier(family, params))
            pipeline.fit(take(rows, fit), y[fit])
            values.append(float(f1_score(y[judge], pipeline.predict(take(rows, judge)), average="macro")))
        found.append(values)
        return float(np.mean(values))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    for point in points:
        study.enqueue_trial(dict(point))
    study.optimize(objective, n_trials=len(points))
    return found


def suggest(trial: optuna.Trial, name: str, values: Range) -> object:
    if isinstance(values, FloatRange):
        return trial.suggest_float(name, *values.float, log=values.log)
    if isinstance(values, IntRange):
        return trial.suggest_int(name, *values.int)
    return trial.suggest_categorical(name, list(values))


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU seconds of the work, and what it gave."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # saga says where it has not converged
        start = time.process_time()
        result = work()
        return time.process_time() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path, default=Path(os.environ.get("TAHONA_ABSTRACTS", SHIPPED)))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--family", choices=sorted(SPACES), default="logistic_regression")
    chosen = parser.parse_args()
    family, table = chosen.family, pd.read_csv(chosen.table)
    schema, _ = infer_schema(table, target="condition_label")
    columns, y = to_columns(table, schema), to_labels(table["condition_label"], schema)
    part = split_rows(table, y, schema, SplitPart(duplicates="together", seed=SEED))
    rows, codes, folds = take(columns, part.train), y[part.train], part.folds

    def ours() -> FamilyResult:
        with tempfile.TemporaryDirectory() as notes:
            return search_family(
                family,
                rows,
                codes,
                schema,
                folds,
                metric="f1_macro",
                space=SPACES[family],
                trials=chosen.trials,
                batch=4,
                seed=SEED,
                executor=InlineExecutor(),
                notes=Path(notes),
                progress=lambda *_: None,
            )

    print(f"{len(codes):,} training texts, {len(folds)} folds, {chosen.trials} trials of {family}")
    TrainingRows(rows, schema, folds)  # imports, before any clock runs
    once, result = timed(ours)
    points = [trial.params for trial in result.trials]
    again, theirs = timed(lambda: by_hand(family, points, rows, codes, schema, folds))
    judged = [
        (value, other, trial.params.get("solver") == "saga")
        for trial, others in zip(result.trials, theirs, strict=True)
        for value, other in zip(trial.fold_values, others, strict=False)  # a dropped trial has not seen the last folds
        if not np.isnan(value)
    ]
    if any(value != other for value, other, elsewise in judged if not elsewise):
        raise SystemExit("a fold has another value by hand than through Tahona: that must never happen")
    best = max(trial.value for trial in result.trials if trial.state == "done")
    top = max(float(np.mean(values)) for values in theirs)
    fitting = sum(trial.cpu_seconds for trial in result.trials)
    print(
        f"through Tahona {once:8.1f} s CPU   best f1_macro {best:.6f}   {len(judged)} fits on a fold, {fitting:.1f} s"
    )
    print(f"by hand        {again:8.1f} s CPU   best f1_macro {top:.6f}   {len(theirs) * len(folds)} fits on a fold")
    apart = [abs(value - other) for value, other, elsewise in judged if elsewise]
    if apart:
        print(f"{len(apart)} of these fits by another solver: {np.mean(apart):.4f} apart, {max(apart):.4f} at most")
    print(f"by hand over through Tahona: {again / once:.1f}")


if __name__ == "__main__":
    main()
