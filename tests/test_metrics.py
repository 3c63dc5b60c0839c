"""Metrics: the same numbers as scikit-learn, with intervals that hold and cost little."""

import time

import numpy as np
import pytest
from sklearn import metrics as sk

from tahona.core.bootstrap import resamples_for
from tahona.core.metrics import METRICS, compute, metric_names, with_intervals
from tahona.errors import InputError

COST = {"false_positive": 1.0, "false_negative": 5.0}


def predictions(seed, rows, classes, *, ties):
    """Return true codes, probabilities (coarse if there shall be ties) and the likeliest class."""
    random = np.random.default_rng(seed)
    y = random.choice(classes, rows, p=random.dirichlet(np.full(classes, 3.0)))
    y[:classes] = np.arange(classes)
    score = random.normal(size=(rows, classes))
    score[np.arange(rows), y] += 1.0
    proba = np.exp(score)
    proba /= proba.sum(axis=1, keepdims=True)
    if ties:
        proba = np.floor(proba * 10) + 1
        proba /= proba.sum(axis=1, keepdims=True)
    return y, proba, proba.argmax(axis=1)


def scikit_learn(y, proba, decided):
    """Return scikit-learn's numbers under Tahona's names."""
    k = proba.shape[1]
    every = list(range(k))
    one = {"zero_division": 0.0}
    main = {"average": "binary"} if k == 2 else {"average": "macro"}
    hot = np.eye(k)[y]
    return {
        "accuracy": sk.accuracy_score(y, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(y, decided),
        "precision": sk.precision_score(y, decided, **main, **one),
        "recall": sk.recall_score(y, decided, **main, **one),
        "f1": sk.f1_score(y, decided, **main, **one),
        "precision_macro": sk.precision_score(y, decided, average="macro", **one),
        "recall_macro": sk.recall_score(y, decided, average="macro", **one),
        "f1_macro": sk.f1_score(y, decided, average="macro", **one),
        "precision_weighted": sk.precision_score(y, decided, average="weighted", **one),
        "recall_weighted": sk.recall_score(y, decided, average="weighted", **one),
        "f1_weighted": sk.f1_score(y, decided, average="weighted", **one),
        "roc_auc": sk.roc_auc_score(y, proba[:, 1])
        if k == 2
        else np.mean([sk.roc_auc_score(hot[:, label], proba[:, label]) for label in every]),
        "pr_auc": sk.average_precision_score(y, proba[:, 1])
        if k == 2
        else sk.average_precision_score(hot, proba, average="macro"),
        "log_loss": sk.log_loss(y, proba, labels=every),
        "brier": sk.brier_score_loss(y, proba, labels=every),
        "mcc": sk.matthews_corrcoef(y, decided),
        "kappa": sk.cohen_kappa_score(y, decided),
    }


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize(("seed", "rows"), [(1, 40), (2, 171), (3, 3000)])
def test_agrees_with_scikit_learn(seed, rows, classes, ties):
    y, proba, decided = predictions(seed, rows, classes, ties=ties)
    ours = compute(metric_names(), y, proba, decided)
    theirs = scikit_learn(y, proba, decided)
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=1e-12), name


def test_a_model_that_never_says_positive_has_no_precision_and_no_correlation():
    y = np.array([0, 0, 0, 1])
    ours = compute(metric_names(), y, np.full((4, 2), 0.5), np.zeros(4, int))
    assert (ours["precision"], ours["recall"], ours["f1"], ours["mcc"], ours["kappa"]) == (0, 0, 0, 0, 0)
    assert (ours["accuracy"], ours["balanced_accuracy"], ours["roc_auc"]) == (0.75, 0.5, 0.5)


def test_rows_without_the_positive_class_have_no_auc():
    y = np.zeros(5, int)
    ours = compute(["roc_auc", "pr_auc", "accuracy"], y, np.tile([0.7, 0.3], (5, 1)), y)
    assert np.isnan(ours["roc_auc"])
    assert np.isnan(ours["pr_auc"])
    assert ours["accuracy"] == 1.0


