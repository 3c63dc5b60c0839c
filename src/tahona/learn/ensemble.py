"""A mixture of families, kept only when it is better on rows that did not choose it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.decision import Goal, choose_threshold, decide
from tahona.core.metrics import METRICS, compute

ROUNDS = 20
"""Members drawn at most; weights are multiples of one over the number drawn."""
GAIN = 1e-4
"""How much better than the best family a mixture must be: one unit of the last digit that the leaderboard shows."""

_ROWS = 10_000
"""Rows on which members are chosen; values are computed on all."""
_PATIENCE = 5
"""Members added without a gain before the choice stops."""

_Values = NDArray[np.float64]
_Folds = Sequence[tuple[NDArray[Any], NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How a threshold is found; at most one of the three, as in `choose_threshold`."""

    threshold: float | None = None
    maximize: Goal | None = None
    cost: Mapping[str, float] | None = None

    def find(self, y: NDArray[Any], proba: _Values) -> float | None:
        """Return the threshold on these rows; None for many classes."""
        if proba.shape[1] != 2:
            return None
        return choose_threshold(y, proba[:, 1], threshold=self.threshold, maximize=self.maximize, cost=self.cost)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What mixing brought: ``weights`` are empty when the best single family is as good."""

    weights: Mapping[str, float]
    value: float
    """Mean over folds of the mixture's metric, its weights and threshold chosen on the other folds."""
    fold_values: tuple[float, ...]
    best: str
    best_value: float
    """The same for the best single family."""


def mix(probas: Mapping[str, NDArray[Any]], weights: Mapping[str, float]) -> _Values:
    """Return the weighted mean of probabilities (n, k), always added in the order of names: always the same bits."""
    names = sorted(name for name, weight in weights.items() if weight > 0)
    total: _Values = probas[names[0]] * weights[names[0]]
    for name in names[1:]:
        total = total + probas[name] * weights[name]
    return total


def greedy_weights(
    probas: Mapping[str, NDArray[Any]],
    y: NDArray[Any],
    folds: _Folds,
    metric: str,
    *,
    rule: DecisionRule | None = None,
    gain: float = GAIN,
) -> Mixture:
    """Mix families by greedy selection with replacement (Caruana et al. 2004) on out-of-fold probabilities.

    ``probas`` holds calibrated probabilities (n, k) by family, NaN where a row is in no validation fold. Members are
    added one at a time, whichever helps the metric most; for metrics of a decision, log loss stands in, because a step
    function ranks near-equal mixtures by chance. To be honest about "better", each fold's value uses weights and a
    threshold that the other folds chose, and the single families are judged the same way. The weights returned were
    chosen on all rows, and only if the mixture's mean over folds beats the best family's by ``gain``.
    """
    rule = rule or DecisionRule()
    known = ~np.isnan(np.column_stack([proba[:, 0] for proba in probas.values()])).any(axis=1)
    parts = [np.asarray(held)[known[np.asarray(held)]] for _, held in folds]
    parts = [part for part in parts if len(part)]
    sign = METRICS[metric].sign
    single: dict[str, list[float]] = {name: [] for name in probas}
    mixed: list[float] = []
    for place, held in enumerate(parts):
        others = np.concatenate([part for other, part in enumerate(parts) if other != place] or [held])
        for name, proba in probas.items():
            single[name].append(_judge(proba, y, others, held, metric=metric, rule=rule))
        mixture = mix(probas, _select(probas, y, others, metric))
        mixed.append(_judge(mixture, y, others, held, metric=metric, rule=rule))
    best = max(probas, key=lambda name: sign * _mean(single[name]))
    weights: Mapping[str, float] = {}
    # With one part, the rows that chose the weights would also judge them.
    if len(parts) > 1 and sign * (_mean(mixed) - _mean(single[best])) >= gain:
        weights = _select(probas, y, np.concatenate(parts), metric)
    return Mixture(weights if len(weights) > 1 else {}, _mean(mixed), tuple(mixed), best, _mean(single[best]))


def _select(probas: Mapping[str, NDArray[Any]], y: NDArray[Any], rows: NDArray[Any], metric: str) -> dict[str, float]:
    """Return the weights that greedy selection finds on these rows; the first named family wins a tie."""
    goal = metric if METRICS[metric].needs == "probability" else "log_loss"
    sign = METRICS[goal].sign
    rows = np.sort(rows)
    rows = rows[:: max(1, math.ceil(len(rows) / _ROWS))]
    truth, seen = y[rows], {name: proba[rows] for name, proba in probas.items()}
    total: _Values = np.zeros_like(next(iter(seen.values())), dtype=np.float64)
    drawn: list[str] = []
    best_value, best_size = -math.inf, 0
    while len(drawn) < ROUNDS and len(drawn) - best_size < _PATIENCE:
        size = len(drawn) + 1
        gains = {
            name: sign * compute([goal], truth, (total + proba) / size, None)[goal] for name, proba in seen.items()
        }
        name = max(gains, key=lambda each: -math.inf if math.isnan(gains[each]) else gains[each])
        drawn.append(name)
        total = total + seen[name]
        if gains[name] > best_value + 1e-9:
            best_value, best_size = gains[name], size
    kept = drawn[: max(best_size, 1)]
    return {name: kept.count(name) / len(kept) for name in probas if name in kept}


def _judge(
    proba: _Values, y: NDArray[Any], others: NDArray[Any], held: NDArray[Any], *, metric: str, rule: DecisionRule
) -> float:
    """Return the metric on the held rows, decided by a threshold that the other rows chose."""
    decided = None
    if METRICS[metric].needs == "decision":
        decided = decide(proba[held], rule.find(y[others], proba[others]))
    return compute([metric], y[held], proba[held], decided, cost=rule.cost)[metric]


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the folds that have a value."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else -math.inf
