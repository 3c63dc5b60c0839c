"""Scores become probabilities that can be believed: of the rows given .7, seven in ten are positive.

A calibrator is a plain table per class. It is fitted on out-of-fold scores, which the model has not seen in training,
and applied element by element, so that a row alone and the same row in a batch get the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.errors import InputError

CalibrationKind = Literal["none", "sigmoid", "isotonic"]
Gives = Literal["probability", "margin"]
Folds = Sequence[tuple[NDArray[Any], NDArray[Any]]]
FORMAT = 1

_Values = NDArray[np.float64]
_SIMPLE_FIRST: tuple[CalibrationKind, ...] = ("none", "sigmoid", "isotonic")
_EDGE = 1e-3
"""Probabilities are drawn in by this much before their log odds are taken: a forest's 0 is not infinitely sure."""
_IMPOSSIBLE = 1e-9
"""A probability under which the true class counts as called impossible."""
_TILT = 1e-3
"""Relative slope outside the outermost knots of an isotonic curve; keeps the order of the rows there."""


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """``1 / (1 + exp(-(slope * score + offset)))``."""

    slope: float
    offset: float

    def __call__(self, score: _Values) -> _Values:
        value: _Values = 1.0 / (1.0 + np.exp(-np.clip(self.slope * score + self.offset, -700.0, 700.0)))
        return value


@dataclass(frozen=True, slots=True)
class Steps:
    """A rising line through the knots (x, y), level beyond them."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, score: _Values) -> _Values:
        x, y = np.array(self.x), np.array(self.y)
        if len(x) == 1:
            return np.full_like(score, y[0])
        place = np.clip(np.searchsorted(x, score, side="right") - 1, 0, len(x) - 2)
        inside = np.clip(score, x[0], x[-1])
        share = (inside - x[place]) / (x[place + 1] - x[place])
        value: _Values = y[place] + share * (y[place + 1] - y[place])
        return value


Curve = Sigmoid | Steps


@dataclass(frozen=True, slots=True)
class Calibrator:
    """How scores of one model become probabilities: one curve per class, one alone for two classes.

    Uncalibrated probabilities ("none") have no curve; uncalibrated margins pass the plain logistic curve.
    """

    kind: CalibrationKind
    gives: Gives
    classes: int
    curves: tuple[Curve, ...] = ()

    def apply(self, scores: NDArray[Any]) -> _Values:
        """Return probabilities (n, k), each row summing to 1.

        ``scores`` are (n, k) probabilities, or margins: (n,) of class 1 or (n, k).
        """
        scores = np.asarray(scores, dtype=np.float64)
        if not self.curves:
            return scores
        risen = [curve(score) for curve, score in zip(self.curves, _inputs(scores, self), strict=True)]
        if len(risen) == 1:
            return np.column_stack((1.0 - risen[0], risen[0]))
        # Added column by column: a sum over an axis may group its terms differently for one row and for many.
        total = risen[0].copy()
        for column in risen[1:]:
            total += column
        return np.column_stack([column / total for column in risen])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; floats survive JSON bit by bit."""
        curves = [
            {"slope": curve.slope, "offset": curve.offset}
            if isinstance(curve, Sigmoid)
            else {"x": list(curve.x), "y": list(curve.y)}
            for curve in self.curves
        ]
        return {"format": FORMAT, "kind": self.kind, "gives": self.gives, "classes": self.classes, "curves": curves}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibrator:
        if data["format"] > FORMAT:
            raise InputError(
                f"The calibrator has format {data['format']}; this Tahona reads up to {FORMAT}.", fix="Upgrade Tahona."
            )
        curves = tuple(
            Sigmoid(curve["slope"], curve["offset"])
            if "slope" in curve
            else Steps(tuple(curve["x"]), tuple(curve["y"]))
            for curve in data["curves"]
        )
        return cls(data["kind"], data["gives"], data["classes"], curves)


