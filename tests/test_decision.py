"""The threshold: exact, off the edge, the same every time, and in line with what a mistake costs."""

import numpy as np
import pytest

from tahona.core.decision import choose_threshold, decide, threshold_curve, threshold_reason
from tahona.core.metrics import compute
from tahona.errors import InputError


def scored(seed, rows=300, decimals=2):
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, rows)
    return y, np.clip(np.round(random.normal(0.35 + 0.3 * y, 0.2), decimals), 0, 1)


@pytest.mark.parametrize("goal", ["f1", "balanced_accuracy", "mcc"])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_threshold_does_better(goal, seed):
    y, score = scored(seed)
    chosen = choose_threshold(y, score, maximize=goal)
    best = compute([goal], y, None, score >= chosen)[goal]
    for other in np.linspace(0, 1, 1001):
        assert compute([goal], y, None, score >= other)[goal] <= best + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_no_other_threshold_costs_less(seed):
    y, score = scored(seed)
    cost = {"false_positive": 1.0, "false_negative": 5.0}
    chosen = choose_threshold(y, score, cost=cost)
    least = compute(["expected_cost"], y, None, score >= chosen, cost=cost)["expected_cost"]
    for other in np.linspace(0, 1, 1001):
        assert compute(["expected_cost"], y, None, score >= other, cost=cost)["expected_cost"] >= least - 1e-12


def test_dear_misses_lower_the_threshold():
    y, score = scored(5, rows=2000, decimals=6)
    dear_miss = choose_threshold(y, score, cost={"false_positive": 1.0, "false_negative": 9.0})
    dear_alarm = choose_threshold(y, score, cost={"false_positive": 9.0, "false_negative": 1.0})
    assert dear_miss < 0.5 < dear_alarm


@pytest.mark.parametrize("seed", range(6))
def test_no_score_sits_on_the_edge(seed):
    y, score = scored(seed)
    for rule in ({"maximize": "f1"}, {"cost": {"false_positive": 1.0, "false_negative": 2.0}}):
        chosen = choose_threshold(y, score, **rule)
        assert np.abs(score - chosen).min() > 1e-9


def test_equally_good_thresholds_give_the_one_nearest_to_a_half():
    y = np.array([0, 0, 1, 1, 0, 1, 1])
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.55, 0.6, 0.9])
    # Cutting at .25 (one alarm, no miss) and at .575 (no alarm, two misses) cost the same here: 2.
    chosen = choose_threshold(y, score, cost={"false_positive": 2.0, "false_negative": 1.0})
    assert chosen == pytest.approx(0.575)


def test_neighbouring_floats_still_leave_a_cut_between_them():
    low = 0.7
    high = float(np.nextafter(low, 1))
    chosen = choose_threshold(np.array([0, 1]), np.array([low, high]), maximize="f1")
    assert low < chosen <= high


def test_free_alarms_flag_everybody_and_free_misses_nobody():
    y, score = np.array([0, 1, 0, 1]), np.array([0.0, 0.2, 0.8, 1.0])
    everybody = choose_threshold(y, score, cost={"false_positive": 0.0, "false_negative": 1.0})
    nobody = choose_threshold(y, score, cost={"false_positive": 1.0, "false_negative": 0.0})
    assert (score >= everybody)[y == 1].all()
    assert not (score >= nobody)[y == 0].any()


def test_rows_in_no_validation_fold_do_not_count():
    y, score = scored(1)
    with_gap = choose_threshold(np.r_[y, 1, 0], np.r_[score, np.nan, np.nan], maximize="f1")
    assert with_gap == choose_threshold(y, score, maximize="f1")


def test_a_fixed_threshold_stays_and_no_rule_is_a_half():
    y, score = scored(2)
    assert choose_threshold(y, score, threshold=0.31) == 0.31
    assert choose_threshold(y, score) == 0.5


def test_two_rules_at_once_are_refused():
    y, score = scored(2)
    with pytest.raises(InputError, match="More than one rule"):
        choose_threshold(y, score, threshold=0.3, maximize="f1")


def test_one_class_leaves_the_usual_threshold():
    assert choose_threshold(np.ones(3, int), np.array([0.1, 0.2, 0.3]), maximize="f1") == 0.5


def test_the_threshold_itself_is_positive_and_many_classes_take_the_first_likeliest():
    assert decide(np.array([[0.7, 0.3], [0.71, 0.29]]), 0.3).tolist() == [1, 0]
    assert decide(np.array([[0.4, 0.2, 0.4], [0.1, 0.2, 0.7]])).tolist() == [0, 2]
    assert decide(np.array([[0.4, 0.2, 0.4]]), 0.9).tolist() == [0]


def test_the_curve_shows_the_numbers_of_its_thresholds():
    y, score = scored(3, rows=500, decimals=4)
    cost = {"false_positive": 1.0, "false_negative": 5.0}
    curve = threshold_curve(y, score, cost)
    assert len(curve["threshold"]) <= 200
    assert curve["threshold"] == sorted(curve["threshold"])
    for place in (0, 50, 99, len(curve["threshold"]) - 1):
        said = score >= curve["threshold"][place]
        numbers = compute(["f1", "expected_cost"], y, None, said, cost=cost)
        assert curve["f1"][place] == pytest.approx(numbers["f1"], abs=1e-12)
        assert curve["cost"][place] == pytest.approx(numbers["expected_cost"], abs=1e-12)


def test_the_curve_shows_the_bend_of_a_rare_class():
    """With 1 positive in 1,000 every probability lies under .02; an even grid would show two points of it."""
    random = np.random.default_rng(0)
    score = random.random(20_000) * 0.02
    curve = threshold_curve(np.arange(20_000) % 1000 == 0, score)
    assert sum(threshold < 0.02 for threshold in curve["threshold"]) > 50
    assert curve["cost"] == []


@pytest.mark.parametrize(
    ("rule", "english", "spanish"),
    [
        ({"threshold": 0.4}, "Fixed in the project file.", "Fijado en el archivo del proyecto."),
        ({"maximize": "f1"}, "highest F1", "mayor valor de F1"),
        ({"cost": {"false_positive": 1.5, "false_negative": 5}}, "1.5 per false positive", "1,5 por falso positivo"),
        ({}, "The usual one", "El habitual"),
    ],
)
def test_the_reason_says_which_rule_chose(rule, english, spanish):
    assert english in threshold_reason(**rule)
    assert spanish in threshold_reason(**rule, language="es")
