"""Tables of more than 10,000 rows: what is sampled or approximated says so, and the bits hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import Command, write_project
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from tahona.core.schema import Schema
from tahona.learn.columns import Columns, infer_schema, to_columns, to_labels
from tahona.learn.encoding import SMALL_TABLE, Encoding, fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.model import FittedModel, fit_estimator, load_model, sample_rows, save_model

ROWS = 12_000
LATER = slice(ROWS, None)
PROJECT = """
[project]
name = "bookings"
target = "label"
positive = "class 1"
language = "{language}"
[data]
source = "table.csv"
[split]
folds = 2
[train]
metric = "roc_auc"
models = ["svc"]
trials = 1
[train.search.svc]
C = [1.0]
"""


def bookings(rows: int, *, classes: int = 2) -> pd.DataFrame:
    """Two agents' columns of many levels, three numbers, and a label that bends: neither line nor level tells it."""
    draw = np.random.default_rng(11)
    age, price = draw.normal(0, 1, rows), draw.normal(0, 1, rows)
    agent, firm = draw.integers(0, 70, rows), draw.integers(0, 60, rows)
    lean = np.abs(age) + np.abs(price) + 0.8 * (agent % 3) - 0.5 * (firm % 2) + draw.normal(0, 0.5, rows)
    label = np.digitize(lean, np.quantile(lean, np.linspace(0, 1, classes + 1)[1:-1]))
    return pd.DataFrame(
        {
            "age": np.where(draw.random(rows) < 0.05, np.nan, age),
            "price": price,
            "agent": [f"a{code}" for code in agent],
            "firm": [None if code == 7 else f"f{code}" for code in firm],
            "label": [f"class {code}" for code in label],
        }
    )


def encoded(frame: pd.DataFrame) -> tuple[Columns, np.ndarray, Schema]:
    schema, _ = infer_schema(frame, target="label", types={"agent": "category", "firm": "category"})
    return to_columns(frame, schema), to_labels(frame["label"], schema), schema


def rows_of(columns: Columns, rows: slice | np.ndarray) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def fit(name: str, columns: Columns, y: np.ndarray, schema: Schema, **params: object) -> FittedModel:
    family = FAMILIES[name]
    encoding = fit_encoding(columns, schema, family.wants)
    matrix = encoding.apply(columns)
    sample = sample_rows(y, family.most_rows, 5)
    if sample is not None:
        matrix, y = matrix[sample], y[sample]
    estimator, seen = fit_estimator(family, params, matrix, y, seed=5)[:2]
    return FittedModel(name, params, encoding, (estimator,), len(schema.labels), seen, len(y))


@pytest.fixture(scope="module")
def large() -> tuple[Columns, np.ndarray, Schema]:
    return encoded(bookings(ROWS + 3_000))


def test_a_large_wide_table_takes_memory_for_what_is_not_zero_and_a_small_or_narrow_one_stays_dense(large):
    columns, _, schema = large
    wide = fit_encoding(columns, schema, "scaled")
    matrix = wide.apply(columns)
    dense = fit_encoding(columns, schema, "plain").apply(columns)
    assert matrix.toarray().tobytes() == dense.tobytes()
    assert matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes < dense.nbytes / 10
    small = fit_encoding(rows_of(columns, slice(0, SMALL_TABLE)), schema, "scaled")
    assert isinstance(small.apply(columns), np.ndarray)
    narrow = bookings(ROWS)[["age", "price", "label"]]
    schema, _ = infer_schema(narrow, target="label")
    columns = to_columns(narrow, schema)
    assert isinstance(fit_encoding(columns, schema, "scaled").apply(columns), np.ndarray)


