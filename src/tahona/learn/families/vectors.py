"""The support vector machine with a kernel, and nearest neighbours: families that compare rows with rows.

Both cost as the square of the rows. Above 10,000 of them the support vector machine compares every row with 500
landmarks only; nearest neighbours are looked for among at most 20,000, a stratified, seeded sample. What that costs and
gives: docs/decisions/0010.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tahona.learn.families.family import Codes, Estimator, Family, Matrix, Scores, Setting, by_sign
from tahona.learn.families.landmarks import LandmarkMachine, fit_landmarks
from tahona.project.model import FloatRange, IntRange

_EXACT_SVC_ROWS = 10_000
_MOST_SVC_ROWS = 100_000
"""Their features of 500 landmarks are 200 MB."""
_LANDMARKS = 500
_MOST_KNN_ROWS = 20_000


class _VectorMachine:
    """A machine to be fitted: exactly up to 10,000 rows, through landmarks above."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        from sklearn.svm import SVC

        self.exact = SVC(**params)
        self.fitted: Estimator = None


def _make_svc(params: Mapping[str, Any], _setting: Setting) -> Estimator:
    return _VectorMachine(params)


def _fit_svc(machine: Estimator, matrix: Matrix, codes: Codes, setting: Setting) -> None:
    if matrix.shape[0] <= _EXACT_SVC_ROWS:
        machine.fitted = machine.exact.fit(matrix, codes)
        return
    machine.exact._validate_params()  # noqa: SLF001 - the words are SVC's, and so are their mistakes
    params = machine.exact.get_params()
    machine.fitted = fit_landmarks(matrix, codes, params, landmarks=_LANDMARKS, seed=setting.seed)


def _fitted(machine: Estimator) -> Estimator:
    return machine.fitted


def _svc_margins(estimator: Estimator, matrix: Matrix) -> Scores:
    if isinstance(estimator, LandmarkMachine):
        return estimator.margins(matrix)
    margins: Scores = np.ascontiguousarray(estimator.decision_function(matrix))
    return margins


def _svc_decision(estimator: Estimator, matrix: Matrix, scores: Scores) -> Codes:
    """Decide as libsvm does: by the sign, or with more classes by the votes of all pairs; landmarks have no pairs."""
    if scores.ndim == 1 or isinstance(estimator, LandmarkMachine):
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
        portfolio=tuple({"C": value, "kernel": "rbf", "gamma": "scale", "class_weight": None} for value in (1.0, 10.0)),
        accepts=("C", "kernel", "gamma", "degree", "coef0", "class_weight", "tol", "shrinking", "max_iter"),
        fit=_fit_svc,
        freeze=_fitted,
        most_rows=_MOST_SVC_ROWS,
        exact_rows=_EXACT_SVC_ROWS,
        landmarks=_LANDMARKS,
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
        portfolio=(
            {"n_neighbors": 5, "weights": "uniform", "metric": "euclidean"},
            {"n_neighbors": 15, "weights": "distance", "metric": "euclidean"},
        ),
        accepts=("n_neighbors", "weights", "metric"),
        most_rows=_MOST_KNN_ROWS,
    ),
)
