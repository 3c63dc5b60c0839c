"""Mixing families, or a family's trials: only when it helps rows that did not choose it, and always the same way."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import QUICK, Command, output, outputs, write_project
from sklearn.model_selection import KFold
from tables import Rows, noisy_rows, noisy_table

import tahona as public
from tahona.core.metrics import compute
from tahona.executors.inline import InlineExecutor
from tahona.learn.ensemble import GAIN, DecisionRule, greedy_weights, mix
from tahona.learn.families import FAMILIES
from tahona.learn.families.boosting import read_lightgbm
from tahona.learn.model import load_model, save_model
from tahona.learn.search import MEMBERS, MIX_GAIN


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


# ------------------------------------------------------------------------------------------------ trials of a family


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Rows on which LightGBM's configurations err differently."""
    return noisy_rows(rows=900, seed=1)


@pytest.mark.parametrize(("family", "classes"), [("lightgbm", 2), ("xgboost", 2), ("lightgbm", 3)])
def test_a_mixture_of_trials_has_the_same_bits_saved_alone_and_in_any_batch(
    family: str, classes: int, tmp_path: Path
) -> None:
    rows = noisy_rows(rows=900, seed=1) if classes == 2 else noisy_rows(classes=3, rows=600, seed=5)
    result = rows.search(family, tmp_path / "notes", metric="log_loss")
    model = result.model
    assert len(model.estimators) == len(model.weights) == len(result.members) > 1
    assert sum(model.weights) == pytest.approx(1)
    assert min(model.weights) > 0
    save_model(model, tmp_path / "model")
    suffix = {"lightgbm": "txt", "xgboost": "ubj"}[family]
    files = sorted(path.name for path in (tmp_path / "model").glob(f"*.{suffix}"))
    assert files == sorted(f"model{f'_{place}' if place else ''}.{suffix}" for place in range(len(model.weights)))
    again = load_model(tmp_path / "model")
    scores, decided = model.predict(rows.columns)
    assert np.array_equal(decided, scores.argmax(axis=1))
    assert scores.sum(axis=1) == pytest.approx(1)
    for size in (1, 7, 900):
        cuts = [slice(start, start + size) for start in range(0, 150 if size == 1 else len(rows.y), size)]
        parts = [again.predict({name: values[cut] for name, values in rows.columns.items()}) for cut in cuts]
        whole = np.concatenate([part for part, _ in parts])
        assert whole.tobytes() == scores[: len(whole)].tobytes(), size
        assert np.array_equal(np.concatenate([part for _, part in parts]), decided[: len(whole)])


def test_a_mixture_is_its_members_by_weight_and_was_better_out_of_fold(rows: Rows, tmp_path: Path) -> None:
    """Each member alone is its trial's parameters and rounds, fitted on all rows."""
    result = rows.search("lightgbm", tmp_path / "mixed", metric="log_loss")
    trials = {trial.number: trial for trial in result.trials}
    best = min(result.trials, key=lambda trial: trial.value)
    assert best.value - np.mean(result.fold_values) >= MIX_GAIN
    assert 1 < len(result.members) <= MEMBERS
    assert result.members[0][0] == best.number
    total, out_of_fold = np.zeros((len(rows.y), 2)), np.zeros((len(rows.y), 2))
    for place, (number, weight) in enumerate(result.members):
        trial = trials[number]
        params = {**trial.params, "n_estimators": trial.rounds}
        only = rows.search(
            "lightgbm", tmp_path / str(place), metric="log_loss", space={key: (value,) for key, value in params.items()}
        )
        booster = result.model.estimators[place]
        assert booster.current_iteration() == trial.rounds
        assert booster.model_to_string() == only.model.estimators[0].model_to_string()
        total += weight * only.model.scores(rows.columns)
        stopped = rows.search(
            "lightgbm",
            tmp_path / f"{place}_stopped",
            metric="log_loss",
            space={key: (value,) for key, value in trial.params.items()},
        )
        out_of_fold += weight * stopped.oof
    np.testing.assert_allclose(result.model.scores(rows.columns), total, atol=1e-12)
    np.testing.assert_allclose(result.oof, out_of_fold, atol=1e-12)
    assert np.array_equal(result.oof_decided, result.oof.argmax(axis=1))


def test_where_mixing_brings_little_the_best_trial_stands_alone(tmp_path: Path) -> None:
    rows = noisy_rows()
    result = rows.search("lightgbm", tmp_path, metric="log_loss")
    best = min(result.trials, key=lambda trial: trial.value)
    assert result.members == ((best.number, 1.0),)
    assert result.model.weights == (1.0,)
    assert result.fold_values == best.fold_values


def test_a_family_without_boosting_rounds_is_never_mixed_with_itself(rows: Rows, tmp_path: Path) -> None:
    for family in ("tree", "knn"):
        assert FAMILIES[family].rounds is None
        result = rows.search(family, tmp_path, metric="log_loss", executor=InlineExecutor())
        assert len(result.trials) > 1
        assert [weight for _, weight in result.members] == [1.0]


BOOSTED = (
    QUICK.partition("[train.search.tree]")[0]
    .replace('"tree", "logistic_regression"', '"lightgbm"')
    .replace('metric = "roc_auc"', 'metric = "log_loss"')
    .replace('positive = "yes"', "positive = 1")
)


def test_a_run_names_the_members_of_a_mixture_and_its_bundle_predicts_as_it_was_judged(
    tmp_path: Path, here: Command
) -> None:
    folder = write_project(tmp_path / "quick", BOOSTED, noisy_table(1000, seed=4))
    assert here("run", "-C", folder).code == 0
    found = json.loads(output(folder, "train@lightgbm", "search.json").read_text("utf-8"))
    members = found["members"]
    assert len(members) > 1
    assert sum(member["weight"] for member in members) == pytest.approx(1)
    names = [f"model/model{f'_{place}' if place else ''}.txt" for place in range(len(members))]
    assert {name for name in outputs(folder, "train@lightgbm") if name.endswith(".txt")} == set(names)
    for name, member in zip(names, members, strict=True):
        trial = found["trials"][member["number"]]
        assert trial["number"] == member["number"]
        booster = read_lightgbm(output(folder, "train@lightgbm", name).read_text("utf-8"))
        assert booster.current_iteration() == trial["rounds"]
    said = pd.read_parquet(output(folder, "evaluate", "predictions.parquet"))
    raw = pd.read_csv(folder / "table.csv").drop(columns="label").iloc[said["_row"]]
    answer = public.load_bundle("quick@champion", project=folder).predict(raw)
    assert np.array_equal(answer["probability_1"].to_numpy(), said["probability_1"].to_numpy())


def test_the_dummy_alone_is_a_run_that_the_gate_judges(tmp_path: Path, here: Command) -> None:
    """There is nothing to mix. Whoever asks nothing of the gate gets a champion and a warning."""
    folder = write_project(tmp_path / "quick")
    alone = ("run", "-C", folder, "--json", "--set", 'train.models=["dummy"]')
    answer = here(*alone)
    assert answer.code == 0, answer.stderr
    board = json.loads(output(folder, "select", "leaderboard.json").read_text("utf-8"))
    assert (board["chosen"], board["weights"]) == ("dummy", {"dummy": 1.0})
    assert [row["model"] for row in board["rows"]] == ["dummy"]
    assert "not certainly better than the dummy" in answer.stderr + answer.stdout
    asked = here(*alone, "--set", "gate.min.roc_auc=0.6")
    assert asked.code == 0
    versions = here("models", "-C", folder, "--json").document["models"]
    assert [(version["number"], version["gate_passed"]) for version in versions] == [(2, False), (1, True)]
