"""What a family of models is: one row of the table, and the few functions a row is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse

    from tahona.learn.encoding import Wants
    from tahona.project.model import Range

Estimator: TypeAlias = Any
"""A vendor's fitted or unfitted model; each family's functions know what they get."""
Matrix: TypeAlias = "NDArray[np.float64] | sparse.csr_matrix"
Scores = NDArray[np.float64]
Codes = NDArray[np.int64]
Gives = Literal["probability", "margin"]
Clock = Literal["cpu", "wall"]


@dataclass(frozen=True, slots=True)
class Limit:
    """How long a fit may take: seconds of this process's CPU or of the clock on the wall."""

    clock: Clock
    seconds: float

    def end(self) -> Callable[[], bool]:
        """Start the clock, and return what tells whether the time is over."""
        now = time.process_time if self.clock == "cpu" else time.perf_counter
        last = now() + self.seconds
        return lambda: now() > last


@dataclass(frozen=True, slots=True)
class Setting:
    """What an estimator must know besides its parameters.

    ``categorical`` are the matrix columns that hold category codes; ``width`` is the number of matrix columns.
    """

    classes: int
    seed: int = 0
    threads: int = 1
    categorical: tuple[int, ...] = ()
    sparse: bool = False
    width: int = 0
    watched: tuple[Matrix, Codes] | None = None
    """Rows on which a family with ``rounds`` sees when to stop."""
    limit: Limit | None = None
    """After which a family with ``rounds`` stops with what it has."""


def unchanged(matrix: Matrix) -> Matrix:
    return matrix


def as_fitted(estimator: Estimator) -> Estimator:
    return estimator


def plainly(estimator: Estimator, matrix: Matrix, codes: Codes, _setting: Setting) -> int | None:
    estimator.fit(matrix, codes)
    return None


def likeliest(_estimator: Estimator, _matrix: Matrix, scores: Scores) -> Codes:
    """Decide for the class with the greatest score; of equals the first, as scikit-learn does."""
    decided: Codes = np.argmax(scores, axis=1)
    return decided


def by_sign(_estimator: Estimator, _matrix: Matrix, scores: Scores) -> Codes:
    """Decide by the side of the margin, or with more than two classes for the greatest."""
    decided: Codes = (scores > 0).astype(np.int64) if scores.ndim == 1 else np.argmax(scores, axis=1)
    return decided


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model: what it is called, what it eats, how it is searched, built, asked and stored.

    ``make`` gives an unfitted estimator; ``prepare`` makes a matrix palatable before fitting and asking; ``freeze``
    turns what was fitted into what is kept. Classes reach the estimator as 0 … m-1 without gap. ``scores`` gives (n, m)
    probabilities, or margins, (n,) for two classes. Each row's scores have the same bits in every batch.
    ``cost`` is the rough time of a fit, 1 = one tree. ``most_rows`` bounds the rows it is fitted on (a stratified,
    seeded sample stands for the rest). ``rounds`` names the parameter that counts boosting rounds: where a trial leaves
    it open, each fold stops when its judged rows no longer gain, ``fit`` returns the best count, and the model on all
    rows takes the mean. ``portfolio`` are configurations that do well on many tables, tried before any search.
    """

    name: str
    short: str
    title: str
    wants: Wants
    gives: Gives
    cost: float
    make: Callable[[Mapping[str, Any], Setting], Estimator]
    scores: Callable[[Estimator, Matrix], Scores]
    of_margins: Callable[[Scores], Scores] | None = None
    """Of linear families: scores from margins alone, which for a wide matrix are added up without it."""
    decide: Callable[[Estimator, Matrix, Scores], Codes] = likeliest
    space: Mapping[str, Range] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    portfolio: tuple[Mapping[str, Any], ...] = ({},)
    rounds: str | None = None
    accepts: tuple[str, ...] = ()
    """Parameters a project file may set; those of ``space`` are among them."""
    prepare: Callable[[Matrix], Matrix] = unchanged
    fit: Callable[[Estimator, Matrix, Codes, Setting], int | None] = plainly
    freeze: Callable[[Estimator], Estimator] = as_fitted
    file: Literal["skops", "lightgbm", "xgboost"] = "skops"
    extra: str | None = None
    most_rows: int | None = None
    exact_rows: int | None = None
    """Above so many rows it compares each one with ``landmarks`` of them only, and says so."""
    landmarks: int = 0
    blind: bool = False
    """Whether it learns from the labels alone: its rows are then not encoded, which for text would cost seconds."""

    def build(self, params: Mapping[str, Any], setting: Setting) -> Estimator:
        """Return an unfitted estimator with these parameters laid over the family's defaults."""
        return self.make({**self.defaults, **params}, setting)


def is_sparse(matrix: Matrix) -> TypeGuard[sparse.csr_matrix]:
    return hasattr(matrix, "indptr")


def softmax(logits: Scores) -> Scores:
    """Return probabilities from (n, k) logits, row by row in one fixed order."""
    ordered = np.ascontiguousarray(logits)
    raised = np.exp(ordered - ordered.max(axis=1, keepdims=True))
    return shares_of(raised)


def shares_of(weights: Scores) -> Scores:
    """Divide each row of (n, k) by its sum, added column by column: one row and many then add in the same order."""
    total = weights[:, 0].copy()
    for column in range(1, weights.shape[1]):
        total += weights[:, column]
    shares: Scores = weights / total[:, None]
    return shares


def two_columns(positive: NDArray[Any]) -> Scores:
    """Return (n, 2) probabilities from those of class 1."""
    exact = positive.astype(np.float64)
    return np.column_stack((1.0 - exact, exact))


def sigmoid(margin: Scores) -> Scores:
    """Return (n, 2) probabilities from the margins of class 1."""
    from scipy.special import expit

    return two_columns(expit(margin))
