"""Explanations: what each raw column adds to a row's score, up to the score itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from bundles import fitted_model

from tahona.bundle.bundle import Bundle, Member
from tahona.bundle.explain import Explanation, explain
from tahona.bundle.predict import score
from tahona.core.schema import Schema
from tahona.errors import InputError
from tahona.learn.calibration import Calibrator
from tahona.learn.columns import Columns, infer_schema, take, to_columns, to_labels
from tahona.learn.families import FAMILIES
from tahona.learn.model import FittedModel

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
    model = fitted_model(name, params, *learnt)
    return Member(model, Calibrator("none", FAMILIES[name].gives, model.classes), weight)


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
        ("tree", {"max_depth": 4}, 1e-9),
        ("random_forest", {"n_estimators": 12}, 1e-9),
        ("random_forest", {"n_estimators": 12, "class_weight": "balanced"}, 1e-9),
        ("extra_trees", {"n_estimators": 12}, 1e-9),
        ("hist_gradient_boosting", {"max_iter": 12}, 1e-9),
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
    assert (np.abs(told.values).max(axis=0) > 0).sum() >= (1 if name == "tree" else 2)
    scores = bundle.members[0].model.scores(take(learnt[0], slice(0, 40)))
    if told.units == "margin":
        wanted = scores if scores.ndim == 1 else scores[np.arange(40), codes]
        np.testing.assert_allclose(told.score, wanted, rtol=0, atol=1e-12)
    elif told.units == "probability":
        wanted = scores[:, 1] if classes == 2 else scores[np.arange(40), codes]
        np.testing.assert_allclose(told.score, wanted, rtol=0, atol=1e-12)
    elif told.units == "log-odds" and classes == 2:
        np.testing.assert_allclose(probability(told), scores[:, 1], rtol=0, atol=max(near, 1e-9) / 10)
    assert set(told.of) == ({"class 1"} if classes == 2 else {bundle.schema.labels[code] for code in codes})


def numbers_alone(rows: int = 200) -> Learnt:
    """Return three numbers, one of them with nulls, and a label that depends on how they come together."""
    draw = np.random.default_rng(2)
    first, second, third = draw.normal(size=(3, rows))
    label = np.where(first * second + 0.5 * third > 0, "yes", "no")
    frame = pd.DataFrame({"a": np.where(draw.random(rows) < 0.1, np.nan, first), "b": second, "c": third, "y": label})
    schema, _ = infer_schema(frame, target="y", positive="yes")
    return to_columns(frame, schema), to_labels(frame["y"], schema), schema


@pytest.mark.parametrize("weight", [None, "balanced"])
def test_a_trees_values_are_shapleys_by_the_definition(weight):
    """Over all sets of known columns, where an unknown one splits the row by the training rows' weights."""
    learnt = numbers_alone()
    bundle = bundle_of(learnt, member("tree", {"max_depth": 5, "class_weight": weight}, learnt))
    model = bundle.members[0].model
    tree, some = model.estimators[0].tree_, take(learnt[0], slice(0, 15))
    cells = np.asarray(model.encoding.apply(some), dtype=np.float32)
    told = explain(bundle, some, np.ones(15, dtype=np.int64))

    def expected(row: np.ndarray, known: frozenset[int], node: int = 0) -> float:
        left, right, column = tree.children_left[node], tree.children_right[node], tree.feature[node]
        if left < 0:
            return float(tree.value[node, 0, 1])
        if column not in known:
            shares = tree.weighted_n_node_samples[[left, right]] / tree.weighted_n_node_samples[node]
            return shares @ [expected(row, known, left), expected(row, known, right)]
        goes_left = tree.missing_go_to_left[node] if np.isnan(row[column]) else row[column] <= tree.threshold[node]
        return expected(row, known, left if goes_left else right)

    for place, row in enumerate(cells):
        for column in range(3):
            others = [other for other in range(3) if other != column]
            value = 0.0
            for known, share in ((set(), 1 / 3), ({others[0]}, 1 / 6), ({others[1]}, 1 / 6), (set(others), 1 / 3)):
                gained = expected(row, frozenset(known | {column})) - expected(row, frozenset(known))
                value += share * gained
            assert told.values[place, column] == pytest.approx(value, abs=1e-7)
        assert told.base[place] == pytest.approx(expected(row, frozenset()), abs=1e-7)


def test_trees_that_would_take_minutes_are_refused(monkeypatch):
    from tahona.bundle import shapley

    monkeypatch.setattr(shapley, "MOST_STEPS", 100)
    learnt = numbers_alone()
    for name, params in (("random_forest", {"n_estimators": 8}), ("hist_gradient_boosting", {"max_iter": 8})):
        bundle = bundle_of(learnt, member(name, params, learnt))
        with pytest.raises(InputError, match="too many and too deep"):
            explain(bundle, learnt[0], learnt[1])


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
