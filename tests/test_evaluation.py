"""The evaluation: true numbers, curves that can be drawn, and warnings where a number misleads."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from tahona.core.findings import Finding
from tahona.core.metrics import compute
from tahona.core.records import Interval
from tahona.core.schema import Column, Schema
from tahona.errors import InputError
from tahona.learn.curves import calibration_points, ranked_curves
from tahona.learn.evaluation import HeldOut, Prediction, evaluate_predictions
from tahona.learn.importance import permutation_importance

COST = {"false_positive": 1.0, "false_negative": 5.0}
REAL = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))


def prediction(proba, threshold=0.5):
    decided = (proba[:, 1] >= threshold).astype(int) if proba.shape[1] == 2 else proba.argmax(axis=1)
    return Prediction(proba, decided)


def dummy(y, classes):
    return prediction(np.tile(np.bincount(y, minlength=classes) / len(y), (len(y), 1)))


def table(seed=0, count=600, classes=2, skill=2.0, share=0.5):
    """Return test rows with a category, a number, a date and a text, and a model's prediction of them."""
    random = np.random.default_rng(seed)
    y = (random.random(count) < share).astype(int) if classes == 2 else random.integers(0, classes, count)
    score = skill * np.eye(classes)[y] + random.normal(size=(count, classes))
    proba = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    city = random.choice(np.array(["Málaga", "Oviedo", None], dtype=object), count, p=[0.6, 0.3, 0.1])
    columns = {
        "city": city,
        "age": random.normal(50, 10, count),
        "when": random.integers(1.5e9, 1.6e9, count).astype(float),
        "note": np.array(["secret"] * count, dtype=object),
    }
    schema = Schema(
        (
            Column("city", "category", levels=("Málaga", "Oviedo")),
            Column("age", "numeric"),
            Column("when", "datetime"),
            Column("note", "text"),
        ),
        target="label",
        labels=("no", "yes") if classes == 2 else tuple("abcdefghijklmnop"[:classes]),
        positive="yes" if classes == 2 else None,
    )
    rows = HeldOut(schema, columns, y)
    return rows, {"dummy": dummy(y, classes), "tree": prediction(proba)}


def evaluate(rows, predictions, **more):
    document = evaluate_predictions(
        rows, predictions, **{"chosen": "tree", "metric": "f1" if len(rows.schema.labels) == 2 else "f1_macro", **more}
    )
    return json.loads(json.dumps(document, allow_nan=False))


def kinds(document):
    return [finding["kind"] for finding in document["findings"]]


def test_every_metric_of_every_candidate_has_an_interval_around_it():
    rows, predictions = table()
    document = evaluate(rows, predictions, cost=COST, threshold=0.5)
    assert set(document["candidates"]) == {"tree"}
    assert document["candidates"]["tree"] == document["metrics"]
    expected = compute(
        ["f1", "expected_cost"], rows.y, predictions["tree"].proba, predictions["tree"].decided, cost=COST
    )
    for name, value in expected.items():
        assert document["metrics"][name]["value"] == value
    for interval in document["metrics"].values():
        assert interval["low"] <= interval["value"] <= interval["high"]
    assert document["dummy"]["f1"]["value"] == pytest.approx(0, abs=0.7)


def test_the_confusion_matrix_has_true_classes_down():
    rows, predictions = table(classes=3)
    document = evaluate(rows, predictions)
    expected = sk.confusion_matrix(rows.y, predictions["tree"].decided).tolist()
    assert document["confusion"] == {"labels": ["a", "b", "c"], "matrix": expected}
    assert document["confusions"] == {"tree": expected}


def test_the_class_that_matters_comes_first():
    document = evaluate(*table())
    assert [row["label"] for row in document["per_class"]] == ["yes", "no"]
    rows, predictions = table(classes=3)
    by_class = evaluate(rows, predictions)["per_class"]
    _, recall, f1, support = sk.precision_recall_fscore_support(rows.y, predictions["tree"].decided)
    for code, row in enumerate(by_class):
        assert (row["rows"], row["recall"], row["f1"]) == (
            support[code],
            pytest.approx(recall[code]),
            pytest.approx(f1[code]),
        )


