"""LightGBM's trees as tables: the same bits as LightGBM's own, and only where they can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lightgbm import Booster, LGBMClassifier

from tahona.learn.families import FAMILIES
from tahona.scorer import leaf_tables
from tahona.scorer.leaf_tables import leaf_tables as read

ROWS = 4_000


def rows(count: int, seed: int) -> np.ndarray:
    """Numbers of many kinds, two categories as codes, nulls in every column."""
    draw = np.random.default_rng(seed)
    matrix = np.column_stack(
        [
            draw.normal(size=count),
            draw.integers(-3, 9, count),
            draw.lognormal(3, 2, count).round(2),
            draw.integers(0, 2, count),
            draw.integers(0, 70, count),
            draw.integers(0, 4, count),
            np.zeros(count),
        ]
    ).astype(np.float64)
    matrix[draw.random(matrix.shape) < 0.1] = np.nan
    return matrix


def booster(**params: Any) -> Booster:
    matrix = rows(ROWS, 1)
    level = np.nan_to_num(matrix)
    label = (level[:, 0] + (level[:, 4] % 7 > 3) + level[:, 1] / 5 > 1).astype(int)
    chosen = {"n_estimators": 30, "num_leaves": 63, "min_child_samples": 5, "n_jobs": 1, "verbosity": -1, **params}
    fitted = LGBMClassifier(**chosen).fit(matrix, label, categorical_feature=[4, 5])
    return Booster(model_str=fitted.booster_.model_to_string())


def strange(count: int) -> np.ndarray:
    """Rows as no training table has them: codes that are none, numbers far out, next to zero and on the thresholds."""
    matrix, draw = rows(count, 2), np.random.default_rng(3)
    for value in (-1.0, -0.5, 69.7, 1e30, -1e30, 1e-36, -1e-36, 0.0, 3.4e38, 7.0):
        matrix[draw.random(matrix.shape) < 0.02] = value
    return matrix


@pytest.mark.parametrize("params", [{}, {"num_leaves": 64}, {"max_depth": 1}, {"use_missing": False}])
def test_tables_give_lightgbms_bits_alone_and_in_any_batch(params):
    model = booster(**params)
    tables = read(model.model_to_string())
    for matrix in (rows(ROWS, 1), strange(5_000)):
        wanted = model.predict(matrix, num_threads=1, raw_score=True)
        assert np.array_equal(tables.raw(matrix), wanted)
        for size in (1, 2, 3, 15, 16, 17, 100):
            pieces = [tables.raw(matrix[at : at + size]) for at in range(0, 300, size)]
            assert np.array_equal(np.concatenate(pieces), wanted[: size * len(pieces)])


@pytest.mark.parametrize(
    "params",
    [{"num_leaves": 65}, {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, {"zero_as_missing": True},
     {"objective": "cross_entropy"}, {"linear_tree": True}],
    ids=str,
)  # fmt: skip
def test_what_tables_cannot_say_is_left_to_lightgbm(params):
    assert read(booster(**params).model_to_string()) is None


def test_a_model_asked_about_many_rows_answers_as_before(monkeypatch):
    """The family turns to the tables from some row on, and no probability changes by a bit."""
    model, matrix = booster(), strange(5_000)
    family = FAMILIES["lightgbm"]
    before = family.scores(model, matrix)
    monkeypatch.setattr(leaf_tables, "WORTH", 6_000)
    again = family.scores(model, matrix)
    assert leaf_tables.tables_for(model, matrix[:0]) is not None
    assert np.array_equal(again, before)


def test_tables_that_differ_from_the_model_are_not_believed(monkeypatch):
    model, matrix = booster(), strange(5_000)
    monkeypatch.setattr(leaf_tables, "WORTH", 1)
    monkeypatch.setattr(leaf_tables.LeafTables, "raw", lambda _, few: np.zeros(len(few)))
    assert leaf_tables.tables_for(model, matrix) is None
