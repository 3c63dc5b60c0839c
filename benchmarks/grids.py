"""What the four grids of the breast-cancer project cost through Tahona, against scikit-learn's GridSearchCV.

    python benchmarks/grids.py [--pairs 5]

Only the searches are compared, each with the fit of its best point on all training rows: the same rows, folds, grids
and metric, in one process with one thread, in turn. Both must find the same best value in every grid. Ends with 1 when
Tahona takes more than `PROMISED` of GridSearchCV's CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from plain_script import GRIDS
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tahona.executors.inline import InlineExecutor
from tahona.learn.columns import infer_schema, take, to_columns, to_labels
from tahona.learn.folds import shared_folds
from tahona.learn.search import search_family
from tahona.learn.split import split_rows
from tahona.learn.threads import one_thread
from tahona.project.load import load_project

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "breast_cancer"
PROMISED = 0.7


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """Return the CPU seconds of the work, and what it gave."""
    with one_thread():
        start = time.process_time()
        found = work()
        return time.process_time() - start, found


def searches() -> tuple[Callable[[], list[float]], Callable[[], list[float]]]:
    """Return both ways of the four searches; each gives the best value of every grid."""
    project = load_project(EXAMPLE).project
    data = load_breast_cancer(as_frame=True)
    table = data.data.assign(target=np.where(data.target == 0, "malignant", "benign"))
    schema, _ = infer_schema(table, target="target", positive="malignant")
    columns, y = to_columns(table, schema), to_labels(table["target"], schema)
    part = split_rows(table, y, schema, project.split)
    rows, codes, folds = take(columns, part.train), y[part.train], part.folds
    plain_rows = pd.DataFrame(rows).to_numpy()

    def ours() -> list[float]:
        shared_folds().kept.clear()
        found = []
        for family in project.train.models:
            with tempfile.TemporaryDirectory() as notes:
                result = search_family(
                    family,
                    rows,
                    codes,
                    schema,
                    folds,
                    metric=project.train.metric,
                    space=project.train.search[family],
                    trials=1,
                    batch=project.train.batch,
                    seed=project.split.seed,
                    executor=InlineExecutor(),
                    notes=Path(notes),
                    progress=lambda *_: None,
                )
            found.append(float(np.mean(result.fold_values)))
        return found

    def plain() -> list[float]:
        found = []
        for family in project.train.models:
            estimator, grid = GRIDS[family]
            step = type(estimator).__name__.lower()
            search = GridSearchCV(
                make_pipeline(StandardScaler(), estimator),
                {f"{step}__{name}": values for name, values in grid.items()},
                scoring=project.train.metric,
                cv=list(folds),
            )
            found.append(float(search.fit(plain_rows, codes).best_score_))
        return found

    return ours, plain


def describe(name: str, seconds: Sequence[float]) -> str:
    return f"{name:<28}{median(seconds):6.2f} s CPU ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="how often each is measured")
    pairs = parser.parse_args().pairs
    ours, plain = searches()
    timed(ours), timed(plain)  # imports, before any clock runs
    spent: list[tuple[float, float]] = []
    for _ in range(pairs):
        (once, best), (other, theirs) = timed(ours), timed(plain)
        if not np.allclose(best, theirs, rtol=0, atol=1e-12):
            raise SystemExit(f"the best values differ: {best} here, {theirs} from GridSearchCV")
        spent.append((once, other))
    ratio = median(once / other for once, other in spent)
    print(describe("Tahona's four grids", [once for once, _ in spent]))
    print(describe("scikit-learn's GridSearchCV", [other for _, other in spent]))
    print(f"the first over the second: {ratio:.2f}, pair by pair; promised ≤ {PROMISED}; the same best values")
    sys.exit(0 if ratio <= PROMISED else 1)


if __name__ == "__main__":
    main()
