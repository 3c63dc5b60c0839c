"""How good predictions are: one row per metric, and its number with or without an interval.

Every metric is written once, for rows with counts: a block of bootstrap resamples and the plain table (each row once)
go through the same lines. The definitions are those of scikit-learn, which the tests compare to 1e-12.

When a number does not exist it is 0 if the model is to blame (precision without a positive prediction, MCC and kappa of
a constant decision) and NaN if the rows are (an AUC where a class is missing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.core.bootstrap import draw_counts, percentile_bounds
from tahona.core.records import Interval
from tahona.errors import InputError

Values = NDArray[np.float64]
_SMALLEST = float(np.finfo(np.float64).eps)


class Sample:
    """Rows with their true class, their probabilities and the decision; sorted once for all resamples.

    ``y`` and ``decided`` are (n,) class codes; ``proba`` is (n, k), or (n,) scores of class 1 where ranks are enough.
    ``classes`` is k; without it, it is read off ``proba``, else off the codes that occur.
    """

    def __init__(
        self,
        y: NDArray[Any],
        proba: NDArray[Any] | None,
        decided: NDArray[Any] | None,
        cost: Mapping[str, float] | None = None,
        classes: int | None = None,
    ) -> None:
        if len(y) == 0:
            raise InputError("There is no row to judge.", fix="Make the test part or the folds larger.")
        self.y = np.asarray(y, dtype=np.int64)
        self.proba = None if proba is None else np.asarray(proba, dtype=np.float64)
        self.decided = None if decided is None else np.asarray(decided, dtype=np.int64)
        self.cost = cost
        self.classes = classes or self._count_classes()
        self._ranks: dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}

    def _count_classes(self) -> int:
        if self.proba is not None and self.proba.ndim == 2:
            return int(self.proba.shape[1])
        seen = int(self.y.max()) if self.decided is None else int(max(self.y.max(), self.decided.max()))
        return max(2, seen + 1)

    def score_of(self, label: int) -> Values:
        """Return the probability of one class."""
        assert self.proba is not None
        return self.proba if self.proba.ndim == 1 else self.proba[:, label]

    def ranked(self, label: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the order of the rows by falling score of a class, and the places in it where a new score starts."""
        if label not in self._ranks:
            score = self.score_of(label)
            order = np.argsort(-score, kind="stable")
            ordered = score[order]
            starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
            self._ranks[label] = (order, starts)
        return self._ranks[label]

    @cached_property
    def log_losses(self) -> Values:
        """Return -log of the probability of each row's true class, (n,)."""
        score = self._all_scores()
        return -np.log(np.clip(score[np.arange(len(self.y)), self.y], _SMALLEST, 1 - _SMALLEST))

    @cached_property
    def squared_errors(self) -> Values:
        """Return each row's squared distance from its true class, (n,); halved for two classes (Brier 1950)."""
        score = self._all_scores()
        wanted = np.zeros_like(score)
        wanted[np.arange(len(self.y)), self.y] = 1.0
        total: Values = ((score - wanted) ** 2).sum(axis=1)
        return total / 2 if score.shape[1] == 2 else total

    def _all_scores(self) -> Values:
        assert self.proba is not None
        return np.column_stack((1 - self.proba, self.proba)) if self.proba.ndim == 1 else self.proba


class _Ranked:
    """The rows of each resample by falling score of one class, (b, n), equal scores together. Exact: whole numbers."""

    def __init__(self, counts: Values, hit: Values, seen: Values, found: Values) -> None:
        self.counts, self.hit = counts, hit
        self.seen, self.found = seen, found
        self.positives = found[:, -1]
        self.negatives = seen[:, -1] - found[:, -1]

    def roc_area(self) -> Values:
        """Return ROC AUC (b,): a hit outranks every miss below it, and within a tie half of them."""
        below = self.negatives[:, None] - (self.seen - self.found) + (self.counts - self.hit) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            area: Values = np.einsum("bn,bn->b", self.hit, below) / (self.positives * self.negatives)
        return area

    def pr_area(self) -> Values:
        """Return the average precision (b,); NaN where every row is of the class."""
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(self.seen > 0, self.found / self.seen, 0.0)
            area = np.einsum("bn,bn->b", self.hit, precision) / self.positives
        return np.where(self.negatives > 0, area, np.nan)


class Weighted:
    """A sample seen through counts (b, n): b resamples at once."""

    def __init__(self, sample: Sample, counts: Values) -> None:
        self.sample = sample
        self.counts = counts

    @cached_property
    def confusion(self) -> Values:
        """Return the confusion matrices (b, k, k): true classes down, decided classes across."""
        sample, k = self.sample, self.sample.classes
        assert sample.decided is not None
        cell = sample.y * k + sample.decided
        table: Values = np.empty((len(self.counts), k * k))
        for place, counts in enumerate(self.counts):
            table[place] = np.bincount(cell, weights=counts, minlength=k * k)
        return table.reshape(-1, k, k)

    @cached_property
    def ranked(self) -> list[_Ranked]:
        """Return the rows by falling score of each class, or of class 1 alone when there are two."""
        labels = (1,) if self.sample.classes == 2 else range(self.sample.classes)
        return [self._rank(label) for label in labels]

    def _rank(self, label: int) -> _Ranked:
        order, starts = self.sample.ranked(label)
        counts = self.counts[:, order]
        hit = counts * (self.sample.y[order] == label)
        if len(starts) < len(order):
            counts = np.add.reduceat(counts, starts, axis=1)
            hit = np.add.reduceat(hit, starts, axis=1)
        return _Ranked(counts, hit, seen=np.cumsum(counts, axis=1), found=np.cumsum(hit, axis=1))

    def mean(self, per_row: Values) -> Values:
        """Return the weighted mean of a number per row. einsum, not BLAS: the same bits with any number of threads."""
        total: Values = np.einsum("bn,n->b", self.counts, per_row)
        mean: Values = total / self.counts.sum(axis=1)
        return mean


