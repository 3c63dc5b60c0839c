"""Sparse matrices and l1: our descent ends where saga's would, and says when it did not get there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from tahona.learn.families import FAMILIES
from tahona.learn.families.family import Setting
from tahona.learn.families.lasso import fit_with_l1

FAMILY = FAMILIES["logistic_regression"]


def words(classes: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return counts of 60 words in 300 texts, and classes that some of the words speak of."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, classes, 300)
    counts = rng.poisson(0.1 + 0.5 * (np.arange(60) % 9 == codes[:, None]))
    return sparse.csr_matrix(counts, dtype=np.float64), codes


def goal(fitted: LogisticRegression, matrix: sparse.csr_matrix, codes: np.ndarray) -> float:
    """Return what scikit-learn's user guide says is made small."""
    scores = matrix @ fitted.coef_.T + fitted.intercept_
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    losses = logsumexp(scores, axis=1) - scores[np.arange(len(codes)), codes]
    size, square = np.abs(fitted.coef_).sum(), (fitted.coef_**2).sum()
    penalty = fitted.l1_ratio * size + (1 - fitted.l1_ratio) / 2 * square
    return float(penalty + fitted.C * compute_sample_weight(fitted.class_weight, codes) @ losses)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "params",
    [{"C": 0.3}, {"C": 5.0}, {"l1_ratio": 0.5}, {"class_weight": "balanced"}, {"fit_intercept": False}],
    ids=lambda params: next(iter(params)),
)
def test_it_ends_where_saga_ends(classes: int, params: dict[str, object]) -> None:
    matrix, codes = words(classes)
    chosen = {"solver": "saga", "l1_ratio": 1.0, "random_state": 0, "max_iter": 20_000, **params}
    slow = LogisticRegression(**chosen, tol=1e-5).fit(matrix, codes)
    ours = LogisticRegression(**chosen, tol=1e-5)
    fit_with_l1(ours, matrix, codes)
    reached = goal(slow, matrix, codes)
    assert 0.999 * reached < goal(ours, matrix, codes) < 1.00001 * reached
    np.testing.assert_allclose(ours.predict_proba(matrix), slow.predict_proba(matrix), atol=0.03)
    assert ours.coef_.shape == slow.coef_.shape
    if ours.l1_ratio == 1.0 and ours.C < 1.0:
        assert np.count_nonzero(ours.coef_) < ours.coef_.size / 2


def test_a_strong_penalty_leaves_the_shares_of_the_classes() -> None:
    matrix, codes = words(4)
    fitted = LogisticRegression(solver="saga", l1_ratio=1.0, C=1e-4)
    fit_with_l1(fitted, matrix, codes)
    assert not fitted.coef_.any()
    np.testing.assert_allclose(fitted.predict_proba(matrix)[0], np.bincount(codes) / len(codes), atol=1e-4)


def test_the_family_takes_it_for_saga_with_l1_alone() -> None:
    """By way of the family: the same minimum; without l1 another solver's."""
    matrix, codes = words(4)
    setting = Setting(classes=4, sparse=True)
    params = {**FAMILY.defaults, "solver": "saga", "penalty": "l1"}
    made = FAMILY.make(params, setting)
    FAMILY.fit(made, matrix, codes, setting)
    assert made.solver == "saga"
    assert 0 < np.count_nonzero(made.coef_) < made.coef_.size
    np.testing.assert_allclose(FAMILY.scores(made, matrix), made.predict_proba(matrix), atol=1e-12)
    assert FAMILY.make({**params, "penalty": "l2"}, setting).solver == "newton-cg"


def test_it_says_that_it_did_not_arrive() -> None:
    matrix, codes = words(4)
    made = LogisticRegression(solver="saga", l1_ratio=1.0, C=100.0, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        fit_with_l1(made, matrix, codes)
    assert made.n_iter_[0] == 3
