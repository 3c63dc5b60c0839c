"""Explanations: what each raw column adds to a row's score, up to the score itself."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tahona.bundle.bundle import Bundle, Member
from tahona.bundle.explain import Explanation, explain
from tahona.bundle.predict import score
from tahona.core.schema import Schema
from tahona.errors import InputError
from tahona.learn.calibration import Calibrator
from tahona.learn.columns import Columns, infer_schema, take, to_columns, to_labels
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.model import FittedModel, fit_estimator

Learnt = tuple[Columns, np.ndarray, Schema]
ROWS = 300


def table(classes: int, *, text: bool) -> Learnt:
    """Return numbers with nulls, a category, a date, perhaps text, and a label that depends on most of it."""
    draw = np.random.default_rng(5)
    label = draw.integers(0, classes, ROWS)
    frame = pd.DataFrame(
        {
            "age": np.where(draw.random(ROWS) < 0.1, np.nan, draw.normal(40, 9, ROWS) + 5 * label),
            "kind": np.where(draw.random(ROWS) < 0.6, label, draw.integers(0, 3, ROWS)).astype(str),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, ROWS), unit="D"),
            "group": [f"class {code}" for code in label],
        }
    )
    kinds = {"kind": "category"}
    if text:
        words = np.array(["depresión", "niño", "dolor", "tos", "fiebre", "corazón", "pulmón", "estómago", "ansiedad"])
        frame["note"] = [" ".join(draw.choice(words[code * 3 :], 6)) for code in label]
        kinds["note"] = "text"
    schema, _ = infer_schema(frame, target="group", types=kinds)
    return to_columns(frame, schema), to_labels(frame["group"], schema), schema


def member(name: str, params: dict, learnt: Learnt, weight: float = 1.0) -> Member:
    columns, y, schema = learnt
    family = FAMILIES[name]
    encoding = fit_encoding(columns, schema, family.wants)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator, seen, _ = fit_estimator(
            family, params, encoding.apply(columns), y, seed=1, categorical=encoding.categorical
        )
    model = FittedModel(name, params, encoding, (estimator,), len(schema.labels), seen, len(y))
    return Member(model, Calibrator("none", family.gives, len(schema.labels)), weight)


def bundle_of(learnt: Learnt, *members: Member) -> Bundle:
    return Bundle("told", learnt[2], members, 0.5 if learnt[2].binary else None)


def explained(bundle: Bundle, columns: Columns, rows: slice = slice(0, 40)) -> tuple[Explanation, np.ndarray]:
    """Return the explanation of some rows, and the class decided for each."""
    some = take(columns, rows)
    codes = np.argmax(bundle.members[0].model.scores(some).reshape(len(some["age"]), -1), axis=1)
    if bundle.schema.binary:
        codes = np.zeros(len(codes), dtype=np.int64)  # what was decided must not matter
    return explain(bundle, some, codes), codes


def probability(told: Explanation) -> np.ndarray:
    return 1 / (1 + np.exp(-told.score))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("name", "params", "near"),
    [
        ("logistic_regression", {}, 1e-9),
        ("logistic_regression", {"solver": "liblinear"}, 1e-9),
        ("linear_svc", {}, 1e-9),
        ("lightgbm", {"n_estimators": 20}, 1e-9),
        ("xgboost", {"n_estimators": 20}, 1e-4),
    ],
)
def test_base_and_contributions_add_up_to_the_score(name, params, near, classes, text):
    """The score is the one behind the bundle's own probability, and every raw column has one number."""
    if name == "xgboost":
        pytest.importorskip("xgboost")
    learnt = table(classes, text=text)
    bundle = bundle_of(learnt, member(name, params, learnt))
    told, codes = explained(bundle, learnt[0])
    assert told.columns == bundle.schema.names
    np.testing.assert_allclose(told.base + told.values.sum(axis=1), told.score, rtol=0, atol=near)
    assert (np.abs(told.values).max(axis=0) > 0).sum() >= 2
    scores = bundle.members[0].model.scores(take(learnt[0], slice(0, 40)))
    if told.units == "margin":
        wanted = scores if scores.ndim == 1 else scores[np.arange(40), codes]
        np.testing.assert_allclose(told.score, wanted, rtol=0, atol=1e-12)
    elif told.units == "log-odds" and classes == 2:
        np.testing.assert_allclose(probability(told), scores[:, 1], rtol=0, atol=max(near, 1e-9) / 10)
    assert set(told.of) == ({"class 1"} if classes == 2 else {bundle.schema.labels[code] for code in codes})


