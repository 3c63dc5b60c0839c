"""The row scorer: the bundle's own answer, bit for bit, from a process that has none of the bundle's libraries."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from bundles import Part, fitted
from test_same_bits import mutated

from tahona.bundle.bundle import Bundle, load_bundle, save_bundle
from tahona.bundle.compiled import MOST_LEAVES
from tahona.bundle.parity import compare, mutate
from tahona.bundle.trees import Nodes, model_text, zero_columns
from tahona.errors import DataError, IntegrityError
from tahona.learn.columns import to_columns
from tahona.learn.tables import date_parts
from tahona.scorer import NotCompiledError, Scorer, leaf_tables, load_scorer, why_slow
from tahona.scorer.lightgbm import Asker, Trees
from tahona.scorer.times import PARTS, parts

FEW = {"n_estimators": 15}
CASES: dict[str, list[Part]] = {
    "lightgbm": [Part("lightgbm", FEW)],
    "lightgbm, sigmoid": [Part("lightgbm", FEW, "sigmoid")],
    "two fits": [Part("lightgbm", FEW, "none", fits=2)],
    "random_forest": [Part("random_forest", FEW)],
    "extra_trees": [Part("extra_trees", FEW, "sigmoid")],
    "tree": [Part("tree", {"max_depth": 8}, "none")],
    "hist_gradient_boosting": [Part("hist_gradient_boosting", {"max_iter": 15}, "none")],
    "logistic_regression": [Part("logistic_regression", {"tol": 1e-2}, "sigmoid")],
    "one against the rest": [Part("logistic_regression", {"solver": "liblinear"}, "none")],
    "linear_svc": [Part("linear_svc", {"tol": 1e-2})],
    "linear_svc, none": [Part("linear_svc", {"tol": 1e-2}, "none")],
    "naive_bayes": [Part("naive_bayes", {})],
    "dummy": [Part("dummy", {}, "none")],
    "a mixture": [
        Part("lightgbm", FEW, weight=0.5),
        Part("random_forest", FEW, weight=0.3),
        Part("logistic_regression", {"tol": 1e-2}, weight=0.2),
    ],
}
"""What has a compiled form."""
WORDS = ("grano", "harina", "piedra", "Depresión", "niño", "rueda", "molino", "de", "la", "agua", "x1")


def varied_table(classes: int, rows: int = 400) -> pd.DataFrame:
    """Return a table with each kind of column: numbers, codes, categories, dates with and without nulls, words."""
    draw = np.random.default_rng(classes)
    size = draw.normal(size=rows).round(3)
    where = draw.choice(["norte", "sur", "São", "este"], rows)
    label = np.digitize(size + (where == "sur") + 0.5 * draw.normal(size=rows), np.linspace(-0.5, 1, classes - 1))
    nothing = draw.random((rows, 4)) < 0.1
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 30_000_000, rows), unit="s")
    return pd.DataFrame(
        {
            "size": np.where(nothing[:, 0], np.nan, size),
            "turns": draw.integers(-3, 4, rows),
            "code": pd.Series(draw.choice(["1", "2", "30"], rows)).where(~nothing[:, 1]),
            "where": pd.Series(where).where(~nothing[:, 2]),
            "day": pd.Series(days).where(~nothing[:, 3]),
            "note": [" ".join(draw.choice(WORDS, 6)) for _ in range(rows)],
            "label": label,
        }
    )


def kept(bundle: Bundle, file: Path, frame: pd.DataFrame) -> list[dict[str, object]]:
    """Write the bundle, judged on mutated rows of its table, and return other mutated rows."""
    rows = frame.to_dict("records")
    save_bundle(bundle, file, mutate(rows, bundle.schema, 1))
    return mutate(rows, bundle.schema, 2)


def assert_same(scorer: Scorer, bundle: Bundle, rows: list[dict[str, object]]) -> None:
    """Compare the scorer's answers with those that the bundle gives about a table."""
    whole = bundle.predict(rows)
    columns = [f"probability_{label}" for label in bundle.schema.labels]
    made = [scorer.row(row) for row in rows]
    alone = [scorer.score(row) for row in made]
    assert np.array([answer[1] for answer in alone]).tobytes() == whole[columns].to_numpy().tobytes()
    assert [scorer.labels[answer[0]] for answer in alone] == whole["label"].tolist()
    assert ["; ".join(answer[2]) for answer in alone] == whole["warnings"].tolist()
    assert scorer.score_many(made) == scorer.score_some(made) == alone


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_scorer_gives_the_bits_of_its_bundle(case: str, text: bool, classes: int, tmp_path: Path) -> None:
    frame = varied_table(classes)
    types = {"code": "category"} | ({"note": "text"} if text else {"note": "id"})
    bundle = fitted(frame, CASES[case], target="label", types=types)
    file = tmp_path / "made.tahona"
    rows = kept(bundle, file, frame)
    assert why_slow(file) == ""
    assert_same(load_scorer(file), load_bundle(file), rows)
    light, whole = load_bundle(file, light=True).predict(rows), load_bundle(file).predict(rows)
    pd.testing.assert_frame_equal(light, whole, check_exact=True)


