"""The test rows, read once: every number, curve and warning of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.bootstrap import resamples_for
from tahona.core.decision import threshold_curve
from tahona.core.findings import Finding
from tahona.core.gate import PredictedRows, compare
from tahona.core.metrics import METRICS, metric_names, with_intervals
from tahona.core.records import Interval
from tahona.core.schema import Schema
from tahona.learn.columns import Columns
from tahona.learn.curves import calibration_points, ranked_curves
from tahona.learn.slices import slice_columns, slice_table

DUMMY = "dummy"
MOST_CURVES = 12
"""Classes whose curves are drawn; the most frequent ones."""

_RARE = 0.1
"""Below this share of the other classes together, accuracy says little."""
_WEAK_SLICES = 3

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What one model says about the test rows: probabilities (n, k) and decided class codes (n,)."""

    proba: NDArray[np.float64]
    decided: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The test part: raw columns, true class codes (n,) and, in a group split, each row's group."""

    schema: Schema
    columns: Columns
    y: NDArray[np.int64]
    groups: NDArray[Any] | None = None


def evaluate_predictions(
    rows: HeldOut,
    predictions: Mapping[str, Prediction],
    *,
    chosen: str,
    metric: str,
    threshold: float | None = None,
    cost: Mapping[str, float] | None = None,
    slices: Sequence[str] = (),
    importance: Sequence[Mapping[str, Any]] = (),
    expected: Interval | None = None,
    seed: int = 0,
) -> Document:
    """Return the document `evaluation.json`: plain data, null for a number that does not exist.

    ``predictions`` holds every candidate, ``chosen`` and "dummy" among them. ``slices`` names columns to slice by,
    ``importance`` is a finished table, ``expected`` the chosen model's leaderboard value with its interval.
    """
    schema, y = rows.schema, rows.y
    names = metric_names(cost=cost is not None and schema.binary)
    resamples = resamples_for(len(y))

    def measured(prediction: Prediction) -> dict[str, Interval]:
        return with_intervals(
            names, y, prediction.proba, prediction.decided,
            cost=cost, resamples=resamples, seed=seed, groups=rows.groups, classes=len(schema.labels),
        )  # fmt: skip

    metrics = {name: measured(prediction) for name, prediction in predictions.items()}
    best = predictions[chosen]
    sliced = slice_table(
        slice_columns(schema, slices), rows.columns, y, best.proba, best.decided,
        metric=metric, cost=cost, groups=rows.groups, seed=seed,
    )  # fmt: skip
    tables = {name: confusion(y, prediction.decided, len(schema.labels)) for name, prediction in predictions.items()}
    findings = (
        *_class_findings(schema, y, metrics[chosen], tables[chosen]),
        *_baseline_finding(rows, predictions, chosen=chosen, metric=metric, cost=cost, seed=seed),
        *_expectation_finding(metrics[chosen][metric], expected, metric),
        *_slice_findings(sliced, metrics[chosen][metric], metric),
    )
    return {
        "rows": len(y),
        "labels": list(schema.labels),
        "positive": schema.positive,
        "chosen": chosen,
        "metric": metric,
        "threshold": threshold,
        "metrics": _plain(metrics[chosen]),
        "dummy": _plain(metrics[DUMMY]) if DUMMY in metrics else {},
        "candidates": {name: _plain(values) for name, values in metrics.items() if name != DUMMY},
        "confusion": {"labels": list(schema.labels), "matrix": tables[chosen]},
        "confusions": {name: table for name, table in tables.items() if name != DUMMY},
        "curves": _curves(schema, y, best, cost),
        "rocs": {name: _rocs(schema, y, prediction) for name, prediction in predictions.items() if name != DUMMY},
        "importance": [dict(row) for row in importance],
        "per_class": per_class(schema, tables[chosen]),
        "slices": sliced,
        "findings": [finding.to_dict() for finding in findings],
    }


def confusion(y: NDArray[Any], decided: NDArray[Any], classes: int) -> list[list[int]]:
    """Return counts: true classes down, decided classes across."""
    cells = np.bincount(np.asarray(y) * classes + np.asarray(decided), minlength=classes * classes)
    matrix: list[list[int]] = cells.reshape(classes, classes).tolist()
    return matrix


def per_class(schema: Schema, matrix: Sequence[Sequence[int]]) -> list[Document]:
    """Return each class's rows, precision, recall and F1; with two classes the one that matters comes first."""
    counts = np.array(matrix, dtype=np.int64)
    true, said, right = counts.sum(axis=1), counts.sum(axis=0), np.diagonal(counts)
    order = range(len(schema.labels))
    return [
        {
            "label": schema.labels[code],
            "rows": int(true[code]),
            "precision": float(right[code] / said[code]) if said[code] else 0.0,
            "recall": float(right[code] / true[code]) if true[code] else 0.0,
            "f1": float(2 * right[code] / (true[code] + said[code])) if true[code] + said[code] else 0.0,
        }
        for code in (reversed(order) if schema.binary else order)
    ]


