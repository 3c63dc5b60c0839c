"""Calibration: probabilities that hold, the order of the rows kept, the same bits alone and in a batch."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from tahona.core.metrics import compute
from tahona.errors import InputError
from tahona.learn.calibration import Calibrator, Sigmoid, fit_calibrator

KINDS = ["none", "sigmoid", "isotonic"]


def overconfident(seed, rows=4000, classes=2, exaggeration=3.0):
    """Return probabilities that are `exaggeration` times too sure (in log odds), and the classes they speak of."""
    random = np.random.default_rng(seed)
    true = random.normal(size=(rows, classes)) * 1.2
    share = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    y = np.array([random.choice(classes, p=row) for row in share])
    loud = np.exp(true * exaggeration)
    return loud / loud.sum(axis=1, keepdims=True), y


def cut(y, parts=5):
    return list(StratifiedKFold(parts).split(np.zeros(len(y)), y))


def fit(scores, y, kind, gives="probability", classes=2):
    return fit_calibrator(scores, y, classes=classes, kind=kind, gives=gives, folds=cut(y), seed=0)


def log_loss(y, proba):
    return compute(["log_loss"], y, proba, None)["log_loss"]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", ["sigmoid", "isotonic"])
def test_too_sure_probabilities_come_down_on_new_rows(kind, classes):
    scores, y = overconfident(1, classes=classes)
    fresh, truth = overconfident(2, classes=classes)
    calibrated = fit(scores, y, kind, classes=classes).apply(fresh)
    assert log_loss(truth, calibrated) < log_loss(truth, fresh) - 0.05
    assert calibrated.sum(axis=1) == pytest.approx(np.ones(len(fresh)), abs=1e-12)
    assert calibrated.min() > 0
    assert calibrated.max() < 1


def test_probabilities_that_hold_are_left_alone():
    honest, y = overconfident(3, exaggeration=1.0)
    calibrator = fit(honest, y, "auto")
    assert calibrator.kind == "none"
    assert np.array_equal(calibrator.apply(honest), honest)


def test_auto_mends_what_needs_mending():
    scores, y = overconfident(4)
    assert fit(scores, y, "auto").kind == "sigmoid"


def test_auto_takes_steps_for_a_curve_that_is_no_sigmoid():
    random = np.random.default_rng(5)
    score = random.random(20_000)
    y = (random.random(20_000) < np.where(score < 0.5, 0.1, np.where(score < 0.9, 0.3, 0.95))).astype(int)
    assert fit(np.column_stack((1 - score, score)), y, "auto").kind == "isotonic"


def test_auto_does_not_trust_a_model_that_called_the_truth_impossible():
    honest, y = overconfident(6, rows=1000, exaggeration=1.0)
    honest[0] = [1.0, 0.0] if y[0] == 1 else [0.0, 1.0]
    assert fit(honest, y, "auto").kind != "none"


@pytest.mark.parametrize("kind", ["none", "auto", "sigmoid"])
def test_margins_never_pass_as_probabilities(kind):
    scores, y = overconfident(7)
    margin = np.log(scores[:, 1] / scores[:, 0])
    calibrator = fit(margin, y, kind, gives="margin")
    assert calibrator.kind == ("none" if kind == "none" else "sigmoid")
    proba = calibrator.apply(margin)
    assert proba.shape == (len(y), 2)
    assert np.array_equal(np.argsort(margin, kind="stable"), np.argsort(proba[:, 1], kind="stable"))


def test_an_uncalibrated_margin_decides_as_the_estimator_does():
    scores, y = overconfident(7)
    margin = np.log(scores[:, 1] / scores[:, 0]) - 0.3
    proba = fit(margin, y, "none", gives="margin").apply(margin)
    assert np.array_equal(proba[:, 1] >= 0.5, margin >= 0)


def test_margins_of_many_classes_become_probabilities():
    scores, y = overconfident(8, classes=3)
    margins = np.log(scores) * 5
    proba = fit(margins, y, "auto", gives="margin", classes=3).apply(margins)
    assert proba.sum(axis=1) == pytest.approx(np.ones(len(y)))
    assert log_loss(y, proba) < 1.0


def test_the_sigmoid_is_that_of_platt():
    """The curve solves the same equation as an unpenalised logistic regression on Platt's smoothed targets."""
    scores, y = overconfident(9, rows=500)
    margin = np.log(scores[:, 1] / scores[:, 0])
    ours = fit(margin, y, "sigmoid", gives="margin").curves[0]
    up, down = (y == 1).sum(), (y == 0).sum()
    target = np.where(y == 1, (up + 1) / (up + 2), 1 / (down + 2))
    twice = LogisticRegression(C=np.inf, tol=1e-10).fit(
        np.r_[margin, margin][:, None], np.r_[np.ones(500), np.zeros(500)], sample_weight=np.r_[target, 1 - target]
    )
    assert (ours.slope, ours.offset) == pytest.approx((twice.coef_[0, 0], twice.intercept_[0]), rel=1e-4)