@pytest.mark.parametrize("case", ["lightgbm", "linear_svc", "two fits", "random_forest"])
def test_the_estimators_own_decision_is_the_same(case: str, tmp_path: Path) -> None:
    frame = varied_table(2)
    bundle = fitted(frame, CASES[case], target="label", rule="estimator", types={"note": "id"})
    rows = kept(bundle, tmp_path / "made.tahona", frame)
    assert_same(load_scorer(tmp_path / "made.tahona"), bundle, rows)


def test_a_class_that_no_training_row_showed_has_its_place(tmp_path: Path) -> None:
    """As with a fold of a grouped table: the schema knows four classes, the estimator three."""
    from dataclasses import replace

    frame = varied_table(3)
    for part in (CASES["lightgbm"], [Part("linear_svc", {"tol": 1e-2}, "none")]):
        bundle = fitted(frame, part, target="label", types={"note": "id"})
        schema = replace(bundle.schema, labels=("0", "1", "2", "3"))
        member = bundle.members[0]
        curves = member.calibrator.curves
        wider = replace(
            member,
            model=replace(member.model, classes=4, seen=(0, 1, 3)),
            calibrator=replace(member.calibrator, classes=4, curves=(*curves, curves[0])),
        )
        whole = replace(bundle, schema=schema, members=(wider,))
        rows = kept(whole, tmp_path / "made.tahona", frame)
        assert_same(load_scorer(tmp_path / "made.tahona"), whole, rows)


def test_pieces_and_lemmas_of_words_weigh_the_same(tmp_path: Path) -> None:
    from dataclasses import replace

    frame = varied_table(3)
    bundle = fitted(frame, [Part("logistic_regression", {}, "none")], target="label", types={"note": "text"})
    from tahona.learn.characters import fit_characters
    from tahona.learn.encoding import Encoding
    from tahona.learn.families import FAMILIES
    from tahona.learn.labels import to_labels
    from tahona.learn.model import fit_estimator
    from tahona.learn.text import fit_text

    columns = to_columns(frame, bundle.schema)
    texts = (
        fit_text(columns["note"], "note", lemmas="es", leave_out=("rueda",)),
        fit_characters(columns["note"], "note", most_share=1.0),
    )
    encoding = Encoding("scaled", bundle.members[0].model.encoding.tables, texts)
    y = to_labels(frame["label"], bundle.schema)
    estimator, seen, _ = fit_estimator(FAMILIES["logistic_regression"], {}, encoding.apply(columns), y, seed=1)
    model = replace(bundle.members[0].model, encoding=encoding, estimators=(estimator,), seen=seen)
    bundle = replace(bundle, members=(replace(bundle.members[0], model=model),))
    rows = kept(bundle, tmp_path / "made.tahona", frame)
    assert why_slow(tmp_path / "made.tahona") == ""
    assert_same(load_scorer(tmp_path / "made.tahona"), bundle, rows)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle, pd.DataFrame]:
    """A bundle of LightGBM with every kind of column but text."""
    frame = varied_table(2)
    bundle = fitted(frame, CASES["lightgbm"], target="label", types={"code": "category", "note": "id"})
    file = tmp_path_factory.mktemp("plain") / "made.tahona"
    kept(bundle, file, frame)
    return file, bundle, frame