def fit_calibrator(
    scores: NDArray[Any],
    y: NDArray[Any],
    *,
    classes: int,
    kind: Literal["auto", "none", "sigmoid", "isotonic"],
    gives: Gives,
    folds: Folds | None = None,
    seed: int = 0,
) -> Calibrator:
    """Fit a calibrator on out-of-fold scores; rows with NaN (in no validation fold) are left out.

    ``auto`` takes the kind with the least log loss when each fold is calibrated by the others; a simpler kind (none,
    then sigmoid, then isotonic) is preferred while it is within one standard error of the best. Without ``folds`` five
    are drawn by ``seed``. Margins are no probabilities: "none" puts them on the plain logistic curve, so that .5 is the
    estimator's own border; ``auto`` never takes that.
    """
    scores = np.asarray(scores, dtype=np.float64)
    y = np.asarray(y)
    known = ~np.isnan(scores if scores.ndim == 1 else scores[:, 0])
    if kind == "auto":
        kind = _best_kind(scores, y, classes, gives, _parts(known, folds, seed))
    return _fit(scores[known], y[known], classes, kind, gives)


def _fit(scores: _Values, y: NDArray[Any], classes: int, kind: CalibrationKind, gives: Gives) -> Calibrator:
    if kind == "none":
        plain = (Sigmoid(1.0, 0.0),) * (0 if gives == "probability" else 1 if classes == 2 else classes)
        return Calibrator("none", gives, classes, plain)
    blank = Calibrator(kind, gives, classes)
    labels = (1,) if classes == 2 else range(classes)
    ends = (0.0, 1.0) if gives == "probability" else None
    curves = tuple(
        _fit_sigmoid(score, y == label) if kind == "sigmoid" else _fit_steps(score, y == label, ends)
        for label, score in zip(labels, _inputs(scores, blank), strict=True)
    )
    return Calibrator(kind, gives, classes, curves)


def _inputs(scores: _Values, calibrator: Calibrator) -> list[_Values]:
    """Return what each curve is given: margins as they are; for a sigmoid, log odds of probabilities."""
    if scores.ndim == 1:
        columns = [scores]
    elif calibrator.classes == 2:
        columns = [scores[:, 1]]
    else:
        columns = list(scores.T)
    # Contiguous, because NumPy's exp and log take another path (and give other last bits) for strided memory.
    columns = [np.ascontiguousarray(column) for column in columns]
    if calibrator.gives == "probability" and calibrator.kind == "sigmoid":
        drawn = [_EDGE + (1 - 2 * _EDGE) * column for column in columns]
        return [np.log(column / (1.0 - column)) for column in drawn]
    return columns


def _fit_sigmoid(score: _Values, positive: NDArray[np.bool_]) -> Sigmoid:
    """Fit Platt's sigmoid (1999) with his smoothed targets, by Newton steps with halving (Lin, Lin & Weng 2007).

    A falling curve would turn the model upside down: the slope is 0 at least.
    """
    up, down = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (up + 1) / (up + 2), 1 / (down + 2))
    centre, width = float(score.mean()), float(score.std())
    base = float(np.log((up + 1) / (down + 1)))
    if width == 0:
        return Sigmoid(0.0, base)
    x = (score - centre) / width
    slope, offset = 0.0, base
    loss = _sigmoid_loss(x, target, slope, offset)
    for _ in range(100):
        p = Sigmoid(slope, offset)(x)
        error, weight = p - target, p * (1 - p)
        g1, g2 = float((error * x).sum()), float(error.sum())
        h11, h22, h12 = float((weight * x * x).sum()) + 1e-12, float(weight.sum()) + 1e-12, float((weight * x).sum())
        if max(abs(g1), abs(g2)) < 1e-9 * len(x):
            break
        scale = h11 * h22 - h12 * h12
        step1, step2 = (h22 * g1 - h12 * g2) / scale, (h11 * g2 - h12 * g1) / scale
        size = 1.0
        while size > 1e-10:
            better = _sigmoid_loss(x, target, slope - size * step1, offset - size * step2)
            if better <= loss:
                slope, offset, loss = slope - size * step1, offset - size * step2, better
                break
            size /= 2
        else:
            break
    if slope <= 0:
        return Sigmoid(0.0, base)
    return Sigmoid(slope / width, offset - slope * centre / width)


