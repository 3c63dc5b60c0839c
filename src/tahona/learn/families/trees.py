"""Trees and forests of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tahona.learn.families.family import Estimator, Family, Matrix, Scores, Setting
from tahona.project.model import IntRange, Range

_TREE = (
    "criterion",
    "max_depth",
    "min_samples_split",
    "min_samples_leaf",
    "max_features",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "ccp_alpha",
    "class_weight",
)
_FOREST = (*_TREE, "n_estimators", "bootstrap", "max_samples")


def _make_tree(params: Mapping[str, Any], setting: Setting) -> Estimator:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=setting.seed, **params)


def _make_random_forest(params: Mapping[str, Any], setting: Setting) -> Estimator:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=setting.seed, n_jobs=setting.threads, **params)


def _make_extra_trees(params: Mapping[str, Any], setting: Setting) -> Estimator:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(random_state=setting.seed, n_jobs=setting.threads, **params)


def _one_job(estimator: Estimator) -> Estimator:
    """Let a fitted forest add its trees in their order: several threads would add them as they come."""
    estimator.n_jobs = 1
    return estimator


def _shares(estimator: Estimator, matrix: Matrix) -> Scores:
    with np.errstate(over="ignore", invalid="ignore"):  # scikit-learn adds all cells up to see whether one is infinite
        shares: Scores = np.ascontiguousarray(estimator.predict_proba(matrix))
    return shares


# The ranges of both forests are those that the Spanish clinical project searched, with more trees.
_FOREST_SPACE: Mapping[str, Range] = {
    "n_estimators": IntRange(int=(50, 300), step=10),
    "max_depth": IntRange(int=(5, 30)),
    "min_samples_split": IntRange(int=(2, 15)),
    "min_samples_leaf": IntRange(int=(1, 10)),
    "max_features": ("sqrt", "log2", 0.5),
    "class_weight": (None, "balanced"),
}
_FOREST_DEFAULTS = {"n_estimators": 200, "max_features": "sqrt"}
_FOREST_PORTFOLIO = tuple(
    {
        "n_estimators": 200,
        "max_depth": 30,
        "min_samples_split": 2,
        "min_samples_leaf": least,
        "max_features": "sqrt",
        "class_weight": None,
    }
    for least in (1, 3)
)

FAMILIES = (
    Family(
        name="tree",
        short="tree",
        title="Decision tree",
        wants="codes",
        gives="probability",
        cost=1.0,
        make=_make_tree,
        scores=_shares,
        space={
            "criterion": ("gini", "entropy"),
            "max_depth": IntRange(int=(2, 30)),
            "min_samples_split": IntRange(int=(2, 40)),
            "min_samples_leaf": IntRange(int=(1, 40)),
            "class_weight": (None, "balanced"),
        },
        portfolio=tuple(
            {
                "criterion": criterion,
                "max_depth": depth,
                "min_samples_split": 2,
                "min_samples_leaf": least,
                "class_weight": None,
            }
            for criterion, depth, least in (("entropy", 8, 20), ("gini", 12, 40), ("gini", 4, 10))
        ),
        accepts=_TREE,
    ),
    Family(
        name="random_forest",
        short="rf",
        title="Random forest",
        wants="codes",
        gives="probability",
        cost=40.0,
        make=_make_random_forest,
        scores=_shares,
        space=_FOREST_SPACE,
        defaults=_FOREST_DEFAULTS,
        portfolio=_FOREST_PORTFOLIO,
        accepts=_FOREST,
        freeze=_one_job,
    ),
    Family(
        name="extra_trees",
        short="et",
        title="Extremely randomised trees",
        wants="codes",
        gives="probability",
        cost=30.0,
        make=_make_extra_trees,
        scores=_shares,
        space=_FOREST_SPACE,
        defaults=_FOREST_DEFAULTS,
        portfolio=_FOREST_PORTFOLIO,
        accepts=_FOREST,
        freeze=_one_job,
    ),
)