GOOD = [
    {"size": 3},
    {"size": Decimal("0.5")},
    {"size": np.float32(0.1)},
    {"size": np.int64(2)},
    {"size": None},
    {"size": pd.NA},
    {"size": 1e300},
    {"size": -5e-324},
    {"code": 1},
    {"code": 1.0},
    {"code": "1.0"},
    {"code": True},
    {"code": np.int8(30)},
    {"code": pd.NaT},
    {"where": "Sa\u0303o"},
    {"where": "S\xe3o"},
    {"where": "nowhere"},
    {"where": 7},
    {"where": date(2024, 2, 3)},
    {"where": ""},
    {"day": "2024-02-29"},
    {"day": " 2024-02-29T23:59:59.5+02:00 "},
    {"day": "0001-01-01T00:00+05:00"},
    {"day": "9999-12-31"},
    {"day": date(1969, 12, 31)},
    {"day": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)},
    {"day": np.datetime64("2024-05-06T07")},
    {"day": pd.Timestamp("2024-05-06", tz="Europe/Madrid")},
    {"day": None},
]
BAD = [
    {"size": "3"},
    {"size": True},
    {"size": 2**64},
    {"size": float("inf")},
    {"size": [1]},
    {"turns": {}},
    {"code": [1]},
    {"code": b"1"},
    {"where": {"a": 1}},
    {"where": "\ud800"},
    {"where": 10**5000},
    {"day": "yesterday"},
    {"day": "2024-02-30"},
    {"day": 3},
    {"day": []},
]


@pytest.mark.parametrize("change", GOOD)
def test_a_cell_means_what_it_means_in_a_table(change: dict[str, object], plain) -> None:
    file, bundle, frame = plain
    assert_same(load_scorer(file), bundle, [{**frame.iloc[place].to_dict(), **change} for place in (0, 1, 2)])


@pytest.mark.parametrize("change", BAD)
def test_a_cell_that_means_nothing_is_refused_as_in_a_table(change: dict[str, object], plain) -> None:
    file, bundle, frame = plain
    row = {**frame.iloc[0].to_dict(), **change}
    with pytest.raises(DataError) as expected:
        bundle.predict([row])
    scorer = load_scorer(file)
    with pytest.raises(DataError) as refused:
        scorer.score(scorer.row(row))
    assert refused.value.what == expected.value.what
    assert refused.value.fix == expected.value.fix
    assert f"{refused.value.where}, row 1" == expected.value.where


def test_a_row_without_a_column_is_refused(plain) -> None:
    scorer = load_scorer(plain[0])
    with pytest.raises(DataError, match=r"missing column\(s\): size, turns"):
        scorer.row({"code": 1, "where": "sur", "day": None})


def test_the_parts_of_any_day_are_those_of_the_table() -> None:
    draw = np.random.default_rng(0)
    seconds = np.concatenate((draw.uniform(-7e10, 2.6e11, 20_000).round(), [0.0, -1.0, 86_399.999999, np.nan]))
    expected = np.column_stack(list(date_parts(seconds, PARTS).values()))
    np.testing.assert_array_equal([parts(value) for value in seconds.tolist()], expected)


def test_equal_bundles_have_equal_bytes_and_rows_are_not_in_them(plain, tmp_path: Path) -> None:
    file, bundle, frame = plain
    other = tmp_path / "other.tahona"
    kept(bundle, other, frame)
    assert other.read_bytes() == file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        said = json.loads(archive.read("scorer.json"))
    assert said["verdict"] == {"accepted": True, "rows": len(frame), "largest_difference": 0.0, "why": ""}


def test_what_has_no_compiled_form_says_so(tmp_path: Path) -> None:
    frame, file = varied_table(2), tmp_path / "made.tahona"
    for family in ("svc", "knn"):
        bundle = fitted(frame, [Part(family, {})], target="label", types={"note": "id"})
        kept(bundle, file, frame)
        assert why_slow(file) == f"{family} has no compiled form"
        with pytest.raises(NotCompiledError, match="has no compiled form"):
            load_scorer(file)
    save_bundle(fitted(frame, CASES["tree"], target="label"), file)
    assert why_slow(file) == "it was written without rows on which a compiled form could be judged"


def test_a_bundle_of_an_earlier_version_has_none(plain, tmp_path: Path) -> None:
    old = tmp_path / "old.tahona"
    with zipfile.ZipFile(plain[0]) as source, zipfile.ZipFile(old, "w") as archive:
        for name in source.namelist():
            if name != "scorer.json":
                archive.writestr(name, source.read(name))
    assert why_slow(old) == "the bundle holds no compiled form"
    load_bundle(old)


