"""The support vector machine with a kernel, and nearest neighbours: families that compare rows with rows.

Both cost as the square of the rows, so they learn from a stratified, seeded sample of at most
10,000 and 5,000 of them. (5,000 neighbours judge 24,000 rows of 170 columns in 15 seconds of CPU.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tahona.learn.families.family import Codes, Estimator, Family, Matrix, Scores, Setting, by_sign
from tahona.project.model import FloatRange, IntRange

_MOST_SVC_ROWS = 10_000
_MOST_KNN_ROWS = 5_000


def _make_svc(params: Mapping[str, Any], _setting: Setting) -> Estimator:
    from sklearn.svm import SVC

    return SVC(**params)


def _svc_margins(estimator: Estimator, matrix: Matrix) -> Scores:
    margins: Scores = np.ascontiguousarray(estimator.decision_function(matrix))
    return margins


def _svc_decision(estimator: Estimator, matrix: Matrix, scores: Scores) -> Codes:
    """Decide as libsvm does: by the sign, or with more classes by the votes of all pairs."""
    if scores.ndim == 1:
        return by_sign(estimator, matrix, scores)
    decided: Codes = estimator.predict(matrix).astype(np.int64)
    return decided


def _make_knn(params: Mapping[str, Any], setting: Setting) -> Estimator:
    """Build a brute-force search whose distances are added up pair by pair.

    scikit-learn computes dense Euclidean distances with BLAS, whose last bits depend on the rows around. The
    standardised Euclidean distance with unit variances is the same number, computed for each pair alone.
    """
    from sklearn.neighbors import KNeighborsClassifier

    chosen = dict(params)
    if chosen["metric"] == "euclidean" and not setting.sparse:
        chosen |= {"metric": "seuclidean", "metric_params": {"V": np.ones(setting.width)}}
    return KNeighborsClassifier(algorithm="brute", n_jobs=1, **chosen)


def _knn_shares(estimator: Estimator, matrix: Matrix) -> Scores:
    shares: Scores = np.ascontiguousarray(estimator.predict_proba(matrix))
    return shares


FAMILIES = (
    Family(
        name="svc",
        short="svc",
        title="Support vector machine",
        wants="scaled",
        gives="margin",
        cost=5.0,
        make=_make_svc,
        scores=_svc_margins,
        decide=_svc_decision,
        space={
            "C": FloatRange(float=(1e-2, 100.0), log=True),
            "kernel": ("rbf", "linear"),
            "gamma": ("scale", "auto"),
            "class_weight": (None, "balanced"),
        },
        accepts=("C", "kernel", "gamma", "degree", "coef0", "class_weight", "tol", "shrinking", "max_iter"),
        most_rows=_MOST_SVC_ROWS,
    ),
    Family(
        name="knn",
        short="knn",
        title="Nearest neighbours",
        wants="scaled",
        gives="probability",
        cost=2.0,
        make=_make_knn,
        scores=_knn_shares,
        space={
            "n_neighbors": IntRange(int=(1, 50), log=True),
            "weights": ("uniform", "distance"),
            "metric": ("euclidean", "manhattan"),
        },
        defaults={"n_neighbors": 5, "weights": "uniform", "metric": "euclidean"},
        accepts=("n_neighbors", "weights", "metric"),
        most_rows=_MOST_KNN_ROWS,
    ),
)
