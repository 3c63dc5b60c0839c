"""The gate: minimums, and a paired comparison with the champion on the same test rows."""

import dataclasses
import math

import numpy as np
import pytest

from tahona.core.gate import Comparison, PredictedRows, compare, judge, same_test_rows
from tahona.core.intervals import fold_interval
from tahona.core.records import Interval
from tahona.errors import InputError


def judged(skill, *, seed=0, rows=1000, noise=1.0):
    """Return predictions on the same rows and labels whatever the skill."""
    random = np.random.default_rng(99)
    y = random.integers(0, 2, rows)
    shared = random.normal(size=rows)
    own = np.random.default_rng(seed).normal(size=rows)
    positive = 1 / (1 + np.exp(-(skill * (2 * y - 1) + shared + noise * own)))
    proba = np.column_stack((1 - positive, positive))
    return PredictedRows("table", ("no", "yes"), np.arange(rows) * 3, y, proba, (positive >= 0.5).astype(int))


def shuffled(predictions, seed=4):
    order = np.random.default_rng(seed).permutation(len(predictions.rows))
    parts = {name: getattr(predictions, name)[order] for name in ("rows", "y", "proba", "decided")}
    return dataclasses.replace(predictions, **parts)


def test_a_better_candidate_passes_and_the_worse_one_is_refused():
    weak, strong = judged(0.5, seed=1), judged(1.5, seed=2)
    up, down = compare("roc_auc", strong, weak), compare("roc_auc", weak, strong)
    assert up.low > 0
    assert judge({}, {}, comparison=up).passed
    refused = judge({}, {}, comparison=down)
    assert not refused.passed
    assert "worse than the champion" in refused.reasons[0]


def test_the_same_model_again_is_no_worse():
    same = compare("f1", judged(1.0), judged(1.0))
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert judge({}, {}, comparison=same).passed


def test_less_is_better_for_costs_and_losses():
    weak, strong = judged(0.5, seed=1), judged(1.5, seed=2)
    cost = {"false_positive": 1.0, "false_negative": 5.0}
    for metric in ("log_loss", "brier", "expected_cost"):
        assert compare(metric, strong, weak, cost=cost).difference < 0
        assert judge({}, {}, comparison=compare(metric, strong, weak, cost=cost)).passed
        assert not judge({}, {}, comparison=compare(metric, weak, strong, cost=cost)).passed


@pytest.mark.parametrize(
    ("difference", "low", "high", "passed"),
    [
        (0.02, 0.01, 0.03, True),  # clearly better
        (-0.004, -0.02, 0.01, True),  # within noise and within 1 %
        (-0.004, -0.006, -0.002, False),  # small, but certainly worse
        (-0.03, -0.08, 0.02, False),  # too few rows to be certain, but 3 % worse: no champion by lack of evidence
        (math.nan, math.nan, math.nan, False),
    ],
)
def test_no_worse_needs_both_the_interval_and_the_difference(difference, low, high, passed):
    assert judge({}, {}, comparison=Comparison("f1", difference, low, high, champion=0.9)).passed is passed


def test_pairing_matches_rows_not_positions():
    candidate, champion = judged(1.0, seed=1), judged(0.8, seed=2)
    straight, mixed = compare("f1", candidate, champion, seed=5), compare("f1", candidate, shuffled(champion), seed=5)
    assert straight == mixed


def test_pairing_makes_the_interval_narrower_than_two_separate_ones():
    """Two models that share most mistakes differ by little, and certainly so."""
    candidate, champion = judged(1.0, seed=1, noise=0.1), judged(0.9, seed=2, noise=0.1)
    paired = compare("roc_auc", candidate, champion)
    from tahona.core.metrics import with_intervals

    alone = with_intervals(["roc_auc"], candidate.y, candidate.proba, None)["roc_auc"]
    assert paired.high - paired.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "another table"},
        {"labels": ("yes", "no")},
        {"rows": np.arange(1000) * 3 + 1},
    ],
)
def test_other_test_rows_cannot_be_compared(change):
    candidate = judged(1.0)
    champion = dataclasses.replace(judged(1.0), **change)
    assert not same_test_rows(candidate, champion)
    with pytest.raises(InputError, match="tested on other rows") as caught:
        compare("f1", candidate, champion)
    assert "champion's bundle" in caught.value.fix
    verdict = judge({}, {}, incomparable=caught.value.what)
    assert not verdict.passed
    assert verdict.reasons == ("The champion was tested on other rows than the candidate.",)


def test_minimums_are_least_values_or_greatest_where_less_is_better():
    measured = {"roc_auc": Interval(0.88, 0.86, 0.9), "log_loss": 0.4}
    assert judge(measured, {"roc_auc": 0.85, "log_loss": 0.5}).passed
    verdict = judge(measured, {"roc_auc": 0.9, "log_loss": 0.3})
    assert not verdict.passed
    assert verdict.reasons == (
        "ROC AUC is only 0.8800; at least 0.9000 was asked.",
        "Log loss is 0.4000, too high; at most 0.3000 was asked.",
    )


def test_a_number_that_does_not_exist_is_not_enough():
    assert not judge({"roc_auc": math.nan}, {"roc_auc": 0.5}).passed
    assert not judge({"roc_auc": None}, {"roc_auc": 0.5}).passed


def test_a_minimum_for_an_unmeasured_metric_is_the_users_mistake():
    with pytest.raises(InputError, match="was not measured") as caught:
        judge({"f1": 0.9}, {"expected_cost": 1.0})
    assert caught.value.where == "gate.min.expected_cost"


def test_nothing_to_show_is_said():
    verdict = judge({}, {})
    assert verdict.passed
    assert "no champion" in verdict.reasons[0]
    assert verdict.to_dict() == {"passed": True, "reasons": list(verdict.reasons), "comparison": None}


def test_reasons_speak_spanish():
    verdict = judge({"roc_auc": 0.88}, {"roc_auc": 0.9}, comparison=Comparison("f1", 0.01, 0, 0.02, 0.9), language="es")
    assert verdict.reasons[0] == "AUC ROC: solo 0,8800; se pedía al menos 0,9000."
    assert "no es peor que el campeón" in verdict.reasons[1]


def test_fold_interval_is_wider_than_the_naive_one():
    """Nadeau & Bengio: five folds share training rows, so the naive interval promises too much."""
    values = [0.90, 0.92, 0.88, 0.93, 0.91]
    ours = fold_interval(values, [80] * 5, [20] * 5)
    half = 2.7764451051977987 * math.sqrt((1 / 5 + 0.25) * np.var(values, ddof=1))
    assert ours.value == pytest.approx(0.908)
    assert (ours.low, ours.high) == pytest.approx((0.908 - half, 0.908 + half))
    naive = 2.776 * math.sqrt(np.var(values, ddof=1) / 5)
    assert half > 1.4 * naive


def test_fold_interval_stays_where_the_metric_can_be():
    assert fold_interval([1.0, 0.9, 1.0], [66] * 3, [33] * 3, floor=0.0, ceiling=1.0).high == 1.0


def test_one_fold_has_a_mean_but_no_interval():
    only = fold_interval([0.9, math.nan], [80, 80], [20, 20])
    assert only.value == 0.9
    assert math.isnan(only.low)
    assert math.isnan(only.high)