def test_a_compiled_form_that_answers_otherwise_is_not_accepted(plain, monkeypatch, tmp_path: Path) -> None:
    """One leaf of one tree is a last bit higher than the bundle's."""
    _, bundle, frame = plain
    from tahona.bundle import compiled

    def forged(_estimator: object, place: compiled._Place) -> compiled.Head:
        text = (place.folder / f"{place.own}.txt").read_text("utf-8")
        head, _, tail = text.partition("leaf_value=")
        first, _, rest = tail.partition(" ")
        raised = repr(float(np.nextafter(float(first), np.inf)))
        return {"engine": "lightgbm", "file": place.write("trees", f"{head}leaf_value={raised} {rest}".encode())}

    monkeypatch.setitem(compiled._COMPILERS, "lightgbm", forged)
    file = tmp_path / "made.tahona"
    kept(bundle, file, frame)
    assert "its compiled form gives another probability for" in why_slow(file)
    with zipfile.ZipFile(file) as archive:
        verdict = json.loads(archive.read("scorer.json"))["verdict"]
    assert not verdict["accepted"]
    assert 0 < verdict["largest_difference"] < 1e-12
    with pytest.raises(NotCompiledError):
        load_scorer(file)


def test_another_decision_or_warning_is_not_accepted_either(plain) -> None:
    from dataclasses import replace

    file, bundle, frame = plain
    scorer, rows = load_scorer(file), mutate(frame.to_dict("records"), bundle.schema, 3)
    assert compare(bundle, scorer, rows).accepted
    assert "another decision" in compare(replace(bundle, threshold=0.9), scorer, rows).why
    columns = tuple(replace(column, high=0.1) if column.name == "size" else column for column in bundle.schema.columns)
    narrow = replace(bundle, schema=replace(bundle.schema, columns=columns))
    assert "another warnings" in compare(narrow, scorer, rows).why


def test_damage_is_told_as_such(plain, tmp_path: Path) -> None:
    file = tmp_path / "damaged.tahona"
    data = plain[0].read_bytes()
    for damaged in (b"", data[:-50], b"\x89PNG" + bytes(99), data[:300] + b"\xff" * 400 + data[700:]):
        file.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            load_scorer(file)
    for change in (
        {"members/0/encoding.json": b"[]"},
        {"members/0/calibrator.json": b"{}"},
        {"bundle.json": b"{}"},
        {"members/0/model.txt": b"tree\nversion=v4\nnum_class=1\n"},
        {"members/0/model.txt": b""},
        {"scorer.json": b"{"},
        {"scorer.json": b'{"format": 1}'},
    ):
        with zipfile.ZipFile(plain[0]) as source, zipfile.ZipFile(file, "w") as archive:
            for name in source.namelist():
                archive.writestr(name, change.get(name, source.read(name)))
        with pytest.raises(IntegrityError):
            load_scorer(file)


LIGHT = """
import json, sys
from pathlib import Path
from tahona.scorer import load_scorer
scorer = load_scorer(Path(sys.argv[1]))
code, probabilities, warnings = scorer.score(scorer.row(json.loads(sys.argv[2])))
heavy = {name.partition(".")[0] for name in sys.modules} & {
    "pandas", "sklearn", "lightgbm", "scipy", "pyarrow", "pydantic", "skops", "joblib"}
print(json.dumps([code, probabilities, warnings, sorted(heavy), sorted(n for n in sys.modules if "tahona.learn" in n)]))
"""


@pytest.mark.parametrize("case", ["a mixture", "hist_gradient_boosting"])
def test_a_process_that_scores_holds_no_heavy_library(case: str, tmp_path: Path) -> None:
    frame, file = varied_table(2), tmp_path / "made.tahona"
    bundle = fitted(frame, CASES[case], target="label", types={"note": "text"})
    kept(bundle, file, frame)
    row = {"size": 0.25, "turns": 1, "code": "1", "where": "nowhere", "day": "2024-02-29", "note": "El Niño muele"}
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, file, json.dumps(row)], capture_output=True, text=True, check=True
    )
    _, probabilities, warnings, heavy, learn = json.loads(done.stdout)
    assert done.stderr == ""
    assert (heavy, learn) == ([], [])
    expected = bundle.predict([row])
    assert probabilities == expected[["probability_0", "probability_1"]].iloc[0].tolist()
    assert "; ".join(warnings) == expected["warnings"].iloc[0] == "unseen category in where"


