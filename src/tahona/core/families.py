"""The families Tahona knows: what `train.models` may list. The table behind the names is `tahona.learn.families`."""

from __future__ import annotations

FAMILY_NAMES: tuple[str, ...] = (
    "dummy",
    "tree",
    "svc",
    "knn",
    "logistic_regression",
    "random_forest",
    "extra_trees",
    "hist_gradient_boosting",
    "lightgbm",
    "xgboost",
    "naive_bayes",
    "linear_svc",
)