def _ratio(upper: Values, lower: Values) -> Values:
    """Divide; nothing by nothing is 0."""
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)


def _per_class(part: Literal["precision", "recall", "f1"], confusion: Values) -> Values:
    right = np.diagonal(confusion, axis1=1, axis2=2)
    true, decided = confusion.sum(axis=2), confusion.sum(axis=1)
    if part == "precision":
        return _ratio(right, decided)
    return _ratio(right, true) if part == "recall" else _ratio(2 * right, true + decided)


def _positive(part: Literal["precision", "recall", "f1"]) -> Measure:
    macro = _macro(part)

    def measure(rows: Weighted) -> Values:
        if rows.sample.classes != 2:
            return macro(rows)
        value: Values = _per_class(part, rows.confusion)[:, 1]
        return value

    return measure


def _macro(part: Literal["precision", "recall", "f1"]) -> Measure:
    def measure(rows: Weighted) -> Values:
        seen = (rows.confusion.sum(axis=2) + rows.confusion.sum(axis=1)) > 0
        return _ratio((_per_class(part, rows.confusion) * seen).sum(axis=1), seen.sum(axis=1).astype(np.float64))

    return measure


def _by_share(part: Literal["precision", "recall", "f1"]) -> Measure:
    def measure(rows: Weighted) -> Values:
        true = rows.confusion.sum(axis=2)
        return _ratio((_per_class(part, rows.confusion) * true).sum(axis=1), true.sum(axis=1))

    return measure


def _accuracy(rows: Weighted) -> Values:
    return _ratio(np.trace(rows.confusion, axis1=1, axis2=2), rows.confusion.sum(axis=(1, 2)))


def _balanced_accuracy(rows: Weighted) -> Values:
    seen = rows.confusion.sum(axis=2) > 0
    return _ratio((_per_class("recall", rows.confusion) * seen).sum(axis=1), seen.sum(axis=1).astype(np.float64))


def _roc_auc(rows: Weighted) -> Values:
    return _known_mean(np.column_stack([ranked.roc_area() for ranked in rows.ranked]))


def _pr_auc(rows: Weighted) -> Values:
    return _known_mean(np.column_stack([ranked.pr_area() for ranked in rows.ranked]))


def _known_mean(values: Values) -> Values:
    """Return the mean over the classes whose number exists, else NaN."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Values = np.divide(total, known.sum(axis=1), out=np.full_like(total, np.nan), where=known.any(axis=1))
    return mean


def _log_loss(rows: Weighted) -> Values:
    return rows.mean(rows.sample.log_losses)


def _brier(rows: Weighted) -> Values:
    return rows.mean(rows.sample.squared_errors)


def _mcc(rows: Weighted) -> Values:
    """Return Matthews' correlation, for many classes as in Gorodkin 2004."""
    true, decided = rows.confusion.sum(axis=2), rows.confusion.sum(axis=1)
    total = true.sum(axis=1)
    both = np.trace(rows.confusion, axis1=1, axis2=2) * total - (true * decided).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (decided**2).sum(axis=1))
    return _ratio(both, np.sqrt(spread))


def _kappa(rows: Weighted) -> Values:
    """Return Cohen's kappa (1960)."""
    total = rows.confusion.sum(axis=(1, 2))
    chance = (rows.confusion.sum(axis=2) * rows.confusion.sum(axis=1)).sum(axis=1)
    return _ratio(np.trace(rows.confusion, axis1=1, axis2=2) * total - chance, total**2 - chance)


def _expected_cost(rows: Weighted) -> Values:
    cost = rows.sample.cost
    if cost is None or rows.sample.classes != 2:
        raise InputError(
            "expected_cost needs two classes and the cost of each mistake.",
            where="decision.cost",
            fix="Write decision.cost = { false_positive = …, false_negative = … } or choose another metric.",
        )
    wrong = rows.confusion[:, 0, 1] * cost["false_positive"] + rows.confusion[:, 1, 0] * cost["false_negative"]
    return _ratio(wrong, rows.confusion.sum(axis=(1, 2)))


