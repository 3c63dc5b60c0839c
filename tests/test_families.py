"""Every family: the same bits alone and in any batch, back from disk, on numbers, categories, dates and text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bundles import fitted_model
from sklearn.datasets import load_breast_cancer

from tahona.core.schema import Schema
from tahona.errors import InputError, IntegrityError, SetupError
from tahona.learn.columns import Columns, infer_schema, to_columns, to_labels
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.families.boosting import _dense
from tahona.learn.families.family import Setting
from tahona.learn.model import TRUSTED, FittedModel, load_model, sample_rows, save_model

DATA = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))
SMALL = {"n_estimators": 12, "max_iter": 12}
"""Few trees: these tests are about bits, not about quality."""

VARIANTS = [
    *((name, {key: value for key, value in SMALL.items() if key in FAMILIES[name].accepts}) for name in FAMILIES),
    ("knn", {"metric": "manhattan", "weights": "distance"}),
    ("svc", {"kernel": "linear"}),
    ("logistic_regression", {"solver": "liblinear", "penalty": "l1"}),
]
for _name, _params in VARIANTS:
    if _name in ("logistic_regression", "linear_svc"):
        _params.pop("max_iter", None)
        _params["tol"] = 1e-2


def rows_of(columns: Columns, rows: slice | np.ndarray) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def in_batches(model: FittedModel, columns: Columns, size: int) -> tuple[np.ndarray, np.ndarray]:
    count = len(next(iter(columns.values())))
    parts = [model.predict(rows_of(columns, slice(start, start + size))) for start in range(0, count, size)]
    return np.concatenate([scores for scores, _ in parts]), np.concatenate([decided for _, decided in parts])


def assert_same_bits_in_every_batch(model: FittedModel, columns: Columns, sizes: tuple[int, ...] = (1, 7, 100)) -> None:
    scores, decided = model.predict(columns)
    assert not np.isnan(scores).any()
    for size in sizes:
        again = in_batches(model, columns, size)
        assert again[0].tobytes() == np.ascontiguousarray(scores).tobytes(), f"batches of {size}"
        assert np.array_equal(again[1], decided)


@pytest.fixture(scope="module")
def cancer() -> tuple[Columns, np.ndarray, Schema]:
    frame = load_breast_cancer(as_frame=True).frame
    schema, _ = infer_schema(frame, target="target", positive=0)
    return to_columns(frame, schema), to_labels(frame["target"], schema), schema


def mixed_table(rows: int = 400, *, text: bool, seed: int = 3) -> tuple[Columns, np.ndarray, Schema]:
    """Numbers with nulls, a category of many levels, a date, three classes, and perhaps Spanish text."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 3, rows)
    frame = pd.DataFrame(
        {
            "age": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(40, 9, rows) + 5 * label),
            "price": draw.lognormal(3, 1, rows),
            "agent": pd.Series([None if draw.random() < 0.1 else f"a{draw.integers(0, 40)}" for _ in range(rows)]),
            "kind": np.where(draw.random(rows) < 0.6, label, draw.integers(0, 3, rows)).astype(str),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, rows), unit="D"),
            "group": [f"class {code}" for code in label],
        }
    )
    types = {"agent": "category", "kind": "category"}
    if text:
        words = np.array(["depresión", "niño", "dolor", "tos", "fiebre", "corazón", "pulmón", "estómago", "ansiedad"])
        frame["note"] = [
            " ".join(draw.choice(words[code * 3 :], 6)) if draw.random() > 0.05 else None for code in label
        ]
        types["note"] = "text"
    schema, _ = infer_schema(frame, target="group", types=types)
    return to_columns(frame, schema), to_labels(frame["group"], schema), schema


@pytest.fixture(scope="module")
def mixed() -> tuple[Columns, np.ndarray, Schema]:
    return mixed_table(text=False)


@pytest.fixture(scope="module")
def written() -> tuple[Columns, np.ndarray, Schema]:
    return mixed_table(text=True)


def mutate(columns: Columns, schema: Schema, seed: int = 0) -> Columns:
    """Put nulls, categories never seen and far numbers in one cell in five."""
    draw = np.random.default_rng(seed)
    mutated = {}
    for column in schema.columns:
        values = columns[column.name].copy()
        hit = draw.random(len(values))
        if values.dtype == object:
            values[hit < 0.1] = None
            values[hit > 0.9] = "never seen"
        else:
            values[hit < 0.1] = np.nan
            values[hit > 0.9] = values[hit > 0.9] * -1e6
        mutated[column.name] = values
    return mutated


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_a_row_gets_the_same_bits_alone_and_in_any_batch(name, params, cancer, mixed, written):
    for columns, y, schema in (cancer, mixed, written):
        model = fitted_model(name, params, columns, y, schema)
        assert_same_bits_in_every_batch(model, rows_of(mutate(columns, schema), slice(0, 250)))


