"""Logistic regression with an l1 penalty on a sparse matrix: scikit-learn's minimum without saga's hundreds of passes.

What is made small is scikit-learn's (user guide 1.1.11), divided by C and the sum of the rows' weights: the weighted
mean of the log loss, plus ``l1`` times the sum of the coefficients' sizes, plus ``l2 / 2`` times the sum of their
squares. Each coefficient is the difference of two that are not negative, so the sum of sizes has slopes everywhere, and
SciPy's L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995) descends. Columns whose coefficients are zero and are not pulled from
there rest; when the others are done, all are looked at again.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.learn.families.family import Codes, Estimator, Scores

if TYPE_CHECKING:
    from scipy import sparse

_OF_TOL = 0.1
"""Saga's tolerance is of its last step, ours of the slopes: a tenth of the number ends no farther from the minimum."""
_OF_GAP = 0.2
"""What a round may leave of the greatest slope: more is lost labour, since the next one has other columns."""
_NEW = 2_000
"""Columns that join in one round."""


def fit_with_l1(estimator: Estimator, matrix: sparse.csr_matrix, codes: Codes) -> None:
    """Fit a LogisticRegression that asks for l1, or for l1 and l2, on classes 0 … m-1.

    ``max_iter`` bounds the iterations of all rounds together; a fit that needs more warns of it, as scikit-learn does.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.class_weight import compute_sample_weight

    classes = int(codes.max()) + 1
    shares = compute_sample_weight(estimator.class_weight, codes)
    force = 1.0 / (estimator.C * shares.sum())
    target = np.eye(classes)[codes][:, 1 if classes == 2 else 0 :]  # two classes have one column of scores
    goal = _Goal(
        target, shares / shares.sum(), force * estimator.l1_ratio, force * (1 - estimator.l1_ratio),
        estimator.fit_intercept,
    )  # fmt: skip
    weights, offsets = np.zeros((matrix.shape[1], target.shape[1])), np.zeros(target.shape[1])
    tol, spent, across = _OF_TOL * estimator.tol, 0, matrix.T.tocsr()
    while True:
        gaps, gap = goal.gaps(matrix, across, weights, offsets)
        if gap <= tol:
            break
        if spent >= estimator.max_iter:
            warnings.warn("l1: max_iter was reached before the minimum", ConvergenceWarning, stacklevel=2)
            break
        columns = _taking_part(gaps, weights, tol)
        start = np.vstack([offsets, weights[columns]])
        found, used = goal.descend(matrix[:, columns], start, max(_OF_GAP * gap, tol / 2), estimator.max_iter - spent)
        offsets, weights[columns], spent = found[0], found[1:], spent + max(used, 1)
    estimator.coef_, estimator.intercept_ = np.ascontiguousarray(weights.T), offsets
    estimator.classes_, estimator.n_iter_ = np.arange(classes), np.array([spent], dtype=np.int32)
    estimator.n_features_in_ = matrix.shape[1]


def _taking_part(gaps: Scores, weights: Scores, tol: float) -> NDArray[np.intp]:
    """Return the columns that have a weight, and of the others those that are pulled the most."""
    there = (weights != 0).any(axis=1)
    pulled = np.where(there, np.inf, gaps.max(axis=1))
    order = np.argsort(-pulled, kind="stable")[: _NEW + int(there.sum())]
    return np.sort(order[pulled[order] > tol])


@dataclass(frozen=True, slots=True)
class _Goal:
    """What is made small."""

    target: Scores
    """(n, k): 1 in the column of the row's class."""
    shares: NDArray[np.float64]
    """(n,): what each row counts; all together 1."""
    l1: float
    l2: float
    with_offsets: bool

    def gaps(
        self, matrix: sparse.csr_matrix, across: sparse.csr_matrix, weights: Scores, offsets: Scores
    ) -> tuple[Scores, float]:
        """Return how far each weight's slope is from that of a minimum, (d, k), and the farthest of all."""
        _, slopes = self._loss(np.asarray(matrix @ weights) + offsets)
        pull = np.asarray(across @ slopes) + self.l2 * weights
        gaps = np.where(weights != 0, np.abs(pull + self.l1 * np.sign(weights)), np.abs(pull) - self.l1)
        return gaps, max(float(gaps.max()), float(np.abs(slopes.sum(axis=0)).max()) if self.with_offsets else 0.0)

    def descend(self, matrix: sparse.csr_matrix, start: Scores, tol: float, most: int) -> tuple[Scores, int]:
        """Return offsets (first row) and weights near the minimum over these columns, and the iterations it took."""
        from scipy.optimize import Bounds, minimize

        across, k = matrix.T.tocsr(), start.shape[1]

        def of(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            more, less = point[k:].reshape(2, -1, k)
            weights = more - less
            value, slopes = self._loss(np.asarray(matrix @ weights) + point[:k])
            pull = np.asarray(across @ slopes) + self.l2 * weights
            value += self.l1 * float(point[k:].sum()) + self.l2 / 2 * float((weights**2).sum())
            offsets = slopes.sum(axis=0) if self.with_offsets else np.zeros(k)
            return value, np.concatenate([offsets, (self.l1 + pull).ravel(), (self.l1 - pull).ravel()])

        point = np.concatenate([start[0], np.maximum(start[1:], 0).ravel(), np.maximum(-start[1:], 0).ravel()])
        least = np.zeros(len(point))
        least[:k] = -np.inf
        options: Any = {"maxiter": most, "maxfun": 3 * most, "gtol": tol, "ftol": 0.0}
        done = minimize(of, point, jac=True, method="L-BFGS-B", bounds=Bounds(least), options=options)
        more, less = done.x[k:].reshape(2, -1, k)
        return np.vstack([done.x[:k], more - less]), int(done.nit)

    def _loss(self, scores: Scores) -> tuple[float, Scores]:
        """Return the mean log loss, and its slope by each score."""
        from scipy.special import logsumexp

        total = np.logaddexp(0.0, scores[:, 0]) if scores.shape[1] == 1 else logsumexp(scores, axis=1)
        slopes = (np.exp(scores - total[:, None]) - self.target) * self.shares[:, None]
        return float(self.shares @ (total - (scores * self.target).sum(axis=1))), slopes