@pytest.mark.parametrize("case", ["lightgbm", "two fits", "logistic_regression", "linear_svc"])
def test_a_light_bundle_predicts_without_the_libraries_that_fitted_it(case: str, tmp_path: Path) -> None:
    """Their import takes longer than half a million rows."""
    frame = varied_table(2).drop(columns="note")
    bundle = fitted(frame, CASES[case], target="label", types={"code": "category"})
    rows = kept(bundle, tmp_path / "made.tahona", frame)
    code = (
        "import json, sys; from pathlib import Path; from tahona.bundle.bundle import load_bundle;"
        "answers = load_bundle(Path(sys.argv[1]), light=True).predict(json.loads(sys.argv[2]));"
        'heavy = {"sklearn", "lightgbm", "skops"} & set(sys.modules);'
        "print(json.dumps([answers['probability_1'].tolist(), sorted(heavy)]))"
    )
    rows = json.loads(pd.DataFrame(rows[:50]).to_json(orient="records", date_format="iso", date_unit="us"))
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "made.tahona", json.dumps(rows)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert json.loads(done.stdout) == [bundle.predict(rows)["probability_1"].tolist(), []]


@pytest.mark.parametrize("case", ["lightgbm", "two fits", "a mixture"])
def test_many_rows_ask_tables_to_the_same_bits(case: str, tmp_path: Path, monkeypatch) -> None:
    """From some row on; and a row that is refused leaves nothing behind for those that come after it."""
    monkeypatch.setattr(leaf_tables, "WORTH", 1_000)
    frame = varied_table(2)
    rows = kept(fitted(frame, CASES[case], target="label", types={"note": "id"}), tmp_path / "made.tahona", frame)
    scorer = load_scorer(tmp_path / "made.tahona")
    made = [scorer.row(row) for row in rows]
    alone = [scorer.score(row) for row in made]
    refused = scorer.row(rows[0] | {"day": "soon"})
    for _ in range(4):
        assert scorer.score_some(made) == scorer.score_many(iter(made)) == alone
        with pytest.raises(DataError, match="column 'day'"):
            scorer.score_some([*made, refused])
    assert leaf_tables.tables_for(scorer._parts.trees("members/0/model.txt"), np.empty((0, 0))) is not None