@pytest.mark.parametrize("kind", ["sigmoid", "isotonic"])
def test_auc_is_not_lost_in_ties(kind):
    scores, y = overconfident(10)
    fresh, truth = overconfident(11)
    proba = fit(scores, y, kind).apply(fresh)
    before = compute(["roc_auc"], truth, fresh, None)["roc_auc"]
    assert compute(["roc_auc"], truth, proba, None)["roc_auc"] == pytest.approx(before, abs=1e-6)


def test_a_model_that_knows_nothing_becomes_the_base_rate_not_its_own_opposite():
    """Out of fold, a dummy's prior runs against the label: where positives were held out, fewer are left."""
    y = np.tile([0, 0, 1], 100)
    against = np.where(y == 1, 0.32, 0.34)
    proba = fit(np.column_stack((1 - against, against)), y, "sigmoid").apply(np.array([[0.5, 0.5], [0.1, 0.9]]))
    assert proba[:, 1] == pytest.approx([1 / 3, 1 / 3], abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("gives", "classes"), [("probability", 2), ("margin", 2), ("probability", 3), ("margin", 3)])
def test_a_row_alone_and_in_a_batch_gets_the_same_bits(kind, gives, classes):
    scores, y = overconfident(12, rows=1500, classes=classes)
    if gives == "margin":
        scores = np.log(scores[:, 1] / scores[:, 0]) if classes == 2 else np.log(scores)
    calibrator = fit(scores, y, kind, gives=gives, classes=classes)
    whole = calibrator.apply(scores)
    alone = np.concatenate([calibrator.apply(scores[row : row + 1]) for row in range(len(y))])
    sevens = np.concatenate([calibrator.apply(scores[row : row + 7]) for row in range(0, len(y), 7)])
    turned = calibrator.apply(np.asfortranarray(scores))
    assert whole.tobytes() == alone.tobytes() == sevens.tobytes() == np.ascontiguousarray(turned).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibrator_survives_json_bit_by_bit(kind):
    scores, y = overconfident(13, classes=3)
    calibrator = fit(scores, y, kind, classes=3)
    again = Calibrator.from_dict(json.loads(json.dumps(calibrator.to_dict())))
    assert again == calibrator
    assert again.apply(scores).tobytes() == calibrator.apply(scores).tobytes()


def test_a_calibrator_of_a_newer_format_is_refused():
    with pytest.raises(InputError, match="format 2"):
        Calibrator.from_dict({"format": 2})


def test_rows_in_no_validation_fold_do_not_count():
    scores, y = overconfident(14, rows=600)
    gap = np.full((100, 2), np.nan)
    folds = [(fit_rows + 100, held + 100) for fit_rows, held in cut(y)]
    with_gap = fit_calibrator(
        np.r_[gap, scores], np.r_[np.ones(100, int), y], classes=2, kind="sigmoid", gives="probability", folds=folds
    )
    assert with_gap == fit(scores, y, "sigmoid")


def test_huge_margins_do_not_overflow():
    assert Sigmoid(1.0, 0.0)(np.array([-1e308, 0.0, 1e308])) == pytest.approx([0.0, 0.5, 1.0])


@pytest.mark.parametrize("kind", ["sigmoid", "isotonic"])
def test_perfectly_told_classes_stay_away_from_certainty(kind):
    y = np.repeat([0, 1], 50)
    margin = np.where(y == 1, 2.0, -2.0) + np.linspace(0, 0.1, 100)
    proba = fit(margin, y, kind, gives="margin").apply(np.array([-2.0, 2.0]))
    assert 0.005 < proba[0, 1] < 0.03
    assert 0.97 < proba[1, 1] < 0.995