def _plain(metrics: Mapping[str, Interval]) -> Document:
    """Return intervals as JSON knows them: NaN becomes null."""
    return {
        name: {key: None if math.isnan(value) else value for key, value in interval.to_dict().items()}
        for name, interval in metrics.items()
    }


def _rocs(schema: Schema, y: NDArray[Any], prediction: Prediction) -> Document:
    return {schema.labels[code]: ranked_curves(y == code, prediction.proba[:, code])[0] for code in _drawn(schema, y)}


def _drawn(schema: Schema, y: NDArray[Any]) -> list[int]:
    """Return the classes whose curves are drawn: the one that matters, or the most frequent ones."""
    counts = np.bincount(y, minlength=len(schema.labels))
    codes = [1] if schema.binary else sorted(np.argsort(-counts, kind="stable")[:MOST_CURVES].tolist())
    return [code for code in codes if counts[code] not in (0, len(y))]


def _curves(schema: Schema, y: NDArray[Any], best: Prediction, cost: Mapping[str, float] | None) -> Document:
    curves: Document = {"roc": {}, "pr": {}, "calibration": {}, "threshold": {}}
    for code in _drawn(schema, y):
        label, score = schema.labels[code], best.proba[:, code]
        curves["roc"][label], curves["pr"][label] = ranked_curves(y == code, score)
        curves["calibration"][label] = calibration_points(y == code, score)
    if schema.binary:
        curves["threshold"] = threshold_curve(y, best.proba[:, 1], cost)
    return curves


def _class_findings(
    schema: Schema, y: NDArray[Any], metrics: Mapping[str, Interval], matrix: Sequence[Sequence[int]]
) -> list[Finding]:
    """Say that accuracy misleads where one class is nearly all, and which classes are never predicted."""
    findings = []
    share = np.bincount(y, minlength=len(schema.labels)) / len(y)
    common = int(share.argmax())
    if 1 - share[common] < _RARE:
        findings.append(
            Finding(
                "accuracy_misleads",
                facts={
                    "label": schema.labels[common],
                    "dummy": _digits(float(share[common])),
                    "accuracy": _digits(metrics["accuracy"].value),
                    "pr_auc": _digits(metrics["pr_auc"].value),
                },
            )
        )
    said = np.array(matrix).sum(axis=0)
    findings.extend(
        Finding("never_predicted", facts={"label": label, "rows": int(share[code] * len(y) + 0.5)})
        for code, label in enumerate(schema.labels)
        if said[code] == 0 and share[code] > 0
    )
    return findings


def _baseline_finding(
    rows: HeldOut,
    predictions: Mapping[str, Prediction],
    *,
    chosen: str,
    metric: str,
    cost: Mapping[str, float] | None,
    seed: int,
) -> list[Finding]:
    """Say so when the chosen model is not certainly better than the dummy, by paired bootstrap."""
    if DUMMY not in predictions:
        return []
    places = np.arange(len(rows.y))
    judged = [
        PredictedRows("", rows.schema.labels, places, rows.y, predictions[name].proba, predictions[name].decided)
        for name in (chosen, DUMMY)
    ]
    against = compare(metric, *judged, cost=cost, seed=seed, groups=rows.groups)
    sign = METRICS[metric].sign
    if min(sign * against.low, sign * against.high) > 0:
        return []
    facts = {
        "metric": metric,
        "difference": _digits(against.difference),
        "low": _digits(against.low),
        "high": _digits(against.high),
    }
    return [Finding("no_better_than_dummy", facts=facts)]


def _expectation_finding(test: Interval, expected: Interval | None, metric: str) -> list[Finding]:
    """Say so when the test value is certainly worse than what the folds promised."""
    if expected is None:
        return []
    sign = METRICS[metric].sign
    if max(sign * test.low, sign * test.high) >= min(sign * expected.low, sign * expected.high):
        return []
    return [
        Finding(
            "worse_than_folds",
            facts={"metric": metric, "test": _digits(test.value), "folds": _digits(expected.value)},
        )
    ]


def _slice_findings(sliced: Sequence[Mapping[str, Any]], overall: Interval, metric: str) -> list[Finding]:
    """Name the (at most three) weakest slices whose whole interval lies on the worse side of the overall one."""
    sign = METRICS[metric].sign
    floor = min(sign * overall.low, sign * overall.high)
    weak = [row for row in sliced if max(sign * row["low"], sign * row["high"]) < floor]
    weak.sort(key=lambda row: (sign * row["value"], row["column"], row["level"]))
    return [
        Finding(
            "weak_slice",
            row["column"],
            facts={
                "level": row["level"],
                "rows": row["rows"],
                "metric": metric,
                "value": _digits(row["value"]),
                "overall": _digits(overall.value),
            },
        )
        for row in weak[:_WEAK_SLICES]
    ]


def _digits(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"
