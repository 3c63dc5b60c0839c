"""Mixing families: only when it helps rows that did not choose the mixture, and always the same way."""

import time

import numpy as np
import pytest
from sklearn.model_selection import KFold

from tahona.core.metrics import compute
from tahona.learn.ensemble import GAIN, DecisionRule, greedy_weights, mix


def families(seed, rows=2000, noises=(1.0, 1.0, 1.0), classes=2):
    """Return a label and one calibrated-looking opinion of it per noise, each wrong in its own way."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows)
    truth = np.eye(classes)[y]
    probas = {}
    for place, noise in enumerate(noises):
        score = truth + noise * random.normal(size=(rows, classes))
        probas[f"model{place}"] = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    return y, probas


def cut(rows, parts=5):
    return list(KFold(parts).split(np.zeros(rows)))


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1", "mcc"])
@pytest.mark.parametrize("classes", [2, 4])
def test_models_that_err_differently_are_mixed_and_the_mixture_is_better_on_new_rows(metric, classes):
    y, probas = families(1, classes=classes)
    found = greedy_weights(probas, y, cut(len(y)), metric)
    assert len(found.weights) == 3
    assert sum(found.weights.values()) == pytest.approx(1)
    fresh_y, fresh = families(2, classes=classes)
    sign = -1 if metric == "log_loss" else 1

    def value(proba):
        return sign * compute([metric], fresh_y, proba, proba.argmax(axis=1))[metric]

    assert value(mix(fresh, found.weights)) > max(value(proba) for proba in fresh.values())
    assert sign * (found.value - found.best_value) >= GAIN


def test_a_copy_brings_nothing_and_is_not_mixed():
    y, probas = families(3, noises=(1.0,))
    found = greedy_weights({**probas, "copy": probas["model0"]}, y, cut(len(y)), "roc_auc")
    assert found.weights == {}
    assert found.value == found.best_value
    assert found.best == "model0"


def test_noise_beside_a_good_model_is_not_mixed():
    y, probas = families(4, noises=(0.3, 30.0))
    assert greedy_weights(probas, y, cut(len(y)), "log_loss").weights == {}


def test_the_better_of_two_weighs_more():
    y, probas = families(5, noises=(0.8, 1.6))
    weights = greedy_weights(probas, y, cut(len(y)), "log_loss").weights
    assert weights["model0"] > weights["model1"] > 0


def test_pure_luck_is_seldom_mixed():
    """Twelve models that know nothing: their best mixture on its own rows is above .5, on other rows it is not."""
    mixed = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        y = random.integers(0, 2, 300)
        probas = {f"guess{place}": random.dirichlet([5, 5], 300) for place in range(12)}
        mixed += bool(greedy_weights(probas, y, cut(len(y)), "roc_auc").weights)
    assert mixed <= 3


def test_the_threshold_follows_the_cost_on_the_other_folds():
    y, probas = families(6)
    cost = {"false_positive": 1.0, "false_negative": 9.0}
    wise = greedy_weights(probas, y, cut(len(y)), "expected_cost", rule=DecisionRule(cost=cost))
    naive = compute(["expected_cost"], y, None, probas["model0"][:, 1] >= 0.5, cost=cost)["expected_cost"]
    assert wise.best_value < naive
    assert wise.value < wise.best_value


def test_rows_in_no_validation_fold_do_not_count():
    y, probas = families(7, rows=1000)
    gap = {name: np.vstack((np.full((50, 2), np.nan), proba)) for name, proba in probas.items()}
    folds = [(fit + 50, held + 50) for fit, held in cut(1000)]
    with_gap = greedy_weights(gap, np.r_[np.ones(50, int), y], folds, "roc_auc")
    assert with_gap == greedy_weights(probas, y, cut(1000), "roc_auc")


def test_one_family_is_its_own_best():
    y, probas = families(8, noises=(1.0,))
    found = greedy_weights(probas, y, cut(len(y)), "roc_auc")
    assert (found.weights, found.best) == ({}, "model0")


def test_a_mixed_row_alone_and_in_a_batch_has_the_same_bits():
    _, probas = families(9, rows=500)
    weights = {"model2": 0.3, "model0": 0.6, "model1": 0.1}
    whole = mix(probas, weights)
    alone = np.concatenate([mix({k: v[row : row + 1] for k, v in probas.items()}, weights) for row in range(500)])
    other_order = mix(dict(reversed(probas.items())), dict(reversed(weights.items())))
    assert whole.tobytes() == alone.tobytes() == other_order.tobytes()


def test_ninety_thousand_rows_take_seconds():
    y, probas = families(10, rows=90_000, noises=(1.0,) * 5)
    start = time.process_time()
    greedy_weights(probas, y, cut(len(y)), "roc_auc")
    assert time.process_time() - start < 8
