"""Linear families: logistic regression and the linear support vector machine.

Scores are computed here and not by the estimator: BLAS adds up a product in another order for one row than for many,
and the last bits differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tahona.learn.families.family import (
    Codes,
    Estimator,
    Family,
    Matrix,
    Scores,
    Setting,
    by_sign,
    is_sparse,
    shares_of,
    sigmoid,
    softmax,
)
from tahona.learn.families.lasso import fit_with_l1
from tahona.project.model import FloatRange

_BLOCK = 2048


def row_products(matrix: Matrix, weights: Scores) -> Scores:
    """Return ``matrix @ weights.T``, (n, k), each row added up in the same order whatever stands around it."""
    if is_sparse(matrix):
        return np.asarray(matrix @ np.ascontiguousarray(weights.T), dtype=np.float64)
    dense = np.ascontiguousarray(matrix)
    product: Scores = np.empty((dense.shape[0], len(weights)))
    for start in range(0, dense.shape[0], _BLOCK):
        rows = dense[start : start + _BLOCK]
        for column, weight in enumerate(weights):
            product[start : start + _BLOCK, column] = (rows * weight).sum(axis=1)
    return product


def linear_margins(estimator: Estimator, matrix: Matrix) -> Scores:
    """Return (n,) margins of class 1, or (n, k)."""
    return with_intercept(row_products(matrix, estimator.coef_), estimator)


def with_intercept(products: Scores, estimator: Estimator) -> Scores:
    """Return (n,) margins of class 1, or (n, k), from the products of rows and weights."""
    margins: Scores = products + np.asarray(estimator.intercept_)
    return margins[:, 0] if margins.shape[1] == 1 else margins


def _make_logistic(params: Mapping[str, Any], setting: Setting) -> Estimator:
    """Build a logistic regression; ``penalty`` is said in the words used before scikit-learn 1.8 replaced it.

    On sparse matrices newton-cg takes a quarter of lbfgs's time and ends nearer the optimum: on the hotel table it is
    .0004 of AUC from there at the tolerance of .001, in a third of the time. It also stands in for saga with l2, which
    looks for the same minimum twenty times as long, as `fit_with_l1` does for saga with l1 (decisions 0017 and 0024).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    chosen = dict(params)
    chosen.setdefault("solver", "newton-cg" if setting.sparse else "lbfgs")
    penalty = chosen.pop("penalty", "l2")
    if penalty is None:
        chosen["C"] = np.inf
    elif penalty in ("l1", "l2"):
        chosen["l1_ratio"] = 1.0 if penalty == "l1" else 0.0
    if chosen.get("l1_ratio", 0.0):
        if chosen["solver"] in ("lbfgs", "newton-cg"):
            chosen["solver"] = "saga"  # these have no l1
    elif chosen["solver"] == "saga" and setting.sparse:
        chosen["solver"] = "newton-cg"
    if chosen["solver"] == "newton-cg":
        chosen.setdefault("tol", 1e-3)
    regression = LogisticRegression(random_state=setting.seed, **chosen)
    # liblinear knows two classes only; one against the rest is what it always did with more.
    return OneVsRestClassifier(regression) if chosen["solver"] == "liblinear" and setting.classes > 2 else regression


def _fit_logistic(estimator: Estimator, matrix: Matrix, codes: Codes, _setting: Setting) -> None:
    if is_sparse(matrix) and getattr(estimator, "solver", None) == "saga":
        fit_with_l1(estimator, matrix, codes)
    else:
        estimator.fit(matrix, codes)


def _logistic_scores(estimator: Estimator, matrix: Matrix) -> Scores:
    if hasattr(estimator, "estimators_"):
        parts = [sigmoid(linear_margins(part, matrix))[:, 1] for part in estimator.estimators_]
        return shares_of(np.column_stack(parts))
    return _logistic(linear_margins(estimator, matrix))


def _logistic(margins: Scores) -> Scores:
    return sigmoid(margins) if margins.ndim == 1 else softmax(margins)


def unchanged_margins(margins: Scores) -> Scores:
    return margins


def _make_linear_svc(params: Mapping[str, Any], setting: Setting) -> Estimator:
    from sklearn.svm import LinearSVC

    return LinearSVC(random_state=setting.seed, **params)


FAMILIES = (
    Family(
        name="logistic_regression",
        short="lr",
        title="Logistic regression",
        wants="scaled",
        gives="probability",
        cost=3.0,
        make=_make_logistic,
        fit=_fit_logistic,
        scores=_logistic_scores,
        of_margins=_logistic,
        space={"C": FloatRange(float=(1e-3, 100.0), log=True), "class_weight": (None, "balanced")},
        defaults={"C": 1.0, "max_iter": 10_000},
        portfolio=tuple({"C": value, "class_weight": None} for value in (1.0, 10.0)),
        accepts=("C", "class_weight", "penalty", "l1_ratio", "solver", "max_iter", "tol", "fit_intercept"),
    ),
    Family(
        name="linear_svc",
        short="lsvc",
        title="Linear support vector machine",
        wants="scaled",
        gives="margin",
        cost=2.0,
        make=_make_linear_svc,
        scores=linear_margins,
        of_margins=unchanged_margins,
        decide=by_sign,
        space={"C": FloatRange(float=(1e-3, 10.0), log=True), "class_weight": (None, "balanced")},
        defaults={"C": 1.0, "max_iter": 10_000, "dual": "auto"},
        portfolio=tuple({"C": value, "class_weight": None} for value in (1.0, 0.1)),
        accepts=("C", "class_weight", "penalty", "loss", "dual", "max_iter", "tol", "fit_intercept"),
    ),
)
