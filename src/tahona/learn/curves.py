"""Curves of a prediction, thinned to what an eye can tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

POINTS = 200
BINS = 10
_DIGITS = 6

_Values = NDArray[np.float64]
Line = dict[str, list[float]]


def ranked_curves(positive: NDArray[Any], score: NDArray[Any]) -> tuple[Line, Line]:
    """Return the ROC curve (false positive rate, recall) and the PR curve (recall, precision).

    Rows with equal scores enter together, so both curves belong to decisions that can be made. At most 200 points each.
    Rates of a class that is missing are 0.
    """
    order = np.argsort(-score, kind="stable")
    hit = np.asarray(positive, dtype=bool)[order]
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    found, seen = np.cumsum(hit)[ends].astype(np.float64), ends + 1.0
    alarms = seen - found
    recall = found / max(found[-1], 1.0)
    fall_out = alarms / max(alarms[-1], 1.0)
    precision = found / seen
    roc = _thin(np.append(0.0, fall_out), np.append(0.0, recall))
    return roc, _thin(np.append(0.0, recall), np.append(precision[0], precision))


def calibration_points(positive: NDArray[Any], proba: NDArray[Any]) -> dict[str, list[float]]:
    """Return mean prediction, observed share and rows of ten bins with about equally many rows; ties stay together."""
    edges = np.unique(np.quantile(proba, np.linspace(0, 1, BINS + 1))[1:-1])
    place = np.searchsorted(edges, proba, side="right")
    count = np.bincount(place, minlength=len(edges) + 1)
    kept = count > 0
    predicted = np.bincount(place, weights=proba, minlength=len(count))[kept] / count[kept]
    observed = np.bincount(place, weights=np.asarray(positive, float), minlength=len(count))[kept] / count[kept]
    return {"predicted": _rounded(predicted), "observed": _rounded(observed), "count": count[kept].tolist()}


def _thin(x: _Values, y: _Values) -> Line:
    """Keep the corners of a line; of more than 200, those spread evenly along its length."""
    run, rise = np.diff(x), np.diff(y)
    corner = np.ones(len(x), dtype=bool)
    corner[1:-1] = np.abs(run[:-1] * rise[1:] - run[1:] * rise[:-1]) > 1e-15
    x, y = x[corner], y[corner]
    if len(x) > POINTS:
        length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
        picked = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
        x, y = x[picked], y[picked]
    return {"x": _rounded(x), "y": _rounded(y)}


def _rounded(values: _Values) -> list[float]:
    rounded: list[float] = np.round(values, _DIGITS).tolist()
    return rounded