def test_score_many_may_be_called_beside_score(plain) -> None:
    file, bundle, frame = plain
    scorer = load_scorer(file)
    rows = [scorer.row(row) for row in mutate(frame.to_dict("records"), bundle.schema, 4)]
    expected = [scorer.score(row) for row in rows]
    found: list[object] = []
    threads = [Thread(target=lambda: found.append(scorer.score_many(rows * 5))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert [scorer.score(row) for row in rows] == expected
    assert found == [expected * 5] * 3


def test_a_scorer_that_nobody_holds_gives_its_model_back_at_once(plain) -> None:
    """A server exchanges champions for months: none may wait for a garbage collection that is switched off."""
    gc.disable()
    try:
        scorer = load_scorer(plain[0])
        scorer.score_many([scorer.row(dict.fromkeys(column.name for column in scorer.columns))])
        trees = weakref.ref(scorer._parts.trees("members/0/model.txt"))
        assert trees() is not None
        del scorer
        assert trees() is None
    finally:
        gc.enable()


def test_numbers_near_zero_go_the_way_that_their_tree_says() -> None:
    """LightGBM takes 1e-36 for 0; scikit-learn does not."""
    leaf = np.array([False, True, True])
    nodes = Nodes(leaf, np.array([1, 0, 0]), np.array([2, 0, 0]), np.zeros(3, int), np.zeros(3), np.zeros(3, bool))
    assert zero_columns([nodes]) == [0]
    close = Nodes(leaf, nodes.left, nodes.right, nodes.column, np.full(3, 1e-36), nodes.null_left)
    with pytest.raises(NotCompiledError, match="closer to 0"):
        zero_columns([close])
    asker = Asker(Trees(model_text([(nodes, np.array([10.0, 20.0]))], width=1)), 1, output="raw")
    for value, expected in ((-1.0, 10.0), (0.0, 10.0), (2e-35, 20.0), (float("nan"), 20.0)):
        asker.row[0] = value
        assert asker.ask(*asker.arguments) == 0
        assert asker.scores[0] == expected


def test_a_tree_that_splits_at_zero_tells_the_smallest_numbers_from_it(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    side = draw.choice([-1.0, 1.0], 300)
    frame = pd.DataFrame({"size": side, "other": draw.normal(size=300).round(2), "label": (side > 0).astype(int)})
    for part in (Part("tree", {}, "none"), Part("hist_gradient_boosting", {"max_iter": 3}, "none")):
        bundle = fitted(frame, [part], target="label", types={"size": "numeric"})
        kept(bundle, tmp_path / "made.tahona", frame)
        rows = [{"size": size, "other": 0.1} for size in (1e-36, -1e-36, 1e-320, 0.0, 1e-35, 3e-35)]
        assert_same(load_scorer(tmp_path / "made.tahona"), bundle, rows)


def test_a_forest_too_large_for_a_worker_is_slow(tmp_path: Path, monkeypatch) -> None:
    from tahona.bundle import compiled

    monkeypatch.setattr(compiled, "MOST_LEAVES", 100)
    frame, file = varied_table(2), tmp_path / "made.tahona"
    kept(fitted(frame, CASES["random_forest"], target="label", types={"note": "id"}), file, frame)
    assert why_slow(file).endswith("leaves, more than the 100 that a worker holds")
    assert MOST_LEAVES > 100_000


def test_a_bundle_of_many_classes_is_scored_and_one_of_too_many_is_slow(tmp_path: Path, monkeypatch) -> None:
    draw, file = np.random.default_rng(0), tmp_path / "made.tahona"
    label = np.repeat(np.arange(60), 8)
    frame = pd.DataFrame({"size": label + draw.normal(size=480), "turns": draw.normal(size=480), "label": label})
    frame["label"] = [f"class {code:02}" for code in label]
    for part in (Part("linear_svc", {"tol": 0.1}), Part("lightgbm", {"n_estimators": 2}), Part("naive_bayes", {})):
        bundle = fitted(frame, [part], target="label")
        rows = kept(bundle, file, frame)
        assert_same(load_scorer(file), bundle, rows)
    from tahona.scorer import source

    monkeypatch.setattr(source, "MOST_LINES", 50)
    kept(bundle, file, frame)
    assert "lines, more than 50" in why_slow(file)


def test_numbers_of_any_size_are_judged_or_refused(tmp_path: Path) -> None:
    draw, file = np.random.default_rng(0), tmp_path / "made.tahona"
    for largest, why in ((1e30, ""), (1e307, "the numbers of column 'size' go beyond float32")):
        size = draw.choice([-largest, largest, 0.0, 1.0], 300)
        frame = pd.DataFrame({"size": size, "turns": draw.normal(size=300), "label": (size > 0).astype(int)})
        bundle = fitted(frame, [Part("tree", {}, "none")], target="label", types={"size": "numeric"})
        rows = kept(bundle, file, frame)
        assert why_slow(file) == why
        if not why:
            assert_same(load_scorer(file), bundle, rows)


REAL: dict[str, list[Part]] = {
    "lightgbm": [Part("lightgbm", {"n_estimators": 60})],
    "random_forest": [Part("random_forest", {"n_estimators": 20, "min_samples_leaf": 3})],
    "hist_gradient_boosting": [Part("hist_gradient_boosting", {"max_iter": 40})],
    "logistic_regression": [Part("logistic_regression", {"tol": 1e-2})],
    "linear_svc": [Part("linear_svc", {"tol": 1e-2}, "sigmoid")],
    "a mixture": CASES["a mixture"],
}


@pytest.fixture(scope="module")
def hotel(real_data: Path) -> pd.DataFrame:
    return pd.read_parquet(real_data / "hotel_bookings.parquet")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("case", REAL)
def test_ten_thousand_mutated_rows_are_scored_to_the_bit(case: str, hotel: pd.DataFrame, tmp_path: Path) -> None:
    frame = hotel.sample(4000, random_state=3)
    says = {
        "drop": ("reservation_status", "reservation_status_date", "assigned_room_type"),
        "types": {"agent": "category", "company": "category"},
    }
    bundle = fitted(frame, REAL[case], target="is_canceled", positive="1", **says)
    file = tmp_path / "hotel.tahona"
    kept(bundle, file, frame.head(300))
    rows = mutated(hotel)
    scorer = load_scorer(file)
    assert_same(scorer, bundle, rows)
    made = [scorer.row(row) for row in rows]
    for size in (1, 7, 4096):
        pieces = [scorer.score_many(made[start : start + size]) for start in range(0, len(made), size)]
        assert [answer for piece in pieces for answer in piece] == [scorer.score(row) for row in made]
    assert sum("unseen category" in " ".join(scorer.score(row)[2]) for row in made) > 1000
