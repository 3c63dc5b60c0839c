"""SHAP values of scikit-learn's trees: written as a LightGBM model, whose engine computes them exactly.

A tree's base is its mean over the training rows, weighted as they were in training. Forests average class shares, so
their values are shares too; histogram boosting adds up log-odds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.bundle.compiled import histogram_trees, tree_nodes
from tahona.bundle.trees import Nodes, model_text
from tahona.errors import InputError
from tahona.learn.families.boosting import read_lightgbm
from tahona.learn.families.family import Estimator, Matrix, is_sparse

MOST_STEPS = 2e8
"""Of one row: leaves times the square of the depth, which is what its values cost; a second or so."""
_COUNTED = 1_000_000_000
"""What the weights of a tree's training rows are scaled to, where they are no whole numbers."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Values of a matrix's columns (n, width), the base, and what they add up to (n,)."""

    values: Values
    base: float
    score: Values


def forest_values(estimator: Estimator, matrix: Matrix, place: int) -> Told:
    """Explain the share of one class in a tree or a forest. Raise InputError for one that is too large."""
    cells = np.asarray(matrix.toarray() if is_sparse(matrix) else matrix, dtype=np.float32)  # in which trees compare
    return _told(_forest(estimator, place), cells.astype(np.float64), 0, 1)


def histogram_values(estimator: Estimator, matrix: Matrix, place: int) -> Told:
    """Explain the raw score of one class (0 where one score speaks for two) in histogram boosting."""
    booster, order, codes = _histograms(estimator)
    cells = np.asarray(estimator._preprocess_X(matrix, reset=False), dtype=np.float64)  # noqa: SLF001 - its own order
    for column, known in enumerate(codes):
        cells[:, column] = np.where(np.isnan(cells[:, column]), len(known), cells[:, column])
    told = _told(booster, cells, place, int(estimator.n_trees_per_iteration_))
    values = np.zeros_like(told.values)
    values[:, order] = told.values
    return replace(told, values=values)


def _told(booster: Any, cells: Values, place: int, classes: int) -> Told:  # noqa: ANN401 - LightGBM's
    given = np.asarray(booster.predict(cells, pred_contrib=True, num_threads=1))
    score = np.asarray(booster.predict(cells, raw_score=True, num_threads=1)).reshape(len(cells), classes)
    width = cells.shape[1] + 1
    given = given[:, place * width : (place + 1) * width]
    return Told(given[:, :-1], float(given[0, -1]), score[:, place])


@lru_cache(maxsize=8)
def _forest(estimator: Estimator, place: int) -> Any:  # noqa: ANN401 - LightGBM's
    """Return the forest as a model of the class's share; it is kept, for writing it takes longer than asking it."""
    trees = [each.tree_ for each in getattr(estimator, "estimators_", [estimator])]
    _check_work((int(tree.n_leaves), int(tree.max_depth)) for tree in trees)

    def written() -> Iterator[tuple[Nodes, Values]]:
        for tree in trees:
            nodes = tree_nodes(tree)
            shares = tree.value[:, 0, place][nodes.leaf] / len(trees)
            yield _counted(nodes, np.asarray(tree.weighted_n_node_samples, dtype=np.float64)), shares

    return read_lightgbm(model_text(written(), width=int(trees[0].n_features)).decode("ascii"))


@lru_cache(maxsize=4)
def _histograms(estimator: Estimator) -> tuple[Any, list[int], list[Any]]:
    predictors = [each for line in estimator._predictors for each in line]  # noqa: SLF001 - no other way to its trees
    _check_work((int(each.get_n_leaf_nodes()), int(each.get_max_depth())) for each in predictors)
    trees, order, codes = histogram_trees(estimator)
    counts = [each.nodes["count"].astype(np.float64) for each in predictors]
    bases = len(trees) - len(predictors)
    counted = [
        *((replace(nodes, rows=np.ones(1, dtype=np.int64)), values) for nodes, values in trees[:bases]),
        *((_counted(nodes, rows), values) for (nodes, values), rows in zip(trees[bases:], counts, strict=True)),
    ]
    text = model_text(counted, width=int(estimator.n_features_in_), classes=int(estimator.n_trees_per_iteration_))
    return read_lightgbm(text.decode("ascii")), order, codes


def _counted(nodes: Nodes, weights: Values) -> Nodes:
    """Return the tree with whole numbers of rows that agree: each node has those of its children."""
    whole = bool((weights == np.floor(weights)).all())
    scale = 1.0 if whole else _COUNTED / weights[0]
    rows = np.maximum(1, np.rint(weights * scale)).astype(np.int64)
    for node in reversed(np.flatnonzero(~nodes.leaf).tolist()):  # children stand behind their parents
        rows[node] = rows[nodes.left[node]] + rows[nodes.right[node]]
    return replace(nodes, rows=rows)


def _check_work(trees: Iterator[tuple[int, int]]) -> None:
    if sum(leaves * depth * depth for leaves, depth in trees) > MOST_STEPS:
        raise InputError(
            "the model's trees are too many and too deep to be explained row by row",
            fix="limit max_depth, or n_estimators, of the family in [train.params]",
        )
