"""What families cost that once sampled a large table or held it densely: before and after, in one process.

    python benchmarks/large_rows.py [hotel_bookings.parquet] [--split random|time]

Before: the exact support vector machine on 10,000 rows, nearest neighbours among 5,000, logistic regression on all,
each on a dense matrix. After: what Tahona does. Each line: rows used, CPU seconds of the fit and of 10,000 predictions,
milliseconds of CPU for one row, size on disk, ROC AUC on the test rows that are predicted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from tahona.learn.columns import infer_schema, take, to_columns, to_labels
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.model import FittedModel, fit_estimator, sample_rows, save_model
from tahona.learn.split import split_rows
from tahona.learn.threads import one_thread
from tahona.project.model import SplitPart

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT.parent / "shared" / "data" / "hotel_bookings.parquet"
LEAKS = ("reservation_status", "reservation_status_date", "assigned_room_type")
AGENTS = {"agent": "category", "company": "category"}
SEED = 42
JUDGED = 10_000
REPEATS = 20
WAYS: tuple[tuple[str, str, dict[str, Any], int | None], ...] = (
    ("svc", "before", {}, 10_000),
    ("svc", "after", {}, None),
    ("knn", "before", {"n_neighbors": 15}, 5_000),
    ("knn", "after", {"n_neighbors": 15}, None),
    ("logistic_regression", "before", {"C": 0.3}, None),
    ("logistic_regression", "after", {"C": 0.3}, None),
)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of the work, and what it gave."""
    start = time.process_time()
    given = work()
    return time.process_time() - start, given


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", nargs="?", type=Path, default=Path(os.environ.get("TAHONA_HOTEL", SHIPPED)))
    parser.add_argument("--split", choices=("random", "time"), default="random")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT / "examples" / "hotel"))
    cleaning = import_module("hotel.cleaning")

    table = cleaning.add_arrival_date(cleaning.fix_children(pd.read_parquet(chosen.table)))
    schema, _ = infer_schema(table, target="is_canceled", positive=1, drop=LEAKS, types=AGENTS)
    columns, y = to_columns(table, schema), to_labels(table["is_canceled"], schema)
    by = "arrival_date" if chosen.split == "time" else None
    part = split_rows(table, y, schema, SplitPart(kind=chosen.split, by=by, seed=SEED))
    rows, codes = take(columns, part.train), y[part.train]
    test = np.random.default_rng(SEED).permutation(part.test)[:JUDGED]
    judged, one = take(columns, test), take(columns, test[:1])

    print(f"{len(codes):,} training rows, {chosen.split} split, {len(test):,} test rows judged")
    print(f"{'':28}{'rows':>8}{'fit s':>8}{'10k rows s':>12}{'one row ms':>12}{'MB':>8}{'AUC':>8}")
    for name, when, params, cap in WAYS:
        family = FAMILIES[name]
        encoding = fit_encoding(rows, schema, family.wants)
        if when == "before":
            encoding = replace(encoding, wide=False)
        matrix = encoding.apply(rows)
        sample = sample_rows(codes, cap or family.most_rows, SEED) if cap or family.most_rows else None
        fitted = (matrix, codes) if sample is None else (matrix[sample], codes[sample])
        with one_thread():
            if name == "svc" and when == "before":
                spent, estimator = timed(lambda fitted=fitted: SVC().fit(*fitted))
                seen: tuple[int, ...] = (0, 1)
            else:
                spent, (estimator, seen, *_) = timed(
                    lambda family=family, params=params, fitted=fitted: fit_estimator(
                        family, params, *fitted, seed=SEED
                    )
                )
        model = FittedModel(name, params, encoding, (estimator,), len(schema.labels), seen, len(fitted[1]))
        asked, scores = timed(lambda model=model: model.scores(judged))
        alone, _ = timed(lambda model=model: [model.scores(one) for _ in range(REPEATS)])
        with tempfile.TemporaryDirectory() as folder:
            save_model(model, Path(folder))
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        auc = roc_auc_score(y[test], scores if scores.ndim == 1 else scores[:, 1])
        many = asked * JUDGED / len(test)
        print(
            f"{name + ', ' + when:28}{model.rows_used:>8,}{spent:>8.2f}{many:>12.2f}"
            f"{1000 * alone / REPEATS:>12.2f}{size:>8.2f}{auc:>8.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