@pytest.mark.parametrize(("name", "params"), VARIANTS)
def test_a_model_comes_back_from_disk_with_the_same_bits_and_without_pickle(name, params, cancer, written, tmp_path):
    for place, (columns, y, schema) in enumerate((cancer, written)):
        model = fitted_model(name, params, columns, y, schema)
        folder = tmp_path / str(place)
        save_model(model, folder)
        again = load_model(folder)
        there, back = model.predict(columns), again.predict(columns)
        assert there[0].tobytes() == back[0].tobytes()
        assert np.array_equal(there[1], back[1])
        assert (again.params, again.seen, again.rows_used) == (dict(params), model.seen, len(y))
        kept = {"skops": "model.skops", "lightgbm": "model.txt", "xgboost": "model.ubj"}[FAMILIES[name].file]
        assert {file.name for file in folder.iterdir()} == {"encoding.json", "model.json", kept}
        save_model(again, tmp_path / "twice")
        assert (tmp_path / "twice" / "encoding.json").read_bytes() == (folder / "encoding.json").read_bytes()


@pytest.mark.real
@pytest.mark.skipif(not (DATA / "hotel_bookings.parquet").exists(), reason="the real hotel table is not here")
def test_mutated_hotel_rows_get_the_same_bits_alone_and_in_batches():
    frame = pd.read_parquet(DATA / "hotel_bookings.parquet").sample(1500, random_state=0).reset_index(drop=True)
    drop = ("reservation_status", "reservation_status_date")
    schema, _ = infer_schema(frame, target="is_canceled", positive=1, drop=drop)
    columns, y = to_columns(frame, schema), to_labels(frame["is_canceled"], schema)
    changed = rows_of(mutate(columns, schema), slice(0, 200))
    for name, params in VARIANTS:
        model = fitted_model(name, params, rows_of(columns, slice(0, 1000)), y[:1000], schema)
        assert_same_bits_in_every_batch(model, changed, (1, 7))


@pytest.mark.parametrize("name", FAMILIES)
def test_probabilities_are_probabilities_and_decisions_are_the_estimators_own(name, mixed):
    columns, y, schema = mixed
    model = fitted_model(name, {}, columns, y, schema)
    scores, decided = model.predict(columns)
    if FAMILIES[name].gives == "probability":
        assert scores.shape == (len(y), 3)
        np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-6)
    assert np.array_equal(decided, model.decide(columns))
    if FAMILIES[name].file == "skops" and name != "hist_gradient_boosting":
        assert np.array_equal(decided, model.estimators[0].predict(model.encoding.apply(columns)))
    if name != "dummy":
        assert (decided == y).mean() > 0.5


@pytest.mark.parametrize("name", FAMILIES)
def test_two_classes_give_the_libraries_own_numbers(name, cancer):
    columns, y, schema = cancer
    model = fitted_model(name, {}, columns, y, schema)
    scores, matrix = model.scores(columns), model.encoding.apply(columns)
    if FAMILIES[name].gives == "margin":
        assert scores.shape == (len(y),)
        np.testing.assert_allclose(scores, model.estimators[0].decision_function(matrix), rtol=1e-9, atol=1e-9)
    elif FAMILIES[name].file == "skops":
        np.testing.assert_allclose(scores, model.estimators[0].predict_proba(matrix), rtol=1e-9, atol=1e-12)
    else:
        assert scores.shape == (len(y), 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_class_that_the_rows_do_not_show_keeps_its_column(name, mixed):
    columns, y, schema = mixed
    kept = np.flatnonzero(y != 1)
    model = fitted_model(name, {}, rows_of(columns, kept), y[kept], schema)
    scores, decided = model.predict(columns)
    assert scores.shape == (len(y), 3)
    assert set(np.unique(decided)) <= {0, 2}
    assert (scores[:, 1] <= scores.min(axis=1)).all()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "hist_gradient_boosting", "random_forest"])
def test_the_number_of_threads_changes_no_bit(name, cancer):
    columns, y, schema = cancer
    encoding = fit_encoding(columns, schema, FAMILIES[name].wants)
    matrix, bits = encoding.apply(columns), []
    for threads in (1, 2):
        setting = Setting(2, seed=1, threads=threads, width=matrix.shape[1])
        estimator = FAMILIES[name].build({}, setting)
        FAMILIES[name].fit(estimator, matrix, y, setting)
        model = FittedModel(name, {}, encoding, (FAMILIES[name].freeze(estimator),), 2, (0, 1), len(y))
        bits.append(model.scores(columns).tobytes())
    assert bits[0] == bits[1]


