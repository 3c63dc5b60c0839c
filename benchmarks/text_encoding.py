"""How much CPU it saves to encode text once per fold instead of once per fold and trial.

    python benchmarks/text_encoding.py [medical_abstracts.csv] [--trials 10] [--family linear_svc]

Three ways of the same search (five folds, a grid of C) in one process, one after the other: Tahona's, which fits the
encoding once per fold; the same code with nothing shared; and a plain scikit-learn pipeline, TfidfVectorizer included,
in GridSearchCV. The first two must agree in every fold's value.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from tahona.executors.inline import InlineExecutor
from tahona.learn.columns import infer_schema, take, to_columns, to_labels
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.folds import TrainingRows, tidy
from tahona.learn.search import search_family
from tahona.learn.split import split_rows
from tahona.learn.threads import one_thread
from tahona.learn.trial import FoldData, FoldTask, run_fold
from tahona.project.model import SplitPart
from tahona.scorer.stop_words import STOP_WORDS

SHIPPED = Path(__file__).resolve().parents[2] / "shared" / "data" / "medical_abstracts.csv"
PLAIN = {
    "linear_svc": ("C", LinearSVC(class_weight="balanced", random_state=1)),
    "logistic_regression": ("C", LogisticRegression(class_weight="balanced", max_iter=10_000)),
    "naive_bayes": ("alpha", ComplementNB()),
}
METRIC = "f1_macro"


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return the CPU seconds of the work, and what it gave."""
    with one_thread():
        start = time.process_time()
        values = work()
        return time.process_time() - start, values


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path, default=Path(os.environ.get("TAHONA_ABSTRACTS", SHIPPED)))
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--family", choices=sorted(PLAIN), default="linear_svc")
    chosen = parser.parse_args()
    table = pd.read_csv(chosen.table)
    schema, _ = infer_schema(table, target="condition_label")
    columns, y = to_columns(table, schema), to_labels(table["condition_label"], schema)
    part = split_rows(table, y, schema, SplitPart(duplicates="together", seed=1))
    rows, codes, folds = take(columns, part.train), y[part.train], part.folds
    parameter, estimator = PLAIN[chosen.family]
    values = tuple(np.geomspace(0.03, 1.0, chosen.trials).round(4).tolist())
    fixed = {} if chosen.family == "naive_bayes" else {"class_weight": "balanced"}

    def shared() -> list[float]:
        with tempfile.TemporaryDirectory() as notes:
            found = search_family(
                chosen.family,
                rows,
                codes,
                schema,
                folds,
                metric=METRIC,
                space={parameter: values} | {name: (value,) for name, value in fixed.items()},
                trials=chosen.trials,
                batch=4,
                seed=1,
                executor=InlineExecutor(),
                notes=Path(notes),
                progress=lambda *_: None,
            )
        return [value for trial in found.trials for value in trial.fold_values]

    def again_and_again() -> list[float]:
        found = []
        for number, value in enumerate(values):
            for fold, (fit, judge) in enumerate(folds):
                encoding = fit_encoding(take(rows, fit), schema, FAMILIES[chosen.family].wants)
                matrix, judged = (tidy(encoding.apply(take(rows, some))) for some in (fit, judge))
                task = FoldTask(
                    family=chosen.family,
                    number=number,
                    fold=fold,
                    params={parameter: value} | fixed,
                    data=FoldData(matrix, codes[fit], judged, codes[judge], categorical=()),
                    classes=len(schema.labels),
                    seed=1,
                    metric=METRIC,
                    cost=None,
                )
                found.append(run_fold(task).note.value or 0.0)
        fit_encoding(rows, schema, FAMILIES[chosen.family].wants).apply(rows)
        return found

    def plain() -> list[float]:
        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), min_df=2, sublinear_tf=True, stop_words=sorted(STOP_WORDS["en"])
        )
        step = type(estimator).__name__.lower()
        search = GridSearchCV(
            make_pipeline(vectorizer, estimator), {f"{step}__{parameter}": list(values)}, scoring=METRIC, cv=list(folds)
        )
        search.fit(rows["medical_abstract"], codes)
        return [float(search.best_score_)]

    print(f"{len(codes):,} training texts, {len(folds)} folds, {chosen.trials} trials of {chosen.family}")
    TrainingRows(rows, schema, folds)  # imports, before any clock runs
    once, ours = timed(shared)
    every, theirs = timed(again_and_again)
    if ours != theirs:
        raise SystemExit("sharing an encoding changed a value: that must never happen")
    pipeline, best = timed(plain)
    top = max(np.reshape(ours, (chosen.trials, -1)).mean(axis=1))
    for name, spent, note in (
        ("encoded once per fold", once, f"best {METRIC} {top:.4f}"),
        ("encoded at every trial", every, "the same values"),
        ("scikit-learn's GridSearchCV", pipeline, f"best {METRIC} {best[0]:.4f}"),
    ):
        print(f"{name:<30}{spent:7.1f} s CPU{spent / once:7.1f} x   {note}")


if __name__ == "__main__":
    main()