Measure = Callable[[Weighted], Values]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, its direction, what it looks at, its titles, how it is computed and where it can lie."""

    name: str
    better: Literal["higher", "lower"]
    needs: Literal["decision", "probability"]
    title_en: str
    title_es: str
    measure: Measure
    floor: float = 0.0
    ceiling: float = 1.0
    """No value lies outside ``floor`` and ``ceiling``."""

    def title(self, language: str = "en") -> str:
        return self.title_es if language == "es" else self.title_en

    @property
    def sign(self) -> int:
        """1 when more is better, -1 when less is: ``sign * value`` always grows with quality."""
        return 1 if self.better == "higher" else -1


def _table(*rows: Metric) -> Mapping[str, Metric]:
    return MappingProxyType({row.name: row for row in rows})


# The order is the order of tables people read.
METRICS: Mapping[str, Metric] = _table(
    Metric("accuracy", "higher", "decision", "Accuracy", "Exactitud", _accuracy),
    Metric("balanced_accuracy", "higher", "decision", "Balanced accuracy", "Exactitud equilibrada", _balanced_accuracy),
    Metric("precision", "higher", "decision", "Precision", "Precisión", _positive("precision")),
    Metric("recall", "higher", "decision", "Recall", "Exhaustividad", _positive("recall")),
    Metric("f1", "higher", "decision", "F1", "F1", _positive("f1")),
    Metric("precision_macro", "higher", "decision", "Precision (macro)", "Precisión (macro)", _macro("precision")),
    Metric("recall_macro", "higher", "decision", "Recall (macro)", "Exhaustividad (macro)", _macro("recall")),
    Metric("f1_macro", "higher", "decision", "F1 (macro)", "F1 (macro)", _macro("f1")),
    Metric(
        "precision_weighted",
        "higher",
        "decision",
        "Precision (weighted)",
        "Precisión (ponderada)",
        _by_share("precision"),
    ),
    Metric(
        "recall_weighted", "higher", "decision", "Recall (weighted)", "Exhaustividad (ponderada)", _by_share("recall")
    ),
    Metric("f1_weighted", "higher", "decision", "F1 (weighted)", "F1 (ponderada)", _by_share("f1")),
    Metric("roc_auc", "higher", "probability", "ROC AUC", "AUC ROC", _roc_auc),
    Metric("pr_auc", "higher", "probability", "PR AUC", "AUC PR", _pr_auc),
    Metric("log_loss", "lower", "probability", "Log loss", "Pérdida logarítmica", _log_loss, ceiling=float("inf")),
    Metric("brier", "lower", "probability", "Brier score", "Puntuación de Brier", _brier, ceiling=2.0),
    Metric("mcc", "higher", "decision", "Matthews correlation", "Correlación de Matthews", _mcc, floor=-1.0),
    Metric("kappa", "higher", "decision", "Cohen's kappa", "Kappa de Cohen", _kappa, floor=-1.0),
    Metric(
        "expected_cost",
        "lower",
        "decision",
        "Expected cost per row",
        "Coste esperado por fila",
        _expected_cost,
        ceiling=float("inf"),
    ),
)


def metric_names(*, cost: bool = False) -> tuple[str, ...]:
    """Return every metric's name in the order of the tables; ``expected_cost`` only where a cost is declared."""
    return tuple(name for name in METRICS if cost or name != "expected_cost")


def compute(
    names: Iterable[str],
    y: NDArray[Any],
    proba: NDArray[Any] | None,
    decided: NDArray[Any] | None,
    *,
    cost: Mapping[str, float] | None = None,
    classes: int | None = None,
) -> dict[str, float]:
    """Return the named metrics on these rows.

    ``y`` and ``decided`` are (n,) class codes, ``proba`` (n, k). What no named metric needs may be None; without
    ``proba`` give ``classes``, because few rows may not show them all. For roc_auc and pr_auc of two classes ``proba``
    may be (n,) scores of any scale. Raise InputError without rows, or for expected_cost without a cost.
    """
    rows = Weighted(Sample(y, proba, decided, cost, classes), np.ones((1, len(y))))
    return {name: float(METRICS[name].measure(rows)[0]) for name in names}


def with_intervals(
    names: Iterable[str],
    y: NDArray[Any],
    proba: NDArray[Any] | None,
    decided: NDArray[Any] | None,
    *,
    cost: Mapping[str, float] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
    classes: int | None = None,
) -> dict[str, Interval]:
    """Return the named metrics, each with its 95 % bootstrap percentile interval over the rows (or whole groups).

    A resample without one of the classes has no AUC; it is left out of that metric's interval. Where no row is judged
    wrong, every resample says so too and the interval has no width: read it as "no mistake seen in so many rows".
    """
    wanted = tuple(names)
    sample = Sample(y, proba, decided, cost, classes)
    whole = Weighted(sample, np.ones((1, len(sample.y))))
    drawn: dict[str, list[Values]] = {name: [] for name in wanted}
    for counts in draw_counts(len(sample.y), resamples, seed=seed, groups=groups):
        rows = Weighted(sample, counts)
        for name in wanted:
            drawn[name].append(METRICS[name].measure(rows))
    result = {}
    for name in wanted:
        low, high = percentile_bounds(np.concatenate(drawn[name]) if drawn[name] else np.empty(0))
        result[name] = Interval(float(METRICS[name].measure(whole)[0]), low, high)
    return result