def test_every_type_in_a_model_file_stands_on_our_own_list(cancer, tmp_path):
    """A file that names anything else is refused before skops looks at it, even what skops itself would trust."""
    columns, y, schema = cancer
    save_model(fitted_model("tree", {}, columns, y, schema), tmp_path)
    assert "sklearn.linear_model._ridge.Ridge" not in TRUSTED
    forge(tmp_path / "model.skops", module="sklearn.linear_model._ridge", name="Ridge")
    with pytest.raises(IntegrityError, match=r"sklearn\.linear_model\._ridge\.Ridge"):
        load_model(tmp_path)
    forge(tmp_path / "model.skops", module="os", name="system")
    with pytest.raises(IntegrityError, match=r"os\.system"):
        load_model(tmp_path)


def forge(path: Path, *, module: str, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    schema = json.loads(files["schema.json"])
    schema["__module__"], schema["__class__"] = module, name
    files["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in files.items():
            archive.writestr(entry, data)


@pytest.mark.parametrize(
    ("name", "file"), [("tree", "model.skops"), ("lightgbm", "model.txt"), ("xgboost", "model.ubj")]
)
def test_a_broken_or_missing_model_file_is_an_integrity_error(name, file, cancer, tmp_path):
    columns, y, schema = cancer
    save_model(fitted_model(name, {}, columns, y, schema), tmp_path)
    (tmp_path / file).write_bytes(b"not a model")
    with pytest.raises(IntegrityError, match="cannot be read"):
        load_model(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        load_model(tmp_path)


def test_without_xgboost_the_error_says_what_to_install(tmp_path):
    """A real process in which xgboost cannot be found, as on a machine with the default install."""
    code = (
        "import sys; sys.modules['xgboost'] = None\n"
        "from tahona.errors import SetupError\n"
        "from tahona.learn.families import FAMILIES\n"
        "from tahona.learn.families.family import Setting\n"
        "try: FAMILIES['xgboost'].build({}, Setting(2))\n"
        "except SetupError as error: print(error.exit_code, error.fix)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "pip", "install", "'tahona[xgboost]'"]
    assert SetupError.exit_code == 4


def test_the_table_of_families_imports_no_model_library():
    heavy = "('sklearn', 'lightgbm', 'xgboost', 'pandas', 'optuna')"
    code = f"import sys, tahona.learn.families; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_table_is_what_the_project_promises():
    promised = (
        "dummy tree svc knn logistic_regression random_forest extra_trees hist_gradient_boosting lightgbm xgboost"
    )
    assert set(FAMILIES) == {*promised.split(), "naive_bayes", "linear_svc"}
    assert len({family.short for family in FAMILIES.values()}) == len(FAMILIES)
    for family in FAMILIES.values():
        assert set(family.space) | set(family.defaults) <= set(family.accepts)


def test_a_sample_of_rows_keeps_the_shares_and_is_the_same_every_time():
    y = np.repeat([0, 1, 2], [9000, 990, 10])
    rows = sample_rows(y, 1000, seed=5)
    assert rows is not None
    assert np.bincount(y[rows]).tolist() == [900, 99, 1]
    assert np.array_equal(rows, sample_rows(y, 1000, seed=5))
    assert not np.array_equal(rows, sample_rows(y, 1000, seed=6))
    assert sample_rows(y, 10_000, seed=5) is None
    assert sample_rows(y, None, seed=5) is None


def test_too_much_text_for_a_dense_family_is_said_plainly():
    from scipy.sparse import csr_matrix

    with pytest.raises(InputError, match="needs a dense matrix") as caught:
        _dense(csr_matrix((10_000, 5_001)))
    assert "lightgbm" in caught.value.fix


def test_balanced_weights_raise_the_share_of_the_rare_class(cancer):
    columns, y, schema = cancer
    rare = np.flatnonzero((y == 0) | (np.arange(len(y)) % 8 == 0))
    for name in ("tree", "random_forest", "logistic_regression", "svc", "hist_gradient_boosting", "lightgbm"):
        few = rows_of(columns, rare)
        params = {"max_depth": 2} if "max_depth" in FAMILIES[name].accepts else {}
        plain = fitted_model(name, params, few, y[rare], schema).decide(columns).mean()
        params["class_weight"] = "balanced"
        balanced = fitted_model(name, params, few, y[rare], schema).decide(columns).mean()
        assert balanced >= plain, name