@pytest.mark.parametrize("ties", [False, True])
def test_curves_enclose_the_areas_that_the_tables_state(ties):
    random = np.random.default_rng(1)
    y = random.integers(0, 2, 20_000)
    score = 1 / (1 + np.exp(-(random.normal(size=20_000) + 1.5 * y)))
    score = np.round(score, 1) if ties else score
    roc, pr = ranked_curves(y == 1, score)
    assert max(len(roc["x"]), len(pr["x"])) <= 200
    assert (roc["x"][0], roc["y"][0], roc["x"][-1], roc["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["y"], roc["x"]) == pytest.approx(sk.roc_auc_score(y, score), abs=2e-3)
    if not ties:
        assert np.trapezoid(pr["y"], pr["x"]) == pytest.approx(sk.average_precision_score(y, score), abs=5e-3)


def test_calibration_points_hold_all_rows_in_about_equal_bins():
    random = np.random.default_rng(2)
    proba = random.random(5000) ** 3
    points = calibration_points(random.random(5000) < proba, proba)
    assert sum(points["count"]) == 5000
    assert len(points["count"]) == 10
    assert max(points["count"]) - min(points["count"]) <= 2
    assert points["observed"] == pytest.approx(points["predicted"], abs=0.06)


def test_probabilities_of_one_value_make_one_calibration_point():
    points = calibration_points(np.array([True, False, False, False]), np.full(4, 0.25))
    assert points == {"predicted": [0.25], "observed": [0.25], "count": [4]}


def test_curves_of_many_classes_are_by_label_and_a_missing_class_has_none():
    rows, predictions = table(classes=4)
    rows = replace(rows, y=np.where(rows.y == 3, 0, rows.y))
    curves = evaluate(rows, predictions)["curves"]
    assert list(curves["roc"]) == list(curves["pr"]) == list(curves["calibration"]) == ["a", "b", "c"]
    assert curves["threshold"] == {}


def test_slices_are_the_frequent_levels_with_their_own_interval():
    rows, predictions = table()
    slices = evaluate(rows, predictions)["slices"]
    assert [(row["column"], row["level"]) for row in slices] == [("city", "Málaga"), ("city", "Oviedo"), ("city", "–")]
    inside = rows.columns["city"] == "Oviedo"
    assert slices[1]["rows"] == inside.sum()
    tree = predictions["tree"]
    assert slices[1]["value"] == compute(["f1"], rows.y[inside], tree.proba[inside], tree.decided[inside])["f1"]


def test_a_number_is_sliced_by_quarters_and_a_date_by_year():
    rows, predictions = table()
    slices = evaluate(rows, predictions, slices=["age", "when"])["slices"]
    ages = [row for row in slices if row["column"] == "age"]
    assert [row["rows"] for row in ages] == [150, 150, 150, 150]
    assert {row["level"] for row in slices if row["column"] == "when"} <= {"2017", "2018", "2019", "2020"}


@pytest.mark.parametrize("column", ["note", "nothing"])
def test_text_is_never_sliced_because_its_cells_would_leave_the_table(column):
    rows, predictions = table()
    with pytest.raises(InputError, match="Cannot slice by") as caught:
        evaluate(rows, predictions, slices=[column])
    assert "city" in caught.value.fix
    assert "secret" not in str(caught.value)


def test_slices_without_one_of_the_classes_are_left_out_rather_than_shown_as_nan():
    rows, predictions = table()
    only_no = rows.columns["city"] == "Oviedo"
    rows = replace(rows, y=np.where(only_no, 0, rows.y))
    slices = evaluate(rows, predictions, metric="roc_auc")["slices"]
    assert "Oviedo" not in {row["level"] for row in slices}


def test_one_in_ten_thousand_warns_that_accuracy_misleads_and_shows_pr_auc():
    rows, _ = table(count=40_000, share=0.0)
    rows.y[[7, 9_000, 20_000, 33_000]] = 1
    never = prediction(np.column_stack((np.full(40_000, 0.9999), np.full(40_000, 0.0001))))
    document = evaluate(rows, {"dummy": never, "tree": never}, metric="pr_auc")
    assert document["metrics"]["accuracy"]["value"] == 0.9999
    assert {"accuracy_misleads", "never_predicted", "no_better_than_dummy"} <= set(kinds(document))
    misleads = Finding.from_dict(document["findings"][0])
    assert "accuracy of 0.9999" in misleads.message("en")
    assert "PR AUC instead (0.0001)" in misleads.message("en")
    assert "exactitud de 0.9999" in misleads.message("es")


def test_a_good_model_on_even_classes_raises_no_finding():
    assert kinds(evaluate(*table())) == []


def test_a_model_that_guesses_is_not_called_better_than_the_dummy():
    rows, predictions = table(skill=0.0)
    document = evaluate(rows, predictions, metric="roc_auc")
    assert kinds(document) == ["no_better_than_dummy"]


def test_a_test_value_far_below_the_folds_is_named():
    rows, predictions = table()
    document = evaluate(rows, predictions, expected=Interval(0.99, 0.98, 1.0))
    assert kinds(document) == ["worse_than_folds"]
    assert kinds(evaluate(rows, predictions, expected=Interval(0.9, 0.8, 1.0))) == []


def test_a_slice_where_the_model_fails_is_named():
    rows, predictions = table()
    there = rows.columns["city"] == "Oviedo"
    rows = replace(rows, y=np.where(there, 1 - rows.y, rows.y))
    found = [Finding.from_dict(finding) for finding in evaluate(rows, predictions)["findings"]]
    assert [(finding.kind, finding.column, finding.facts["level"]) for finding in found] == [
        ("weak_slice", "city", "Oviedo")
    ]
    assert "'city' = 'Oviedo'" in found[0].message("es")


def test_intervals_follow_the_groups_of_the_split():
    rows, predictions = table(count=400)
    y, proba = np.repeat(rows.y[:40], 10), np.repeat(predictions["tree"].proba[:40], 10, axis=0)
    said = {"dummy": dummy(y, 2), "tree": prediction(proba)}
    alone = evaluate(replace(rows, y=y), said)["metrics"]["accuracy"]
    grouped = evaluate(replace(rows, y=y, groups=np.repeat(np.arange(40), 10)), said)["metrics"]["accuracy"]
    assert grouped["high"] - grouped["low"] > 2 * (alone["high"] - alone["low"])


def test_the_column_that_decides_is_the_most_important_and_noise_is_not():
    random = np.random.default_rng(3)
    columns = {name: random.normal(size=2000) for name in ("noise", "little", "much")}
    y = (columns["much"] + 0.3 * columns["little"] > 0).astype(int)

    def predict(raw):
        positive = 1 / (1 + np.exp(-5 * (raw["much"] + 0.3 * raw["little"])))
        return np.column_stack((1 - positive, positive))

    found = permutation_importance(predict, columns, y, metric="roc_auc", threshold=0.5)
    assert [row["column"] for row in found] == ["much", "little", "noise"]
    assert found[0]["low"] <= found[0]["value"] <= found[0]["high"]
    assert (found[2]["value"], found[2]["low"], found[2]["high"]) == (0, 0, 0)
    by_loss = permutation_importance(predict, columns, y, metric="log_loss", threshold=0.5)
    assert by_loss[0]["column"] == "much"
    assert by_loss[0]["value"] > 0


def test_importance_reads_no_more_rows_than_it_may_and_repeats_itself():
    seen = []

    def predict(raw):
        seen.append(len(raw["a"]))
        return np.column_stack((1 - raw["a"], raw["a"]))

    random = np.random.default_rng(4)
    columns = {"a": random.random(20_000), "b": random.random(20_000)}
    y = random.integers(0, 2, 20_000)
    first = permutation_importance(predict, columns, y, metric="brier", rows=500, seed=1)
    assert seen[0] == 500
    assert 2400 < max(seen) <= 2500
    assert first == permutation_importance(predict, columns, y, metric="brier", rows=500, seed=1)


def test_importance_of_a_column_that_hardly_varies_costs_hardly_anything_and_is_that_of_a_plain_shuffle():
    seen = []

    def predict(raw):
        seen.append(len(raw["rare"]))
        positive = 1 / (1 + np.exp(-raw["size"] - 2 * (raw["rare"] == "yes") + np.isnan(raw["gap"])))
        return np.column_stack((1 - positive, positive))

    random = np.random.default_rng(5)
    columns = {
        "size": random.normal(size=2000),
        "rare": np.where(random.random(2000) < 0.02, "yes", None).astype(object),
        "gap": np.where(random.random(2000) < 0.05, np.nan, 0.0),
        "same": np.full(2000, "one", dtype=object),
    }
    y = (predict(columns)[:, 1] > random.random(2000)).astype(int)
    table = permutation_importance(predict, columns, y, metric="log_loss", rows=2000)
    found = {row["column"]: row["value"] for row in table}
    assert len(seen) == 5  # for the label, for the whole, and once for each column but the constant one
    assert max(seen[3:]) < 800
    assert found["same"] == 0

    def loss(raw):
        return -np.log(predict(raw)[np.arange(2000), y]).mean()

    shuffle = np.random.default_rng(0)
    orders = [shuffle.permutation(2000) for _ in range(2)]
    for name, values in columns.items():
        plain = np.mean([loss({**columns, name: values[order]}) - loss(columns) for order in orders])
        assert found[name] == pytest.approx(plain, abs=1e-12)


@pytest.mark.real
def test_the_hotel_test_part_is_evaluated_in_seconds():
    """23,878 rows, five candidates, all metrics, slices by the table's own categories."""
    file = REAL / "hotel_bookings.parquet"
    if not file.exists():
        pytest.skip(f"{file.name} is not here: set TAHONA_REAL_DATA to the folder that has it")
    import pandas as pd

    from tahona.learn.columns import infer_schema, to_columns, to_labels

    names = ["hotel", "meal", "market_segment", "deposit_type", "lead_time", "is_canceled"]
    frame = pd.read_parquet(file)[names].tail(23_878)
    schema, _ = infer_schema(frame, target="is_canceled", positive=1)
    columns, y = to_columns(frame, schema), to_labels(frame["is_canceled"], schema)
    score = np.clip(columns["lead_time"] / 700, 0, 1)
    said = {name: prediction(np.column_stack((1 - score, score)), 0.2) for name in ("a", "b", "c", "tree")}
    start = time.process_time()
    document = evaluate(HeldOut(schema, columns, y), {"dummy": dummy(y, 2), **said}, metric="roc_auc", cost=COST)
    assert time.process_time() - start < 12
    assert {"meal", "deposit_type"} <= {row["column"] for row in document["slices"]}
    assert len(json.dumps(document)) < 200_000