def _sigmoid_loss(x: _Values, target: _Values, slope: float, offset: float) -> float:
    z = slope * x + offset
    return float((np.logaddexp(0.0, z) - target * z).sum())


def _fit_steps(score: _Values, positive: NDArray[np.bool_], ends: tuple[float, float] | None) -> Steps:
    """Fit a rising curve by pooling adjacent violators, with one knot at the centre of each pooled block.

    A plain isotonic fit is level within a block, which makes ties and lowers the AUC; the line between block centres
    (Oron & Flournoy 2017) keeps the order of the rows. Values stay away from 0 and 1 by what so many rows can show,
    1 / (n + 2). Between the outermost centres and ``ends`` (without them: the outermost scores) the curve rises by a
    thousandth, again to keep the order.
    """
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(score, kind="stable")
    levels, starts = np.unique(score[order], return_index=True)
    rows = np.diff(np.append(starts, len(score))).astype(np.float64)
    hits = np.add.reduceat(positive[order].astype(np.float64), starts)
    risen = isotonic_regression(hits / rows, sample_weight=rows)
    blocks = np.flatnonzero(np.concatenate(([True], risen[1:] > risen[:-1])))
    centre = np.add.reduceat(levels * rows, blocks) / np.add.reduceat(rows, blocks)
    edge = 1 / (len(score) + 2)
    height = np.clip(np.add.reduceat(hits, blocks) / np.add.reduceat(rows, blocks), edge, 1 - edge)
    x, y = list(centre), list(height)
    low, high = ends or (levels[0], levels[-1])
    if low < x[0]:
        x, y = [low, *x], [y[0] * (1 - _TILT), *y]
    if high > x[-1]:
        x, y = [*x, high], [*y, y[-1] + (1 - y[-1]) * _TILT]
    return Steps(tuple(map(float, x)), tuple(map(float, y)))


def _best_kind(
    scores: _Values, y: NDArray[Any], classes: int, gives: Gives, parts: Sequence[NDArray[np.intp]]
) -> CalibrationKind:
    """Return the simplest kind within one standard error of the least cross-fitted log loss."""
    kinds = _SIMPLE_FIRST[1:] if gives == "margin" else _SIMPLE_FIRST
    if len(parts) < 2:
        return kinds[0]
    losses = {
        kind: _cross_fitted_losses(scores, y, classes=classes, kind=kind, gives=gives, parts=parts) for kind in kinds
    }
    # One catastrophe among thousands hides in its own standard error; what called the truth impossible is out.
    sane = tuple(kind for kind in kinds if float(losses[kind].max()) < -np.log(_IMPOSSIBLE))
    kinds = sane or kinds
    best = min(kinds, key=lambda kind: float(losses[kind].mean()))
    for kind in kinds:
        behind = losses[kind] - losses[best]
        if float(behind.mean()) <= float(behind.std(ddof=1)) / np.sqrt(len(behind)):
            return kind
    return best


def _cross_fitted_losses(
    scores: _Values,
    y: NDArray[Any],
    *,
    classes: int,
    kind: CalibrationKind,
    gives: Gives,
    parts: Sequence[NDArray[np.intp]],
) -> _Values:
    """Return the log loss of every row, calibrated by the rows of the other parts."""
    smallest = float(np.finfo(np.float64).eps)
    losses = []
    for held in range(len(parts)):
        fit = np.concatenate([part for place, part in enumerate(parts) if place != held])
        proba = _fit(scores[fit], y[fit], classes, kind, gives).apply(scores[parts[held]])
        true = proba[np.arange(len(proba)), y[parts[held]]]
        losses.append(-np.log(np.clip(true, smallest, 1 - smallest)))
    return np.concatenate(losses)


def _parts(known: NDArray[np.bool_], folds: Folds | None, seed: int) -> list[NDArray[np.intp]]:
    """Return the rows of each validation fold that have a score."""
    if folds:
        parts = [np.asarray(validate)[known[np.asarray(validate)]] for _, validate in folds]
    else:
        parts = np.array_split(np.random.default_rng(seed).permutation(np.flatnonzero(known)), 5)
    return [part for part in parts if len(part)]