def test_a_wide_encoding_comes_back_from_json_and_an_older_one_is_dense(large):
    columns, _, schema = large
    wide = fit_encoding(columns, schema, "scaled")
    written = json.loads(json.dumps(wide.to_dict()))
    assert Encoding.from_dict(written) == wide
    del written["wide"]
    some = rows_of(columns, slice(0, 9))
    assert Encoding.from_dict(written).apply(some).tobytes() == wide.apply(some).toarray().tobytes()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("svc", {}),
        ("svc", {"kernel": "linear"}),
        ("svc", {"kernel": "poly", "degree": 2, "coef0": 1.0}),
        ("svc", {"kernel": "sigmoid", "gamma": 0.01, "class_weight": "balanced"}),
        ("knn", {}),
        ("knn", {"metric": "manhattan", "weights": "distance"}),
        ("logistic_regression", {}),
        ("linear_svc", {"tol": 1e-2}),
        ("naive_bayes", {}),
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_row_of_a_large_table_has_the_same_bits_alone_in_any_batch_and_from_disk(name, params, classes, tmp_path):
    columns, y, schema = encoded(bookings(ROWS, classes=classes))
    model = fit(name, columns, y, schema, **params)
    some = rows_of(columns, slice(0, 300))
    some["age"] = np.where(np.arange(300) % 11 == 0, some["age"] * -1e6, some["age"])
    some["agent"] = np.where(np.arange(300) % 7 == 0, "never seen", some["agent"]).astype(object)
    scores, decided = model.predict(some)
    assert np.isfinite(scores).all()
    for size in (1, 7, 100):
        parts = [model.predict(rows_of(some, slice(start, start + size))) for start in range(0, 300, size)]
        assert np.concatenate([part for part, _ in parts]).tobytes() == np.ascontiguousarray(scores).tobytes(), size
        assert np.array_equal(np.concatenate([part for _, part in parts]), decided)
    save_model(model, tmp_path)
    again = load_model(tmp_path).predict(some)
    assert again[0].tobytes() == scores.tobytes()
    assert np.array_equal(again[1], decided)


def test_landmarks_on_all_rows_beat_a_machine_on_a_sample(large):
    """What stands in for the exact machine must be better than what was there: 10,000 rows compared with each other."""
    columns, y, schema = large
    early, late = rows_of(columns, slice(0, ROWS)), rows_of(columns, LATER)
    model = fit("svc", early, y[:ROWS], schema)
    assert model.rows_used == ROWS
    matrix = model.encoding.apply(early)
    exact = SVC().fit(matrix[:2_000], y[:2_000])
    ours = roc_auc_score(y[LATER], model.scores(late))
    assert ours > roc_auc_score(y[LATER], exact.decision_function(model.encoding.apply(late)))
    everything = SVC().fit(matrix, y[:ROWS]).decision_function(model.encoding.apply(late))
    assert ours > roc_auc_score(y[LATER], everything) - 0.02


def test_with_every_row_a_landmark_the_machine_is_the_linear_one_in_the_kernels_space():
    """Nyström's map is exact there: a linear kernel gives LinearSVC's margins."""
    from sklearn.svm import LinearSVC

    from tahona.learn.families.landmarks import fit_landmarks

    draw = np.random.default_rng(2)
    rows = draw.normal(0, 1, (300, 6))
    codes = (rows @ draw.normal(0, 1, 6) + draw.normal(0, 1, 300) > 0).astype(np.int64)
    words = {"C": 0.7, "kernel": "linear", "gamma": "auto", "degree": 3, "coef0": 0.0, "class_weight": None}
    machine = fit_landmarks(rows, codes, words, landmarks=300, seed=0)
    plain = LinearSVC(C=0.7, dual=False, tol=1e-8, intercept_scaling=1e3).fit(rows, codes)
    np.testing.assert_allclose(machine.margins(rows), plain.decision_function(rows), atol=0.01)


def test_a_small_table_has_the_exact_machine():
    columns, y, schema = encoded(bookings(1_500))
    model = fit("svc", columns, y, schema)
    exact = SVC().fit(model.encoding.apply(columns), y)
    assert model.scores(columns).tobytes() == exact.decision_function(model.encoding.apply(columns)).tobytes()


@pytest.mark.parametrize(
    ("language", "approximated"),
    [
        ("en", "svc compared the 12000 rows it learnt from with 500 of them"),
        ("es", "svc comparó las 12\N{NARROW NO-BREAK SPACE}000 filas de las que aprendió con 500 de ellas"),
    ],
)
def test_a_run_says_that_rows_were_compared_with_landmarks_only(
    language: str, approximated: str, tmp_path: Path, tahona: Command
):
    folder = write_project(tmp_path, PROJECT.format(language=language), bookings(15_000))
    answer = tahona("run", "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    assert "landmarks_only" in {finding["kind"] for finding in answer.document["findings"]}
    assert approximated in Path(answer.document["report"]).read_text("utf-8")


def test_a_run_of_few_rows_says_nothing_of_landmarks(tmp_path: Path, tahona: Command):
    folder = write_project(tmp_path, PROJECT.format(language="en"), bookings(1_000))
    answer = tahona("run", "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    assert "landmarks_only" not in {finding["kind"] for finding in answer.document["findings"]}
