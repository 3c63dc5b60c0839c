"""The two families that only count: the dummy every other one has to beat, and naive Bayes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tahona.learn.families.family import Estimator, Family, Matrix, Scores, Setting, is_sparse, softmax
from tahona.project.model import FloatRange


def _make_dummy(_params: Mapping[str, Any], _setting: Setting) -> Estimator:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _prior(estimator: Estimator, matrix: Matrix) -> Scores:
    prior: Scores = np.asarray(estimator.predict_proba(matrix), dtype=np.float64)
    return prior


def _make_naive_bayes(params: Mapping[str, Any], setting: Setting) -> Estimator:
    """Build Gaussian naive Bayes, or where there is text the complement kind, made for words (Rennie et al. 2003)."""
    from sklearn.naive_bayes import ComplementNB, GaussianNB

    if setting.sparse:
        return ComplementNB(alpha=params["alpha"])
    return GaussianNB(var_smoothing=params["var_smoothing"])


def _counts(matrix: Matrix) -> Matrix:
    """Cut a sparse matrix off at zero: beside words, a number counts by how far it lies above its mean."""
    return matrix.maximum(0.0).tocsr() if is_sparse(matrix) else matrix


def _naive_scores(estimator: Estimator, matrix: Matrix) -> Scores:
    return softmax(estimator.predict_joint_log_proba(matrix))


FAMILIES = (
    Family(
        name="dummy",
        short="dummy",
        title="Dummy",
        wants="codes",
        gives="probability",
        cost=0.1,
        make=_make_dummy,
        scores=_prior,
        blind=True,
    ),
    Family(
        name="naive_bayes",
        short="nb",
        title="Naive Bayes",
        wants="plain",
        gives="probability",
        cost=0.5,
        make=_make_naive_bayes,
        scores=_naive_scores,
        space={
            "alpha": FloatRange(float=(1e-2, 10.0), log=True),
            "var_smoothing": FloatRange(float=(1e-9, 1e-1), log=True),
        },
        defaults={"alpha": 1.0, "var_smoothing": 1e-9},
        accepts=("alpha", "var_smoothing"),
        prepare=_counts,
    ),
)
