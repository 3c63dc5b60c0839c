"""What one row costs: the compiled scorer, the estimator's own call, and the bundle's.

    python benchmarks/row_scorer.py hotel_bookings.parquet [--rows 20000] [--families lightgbm random_forest]

CPU microseconds per row, the least of five rounds in one process; each scorer's time to load and the memory of a
process that holds it are measured in a process of its own. Every scorer listed has given the bundle's bits on 500
mutated rows, or its line says why there is none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from tahona.bundle.bundle import Bundle, Member, save_bundle
from tahona.bundle.parity import mutate
from tahona.learn.calibration import fit_calibrator
from tahona.learn.columns import infer_schema, to_columns, to_labels, with_ranges
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.families.family import Matrix
from tahona.learn.model import FittedModel, fit_estimator
from tahona.learn.threads import one_thread
from tahona.scorer import load_scorer, why_slow

DROP = ("reservation_status", "reservation_status_date", "assigned_room_type")
PARAMS: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_estimators": 200},
    "hist_gradient_boosting": {},
    "random_forest": {"n_estimators": 200, "max_depth": 30, "min_samples_leaf": 3},
    "extra_trees": {"n_estimators": 200, "max_depth": 30, "min_samples_leaf": 3},
    "tree": {"max_depth": 12},
    "logistic_regression": {"tol": 1e-2},
    "linear_svc": {"tol": 1e-2},
}
LOADING = """
import sys, time
from pathlib import Path
start = time.process_time()
from tahona.scorer import load_scorer
scorer = load_scorer(Path(sys.argv[1]))
scorer.score(scorer.row({column.name: None for column in scorer.columns}))
spent = time.process_time() - start
held = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(f"{spent:.3f} {int(held.split()[1]) / 1024:.0f}")
"""


def per_row(ask: Callable[[Any], object], rows: list[Any], rounds: int = 5) -> float:
    """Return the CPU microseconds of a row, of the best round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for row in rows:
            ask(row)
        best = min(best, time.process_time() - start)
    return best / len(rows) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--families", nargs="*", choices=sorted(FAMILIES), default=list(PARAMS))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    frame = pd.read_parquet(chosen.table).sample(chosen.rows, random_state=1)
    kinds = {"agent": "category", "company": "category"}
    schema, _ = infer_schema(frame, target="is_canceled", positive="1", drop=DROP, types=kinds)
    y, columns = to_labels(frame["is_canceled"], schema), to_columns(frame, schema)
    schema = with_ranges(schema, columns)
    numbers = {column.name: float for column in schema.of_kind("numeric")}  # as a typed JSON decoder gives them
    raw = frame.head(1000).astype(numbers).astype(object).replace(float("nan"), None).to_dict("records")
    print(f"{'family':24} {'scorer':>8} {'estimator':>10} {'bundle':>8}  load s  MB")
    for name in chosen.families:
        family = FAMILIES[name]
        encoding = fit_encoding(columns, schema, family.wants)
        matrix = encoding.apply(columns)
        estimator, seen, _ = fit_estimator(
            family, PARAMS.get(name, {}), matrix, y, seed=1, categorical=encoding.categorical
        )
        model = FittedModel(name, {}, encoding, (estimator,), 2, seen)
        calibrator = fit_calibrator(model.scores(columns), y, classes=2, kind="isotonic", gives=family.gives)
        bundle = Bundle("hotel", schema, (Member(model, calibrator),), threshold=0.4)
        with one_thread():
            print(f"{name:24} {measured(bundle, family.prepare(matrix), raw)}", flush=True)


def measured(bundle: Bundle, matrix: Matrix, raw: list[dict[str, Any]]) -> str:
    """Return the rest of a family's line."""
    model = bundle.members[0].model
    family, estimator = FAMILIES[model.family], model.estimators[0]
    own = per_row(lambda place: family.scores(estimator, matrix[place : place + 1]), list(range(50)))
    whole = per_row(lambda row: bundle.predict([row]), raw[:20], 2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hotel.tahona"
        save_bundle(bundle, file, mutate(raw[:500], bundle.schema, 1))
        if reason := why_slow(file):
            return f"{'-':>8} {own:10.0f} {whole:8.0f}  {reason}"
        scorer = load_scorer(file)
        mine = per_row(scorer.score, [scorer.row(row) for row in raw])
        done = subprocess.run([sys.executable, "-c", LOADING, file], capture_output=True, text=True, check=True)
    seconds, held = done.stdout.split()
    return f"{mine:8.1f} {own:10.0f} {whole:8.0f}  {seconds:>6} {held:>3}"


if __name__ == "__main__":
    main()