def test_margins_are_enough_for_ranks():
    y, proba, _ = predictions(4, 200, 2, ties=False)
    margin = np.log(proba[:, 1] / proba[:, 0])
    assert compute(["roc_auc"], y, margin, None) == pytest.approx(compute(["roc_auc"], y, proba, None), abs=1e-12)


def test_expected_cost_weighs_each_kind_of_mistake():
    y, decided = np.array([0, 0, 1, 1, 1]), np.array([1, 0, 0, 0, 1])
    assert compute(["expected_cost"], y, None, decided, cost=COST) == {"expected_cost": (1 * 1 + 2 * 5) / 5}


@pytest.mark.parametrize(("y", "cost"), [([0, 1], None), ([0, 1, 2], COST)])
def test_expected_cost_without_costs_or_with_three_classes_is_refused(y, cost):
    with pytest.raises(InputError, match="expected_cost needs two classes") as caught:
        compute(["expected_cost"], np.array(y), None, np.array(y), cost=cost)
    assert caught.value.where == "decision.cost"


def test_no_rows_is_an_error_not_a_number():
    with pytest.raises(InputError, match="no row to judge"):
        compute(["accuracy"], np.empty(0, int), None, np.empty(0, int))


def test_few_rows_of_many_classes_are_not_taken_for_two():
    y, decided = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    many = compute(["f1"], y, None, decided, classes=5)["f1"]
    assert many == pytest.approx(sk.f1_score(y, decided, average="macro"))


def test_intervals_are_those_of_rows_drawn_again():
    """The counted bootstrap equals the plain one: draw rows, compute with scikit-learn, take percentiles."""
    y, proba, decided = predictions(5, 120, 2, ties=True)
    ours = with_intervals(["roc_auc", "pr_auc", "f1", "log_loss", "mcc"], y, proba, decided, resamples=50, seed=9)
    random = np.random.default_rng(9)
    plain = []
    for _ in range(50):
        rows = random.integers(0, len(y), len(y))
        plain.append(scikit_learn(y[rows], proba[rows], decided[rows]))
    for name, interval in ours.items():
        low, high = np.quantile([numbers[name] for numbers in plain], [0.025, 0.975])
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12), name


def test_about_19_of_20_intervals_hold_the_truth():
    random = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        right = random.random(150) < 0.8
        interval = with_intervals(["accuracy"], np.ones(150, int), None, right.astype(int), resamples=300, seed=trial)
        held += interval["accuracy"].low <= 0.8 <= interval["accuracy"].high
    assert 180 <= held <= 199


def test_intervals_are_wider_when_rows_come_in_groups():
    """Ten visits of one patient are not ten patients."""
    random = np.random.default_rng(1)
    right = np.repeat(random.random(40) < 0.7, 10).astype(int)
    y = np.ones(400, int)
    alone = with_intervals(["accuracy"], y, None, right, seed=1)["accuracy"]
    grouped = with_intervals(["accuracy"], y, None, right, seed=1, groups=np.repeat(np.arange(40), 10))["accuracy"]
    assert alone.value == grouped.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_resamples_without_a_class_are_left_out():
    y = np.zeros(60, int)
    y[0] = 1
    proba = np.column_stack((np.linspace(0.1, 0.9, 60), np.linspace(0.9, 0.1, 60)))
    auc = with_intervals(["roc_auc"], y, proba, None, seed=3)["roc_auc"]
    assert (auc.value, auc.low, auc.high) == (1.0, 1.0, 1.0)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    y, proba, decided = predictions(6, 300, 3, ties=False)
    first = with_intervals(metric_names(), y, proba, decided, seed=1)
    assert first == with_intervals(metric_names(), y, proba, decided, seed=1)
    assert first != with_intervals(metric_names(), y, proba, decided, seed=2)


def test_all_intervals_of_24000_rows_take_seconds():
    y, proba, decided = predictions(7, 24_000, 2, ties=False)
    start = time.process_time()
    with_intervals(metric_names(cost=True), y, proba, decided, cost=COST, resamples=resamples_for(24_000))
    assert time.process_time() - start < 6


def test_every_metric_has_both_titles_and_a_direction():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title("en")
        assert metric.title("es")
        assert metric.sign == (-1 if name in {"log_loss", "brier", "expected_cost"} else 1)
