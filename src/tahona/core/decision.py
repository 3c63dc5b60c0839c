"""From probabilities to a class: the threshold, how it is chosen, and what every other one would cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.core.metrics import METRICS
from tahona.errors import InputError

Goal = Literal["f1", "balanced_accuracy", "mcc"]
DEFAULT = 0.5
CURVE_POINTS = 200

_Values = NDArray[np.float64]
_SAME = 1e-12
"""Two values closer than this (relatively) are equal: sums of costs carry rounding."""


def decide(proba: NDArray[Any], threshold: float | None = None) -> NDArray[np.int64]:
    """Return the class code of each row of ``proba`` (n, k).

    With two classes and a threshold: 1 where the positive probability reaches it. Otherwise the likeliest class, the
    first of equals.
    """
    if threshold is not None and proba.shape[1] == 2:
        return (proba[:, 1] >= threshold).astype(np.int64)
    codes: NDArray[np.int64] = proba.argmax(axis=1).astype(np.int64)
    return codes


def threshold_reason(
    *,
    threshold: float | None = None,
    maximize: Goal | None = None,
    cost: Mapping[str, float] | None = None,
    language: str = "en",
) -> str:
    """Return one sentence that says why the threshold is what it is, for the same rules as `choose_threshold`."""
    spanish = language == "es"
    if threshold is not None:
        return "Fijado en el archivo del proyecto." if spanish else "Fixed in the project file."
    if maximize is not None:
        goal = METRICS[maximize].title(language)
        if spanish:
            return f"El que da el mayor valor de {goal} en las predicciones fuera de pliegue."
        return f"The one with the highest {goal} on out-of-fold predictions."
    if cost is not None:
        alarm, miss = (f"{cost[key]:g}" for key in ("false_positive", "false_negative"))
        if spanish:
            alarm, miss = alarm.replace(".", ","), miss.replace(".", ",")
            return (
                f"El de menor coste en las predicciones fuera de pliegue: {alarm} por falso positivo, "
                f"{miss} por falso negativo."
            )
        return (
            f"The one with the least cost on out-of-fold predictions: {alarm} per false positive, "
            f"{miss} per false negative."
        )
    return "El habitual: la clase más probable." if spanish else "The usual one: the likelier class."


def choose_threshold(
    y: NDArray[Any],
    positive: NDArray[Any],
    *,
    threshold: float | None = None,
    maximize: Goal | None = None,
    cost: Mapping[str, float] | None = None,
) -> float:
    """Return the threshold that a declared rule asks for, on probabilities that no model saw in training.

    ``y`` (n,) holds 0 and 1, ``positive`` (n,) the probability of 1; NaN marks a row in no validation fold.
    At most one of a fixed ``threshold``, a metric to ``maximize`` and a ``cost`` per mistake may be given; with none it
    is .5. All cuts between two neighbouring probabilities are tried; the threshold lies midway between them, so that a
    last bit of difference moves no row across. Among equally good cuts the one closest to .5 is taken.
    """
    if sum(rule is not None for rule in (threshold, maximize, cost)) > 1:
        raise InputError(
            "More than one rule for the threshold is given.",
            where="decision",
            fix="Keep one of decision.threshold, decision.maximize and decision.cost.",
        )
    if threshold is not None:
        return float(threshold)
    if maximize is None and cost is None:
        return DEFAULT
    known = ~np.isnan(positive)
    truth, score = np.asarray(y)[known] == 1, np.asarray(positive, dtype=np.float64)[known]
    if truth.all() or not truth.any():
        return DEFAULT
    cuts, hits, alarms = _cuts(truth, score)
    total, positives = len(truth), int(truth.sum())
    if cost is not None:
        worth = -_cost(hits, alarms, positives, total, cost)
    else:
        assert maximize is not None
        worth = _GOALS[maximize](hits, alarms, float(positives), float(total))
    best = worth >= worth.max() - _SAME * max(1.0, abs(float(worth.max())))
    return float(min(cuts[best], key=lambda cut: (abs(cut - DEFAULT), cut)))


def threshold_curve(
    y: NDArray[Any], positive: NDArray[Any], cost: Mapping[str, float] | None = None
) -> dict[str, list[float]]:
    """Return cost per row and F1 at ≤ 200 rising thresholds: evenly spread ones, and quantiles of the scores.

    The quantiles show the bend where positives are rare. Without a declared cost the list ``cost`` is empty.
    """
    truth, score = np.asarray(y) == 1, np.asarray(positive, dtype=np.float64)
    even = np.linspace(0.0, 1.0, CURVE_POINTS // 2 + 1)
    spread = np.quantile(score, np.linspace(0.0, 1.0, CURVE_POINTS // 2 - 1))
    thresholds = np.unique(np.round(np.concatenate((even, spread)), 6))
    ordered, ordered_hits = np.sort(score), np.sort(score[truth])
    flagged = len(ordered) - np.searchsorted(ordered, thresholds, side="left").astype(np.float64)
    hits = len(ordered_hits) - np.searchsorted(ordered_hits, thresholds, side="left").astype(np.float64)
    positives = float(len(ordered_hits))
    price = [] if cost is None else (_cost(hits, flagged - hits, positives, len(score), cost)).tolist()
    f1 = _f1(hits, flagged - hits, positives, float(len(score)))
    return {"threshold": thresholds.tolist(), "cost": price, "f1": f1.tolist()}


def _cuts(truth: NDArray[np.bool_], score: _Values) -> tuple[_Values, _Values, _Values]:
    """Return every distinct cut with the hits and false alarms above it, from "nobody" down to "everybody"."""
    order = np.argsort(-score, kind="stable")
    ordered, right = score[order], truth[order]
    ends = np.flatnonzero(np.concatenate((ordered[1:] != ordered[:-1], [True])))
    hits = np.concatenate(([0.0], np.cumsum(right)[ends]))
    alarms = np.concatenate(([0.0], np.cumsum(~right)[ends]))
    levels = ordered[ends]
    top = (1 + levels[0]) / 2 if levels[0] < 1 else float(np.nextafter(1.0, 2.0))
    middle = (levels[:-1] + levels[1:]) / 2
    # Between neighbouring floats there is no middle: the upper one is the cut.
    middle = np.where(middle > levels[1:], middle, levels[:-1])
    return np.concatenate(([top], middle, [levels[-1] / 2])), hits, alarms


def _cost(hits: _Values, alarms: _Values, positives: float, total: int, cost: Mapping[str, float]) -> _Values:
    price: _Values = (alarms * cost["false_positive"] + (positives - hits) * cost["false_negative"]) / total
    return price


def _divide(upper: _Values, lower: _Values) -> _Values:
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)


def _f1(hits: _Values, alarms: _Values, positives: float, total: float) -> _Values:  # noqa: ARG001 - one signature
    return _divide(2 * hits, hits + alarms + positives)


def _balanced_accuracy(hits: _Values, alarms: _Values, positives: float, total: float) -> _Values:
    negatives = total - positives
    value: _Values = (hits / positives + (negatives - alarms) / negatives) / 2
    return value


def _mcc(hits: _Values, alarms: _Values, positives: float, total: float) -> _Values:
    flagged, negatives = hits + alarms, total - positives
    both = hits * total - flagged * positives
    return _divide(both, np.sqrt(flagged * (total - flagged) * positives * negatives))


_GOALS = {"f1": _f1, "balanced_accuracy": _balanced_accuracy, "mcc": _mcc}