def test_a_linear_model_is_explained_as_by_hand():
    """Weight times how many deviations the number lies above its training mean; the level's weight alone."""
    learnt = table(2, text=False)
    bundle = bundle_of(learnt, member("logistic_regression", {}, learnt))
    model = bundle.members[0].model
    told, _ = explained(bundle, learnt[0])
    weights = dict(zip(model.encoding.names, model.estimators[0].coef_[0], strict=True))
    age = learnt[0]["age"]
    filled = np.where(np.isnan(age), np.nanmedian(age), age)
    risen = weights["age"] * (filled - filled.mean()) / filled.std() + weights["age=(null)"] * np.isnan(age)
    np.testing.assert_allclose(told.values[:, 0], risen[:40], rtol=0, atol=1e-9)
    level = [weights[f"kind={kind}"] for kind in learnt[0]["kind"][:40]]
    np.testing.assert_allclose(told.values[:, 1], level, rtol=0, atol=1e-12)
    np.testing.assert_allclose(told.base, model.estimators[0].intercept_[0], rtol=0, atol=0)


def test_a_support_vector_machine_with_a_plain_product_is_linear():
    learnt = table(2, text=False)
    bundle = bundle_of(learnt, member("svc", {"kernel": "linear"}, learnt))
    told, _ = explained(bundle, learnt[0])
    assert told.units == "margin"
    np.testing.assert_allclose(told.base + told.values.sum(axis=1), told.score, rtol=0, atol=1e-9)


def test_a_mixture_is_the_sum_of_its_members_by_their_shares():
    learnt = table(2, text=False)
    boosted, linear = (
        member("lightgbm", {"n_estimators": 9}, learnt, 0.75),
        member("logistic_regression", {}, learnt, 0.25),
    )
    mixed, _ = explained(bundle_of(learnt, boosted, linear), learnt[0])
    one, _ = explained(bundle_of(learnt, Member(boosted.model, boosted.calibrator)), learnt[0])
    other, _ = explained(bundle_of(learnt, Member(linear.model, linear.calibrator)), learnt[0])
    np.testing.assert_allclose(mixed.values, 0.75 * one.values + 0.25 * other.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(mixed.base + mixed.values.sum(axis=1), mixed.score, rtol=0, atol=1e-9)
    assert mixed.units == "log-odds"


def test_models_that_are_averaged_are_explained_together():
    learnt = table(3, text=False)
    first, second = (member("lightgbm", {"n_estimators": count}, learnt).model for count in (5, 9))
    both = FittedModel(
        "lightgbm", {}, first.encoding, (*first.estimators, *second.estimators), 3, first.seen, ROWS, (0.5, 0.5)
    )
    bundle = bundle_of(learnt, Member(both, Calibrator("none", "probability", 3)))
    told = explain(bundle, learnt[0], score(bundle, learnt[0])[1])
    np.testing.assert_allclose(told.base + told.values.sum(axis=1), told.score, rtol=0, atol=1e-9)


def test_the_other_class_of_two_that_were_seen_is_the_first_turned_round():
    """Of three classes the training rows showed two: each one's explanation is that of the other, negated."""
    columns, y, schema = table(3, text=False)
    rows = np.flatnonzero(y != 1)
    learnt = (take(columns, rows), y[rows], schema)
    bundle = bundle_of(learnt, member("lightgbm", {"n_estimators": 9}, learnt))
    some = take(columns, slice(0, 20))
    first, last = explain(bundle, some, np.zeros(20, np.int64)), explain(bundle, some, np.full(20, 2))
    np.testing.assert_array_equal(first.values, -last.values)
    np.testing.assert_array_equal(first.score, -last.score)
    with pytest.raises(InputError, match="not explained"):
        explain(bundle, some, np.ones(20, np.int64))


def test_what_is_not_explained_says_so():
    learnt = table(2, text=False)
    for name, params, words in (
        ("knn", {}, "knn is not explained"),
        ("svc", {}, "linear kernel only"),
    ):
        with pytest.raises(InputError, match=words):
            explained(bundle_of(learnt, member(name, params, learnt)), learnt[0])
    linear, margin = member("logistic_regression", {}, learnt, 0.5), member("linear_svc", {}, learnt, 0.5)
    with pytest.raises(InputError, match="different units"):
        explained(bundle_of(learnt, linear, margin), learnt[0])
