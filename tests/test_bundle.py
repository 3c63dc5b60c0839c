"""The bundle: the same answers however rows are brought, and nothing but whole, unchanged bundles."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import QUICK, Command, edit, output, quick_table, write_project

import tahona as public
from tahona.bundle.bundle import Bundle, load_bundle
from tahona.errors import DataError, IntegrityError
from tahona.lifecycle.registry import find_version
from tahona.wiring import open_project, open_source

MIXED = (
    QUICK.partition("[train.search.tree]")[0]
    .replace('"tree", "logistic_regression"', '"lightgbm", "logistic_regression", "knn", "svc", "tree"')
    .replace("[train]", "[train]\ntrials = 2")
    .replace("[split]", 'types = { note = "text" }\n\n[split]')
)
CLEANED = QUICK.replace("[split]", 'clean = ["cleaning:fix"]\n\n[split]')
CLEANING = "import helper\n\ndef fix(frame):\n    return frame.assign(size=frame['size'].clip(helper.LOW, 2.0))\n"


Writer = Callable[[Path, Path], object]
"""Writes a file, given a whole bundle to spoil."""


def mixed_table(rows: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    words = ("grano", "harina", "piedra", "depresión", "niño", "rueda")
    notes = [" ".join(rng.choice(words, 5)) for _ in range(rows)]
    return quick_table(rows, seed).assign(note=notes)


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every kind of encoding in its bundle: scaled, coded and native columns, categories and text."""
    folder = write_project(tmp_path_factory.mktemp("mill") / "quick", MIXED, mixed_table(300))
    public.load(folder).run()
    return folder


def damaged(project: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the stored bytes of the project's only version."""
    opened = open_project(project)
    path = opened.store.get(find_version(opened, "1").bundle_digest)
    path.write_bytes(change(path.read_bytes()))
    return path


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def with_comment(data: bytes) -> bytes:
    """Add a comment to a zip, which every reader of zips accepts."""
    assert data.endswith(b"\0\0")
    return data[:-2] + b"\x04\x00harm"


@pytest.mark.parametrize("change", [flipped, with_comment, lambda data: data[:-100], lambda data: b""])
def test_stored_bytes_that_changed_are_refused_before_they_are_read(
    project: Path, here: Command, change: Callable[[bytes], bytes]
) -> None:
    assert here("run", "-C", project).code == 0
    damaged(project, change)
    for words in (("export", "model", "champion", "--pickle"), ("export", "model", "champion")):
        answer = here(*words, "-C", project, "-o", project, "--json")
        assert answer.code == 5
        error = answer.document["error"]
        assert "is damaged: its bytes are not the ones that were kept" in error["what"]
        assert "run again" in error["fix"]
    assert not list(project.glob("*.pkl"))
    with pytest.raises(IntegrityError):
        public.load_bundle("quick@champion", project=project)


def test_what_the_refusal_says_mends_a_damaged_artefact(project: Path, here: Command) -> None:
    """The files that it names removed, the next run makes the same bytes again, and the version serves as before."""
    assert here("run", "-C", project).code == 0
    sound = public.load_bundle("quick@champion", project=project).predict(raw_rows(project))
    damaged(project, flipped)
    fix = here("export", "model", "champion", "-C", project, "-o", project, "--json").document["error"]["fix"]
    doomed = [Path(word.strip(",:")) for word in fix.split() if str(project) in word]
    assert len(doomed) > 1
    for path in doomed:
        path.unlink()
    assert here("run", "-C", project).code == 0
    mended = public.load_bundle("quick@champion", project=project)
    pd.testing.assert_frame_equal(mended.predict(raw_rows(project)), sound, check_exact=True)
    assert len(here("models", "-C", project, "--json").document["models"]) == 1


def zipped(files: dict[str, str]) -> Writer:
    def write(_whole: Path, file: Path) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)

    return write


def edited(change: Callable[[dict[str, object]], object]) -> Writer:
    """Write a copy of a whole bundle whose bundle.json was changed."""

    def write(whole: Path, file: Path) -> None:
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(file, "w") as archive:
            for name in source.namelist():
                data = source.read(name)
                archive.writestr(name, json.dumps(change(json.loads(data))) if name == "bundle.json" else data)

    return write


def huge(_whole: Path, file: Path) -> None:
    """Write a small zip that says of itself that it unpacks to 3 GiB."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bundle.json", "{}")
        archive.filelist[0].file_size = 3 << 30


def holds(data: bytes) -> Writer:
    return lambda _whole, file: file.write_bytes(data)


def changed(change: Callable[[bytes], bytes]) -> Writer:
    return lambda whole, file: file.write_bytes(change(whole.read_bytes()))


def flipped_inside(whole: Path, file: Path) -> None:
    """Write a copy with a bit flipped in the middle of the longest of its files."""
    with zipfile.ZipFile(whole) as archive:
        entry = max(archive.infolist(), key=lambda each: each.compress_size)
    data = bytearray(whole.read_bytes())
    data[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 1
    file.write_bytes(data)


REFUSED: dict[str, tuple[Writer, str]] = {
    "a picture": (holds(b"\x89PNG\r\n\x1a\n" + bytes(99)), "not a whole bundle"),
    "an empty file": (holds(b""), "not a whole bundle"),
    "a truncated one": (changed(lambda data: data[:-50]), "not a whole bundle"),
    "damage inside": (flipped_inside, ""),
    "a path upwards": (zipped({"../../evil.py": "harm"}), "a path that leads out of it"),
    "an absolute path": (zipped({"/etc/evil": "harm"}), "a path that leads out of it"),
    "another zip": (zipped({"readme.txt": "hello"}), "no readable bundle.json"),
    "no JSON": (zipped({"bundle.json": "{"}), "no readable bundle.json"),
    "a list": (zipped({"bundle.json": "[]"}), "not as Tahona writes it"),
    "nothing in it": (zipped({"bundle.json": "{}"}), "not as Tahona writes it"),
    "a member too many": (edited(lambda data: {**data, "weights": [0.5, 0.5]}), "not as Tahona writes it"),
    "no columns": (edited(lambda data: {**data, "schema": {}}), "not as Tahona writes it"),
    "a newer format": (edited(lambda data: {**data, "format": 99}), "has format 99, this Tahona reads up to 1"),
    "a bomb": (huge, "unpacks to more than 2 GiB"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_whole_bundle_is_refused(finished: Path, tmp_path: Path, case: str) -> None:
    write, says = REFUSED[case]
    file = tmp_path / "other.tahona"
    write(output(finished, "select", "bundle.zip"), file)
    with pytest.raises(IntegrityError) as caught:
        public.load_bundle(file)
    assert says in caught.value.what
    assert caught.value.exit_code == 5
    assert not list(tmp_path.parent.rglob("evil*"))


def test_a_file_with_another_digest_than_the_one_given_is_refused(
    finished: Path, here: Command, tmp_path: Path
) -> None:
    answer = here("export", "model", "champion", "-C", finished, "-o", tmp_path, "--json")
    file = Path(answer.document["file"])
    assert file.name == "breast_cancer_v1.tahona"
    digest = here("models", "-C", finished, "--json").document["models"][0]["bundle_digest"]
    assert public.load_bundle(file, sha256=digest).schema.positive == "malignant"
    with pytest.raises(IntegrityError, match="digest"):
        public.load_bundle(file, sha256="0" * 64)


def raw_rows(project: Path) -> pd.DataFrame:
    return open_source(open_project(project).project).fetch().frame


def probabilities(bundle: Bundle, answer: pd.DataFrame) -> np.ndarray:
    return answer[[f"probability_{label}" for label in bundle.schema.labels]].to_numpy()


def test_a_registered_bundle_repeats_the_test_predictions_bit_for_bit(finished: Path) -> None:
    """From raw rows: as they were read, shuffled with foreign columns among them, and as plain dicts."""
    bundle = public.load_bundle("breast_cancer@champion", project=finished)
    said = pd.read_parquet(output(finished, "evaluate", "predictions.parquet"))
    raw = raw_rows(finished).drop(columns="target").iloc[said["_row"]]
    expected = said[["probability_benign", "probability_malignant"]].to_numpy()
    labels = np.asarray(bundle.schema.labels)[said["decided"]]
    shuffled = raw[raw.columns[::-1]].assign(**{"favourite colour": "red"})
    for rows in (raw, shuffled, raw.to_dict("records")):
        answer = bundle.predict(rows)
        assert np.array_equal(probabilities(bundle, answer), expected)
        assert (answer["label"].to_numpy() == labels).all()
        assert set(answer["version"]) == {1}
    assert list(bundle.predict(raw).columns) == [
        "label",
        "probability_benign",
        "probability_malignant",
        "version",
        "warnings",
    ]


def test_an_exported_pickle_has_the_agreed_name_and_predicts(finished: Path, here: Command, tmp_path: Path) -> None:
    answer = here("export", "model", "champion", "--pickle", "-C", finished, "-o", tmp_path, "--json")
    file = Path(answer.document["file"])
    assert file.name == "lr_breast_cancer_v1.pkl"
    bundle = pickle.loads(file.read_bytes())
    registered = public.load_bundle("breast_cancer@1", project=finished)
    rows = raw_rows(finished).drop(columns="target")
    pd.testing.assert_frame_equal(bundle.predict(rows), registered.predict(rows), check_exact=True)


def mutated(rows: int) -> list[dict[str, object]]:
    """Return rows as a request might bring them: nulls of every make, unseen categories, far numbers, odd texts."""
    rng = np.random.default_rng(9)
    found: list[dict[str, object]] = mixed_table(rows, seed=4).drop(columns="label").to_dict("records")
    for row in found:
        choice = rng.integers(0, 12)
        if choice == 0:
            row["size"] = None
        elif choice == 1:
            row["weight"] = float("nan")
        elif choice == 2:
            row["colour"] = None
        elif choice == 3:
            row["colour"] = "violet"
        elif choice == 4:
            row["note"] = None if rng.random() < 0.5 else ""
        elif choice == 5:
            row |= {"size": 1e9, "weight": -1e9, "note": "palabras nunca vistas"}
        elif choice == 6:
            row["size"] = int(rng.integers(-3, 3))
    return found


@pytest.mark.slow
def test_a_thousand_rows_give_the_same_bits_alone_in_batches_and_in_a_notebook(mill: Path) -> None:
    bundle = public.load(mill).bundle()
    assert len(bundle.members) >= 1
    rows = mutated(1000)
    batch = bundle.predict(rows)
    frame = public.load_bundle("quick@champion", project=mill).predict(pd.DataFrame(rows))
    pieces = pd.concat([bundle.predict(rows[start : start + 37]) for start in range(0, 1000, 37)], ignore_index=True)
    alone = pd.concat([bundle.predict([row]) for row in rows], ignore_index=True)
    for other in (frame, pieces, alone):
        assert np.array_equal(probabilities(bundle, other), probabilities(bundle, batch))
        assert other["label"].tolist() == batch["label"].tolist()
        assert other["warnings"].tolist() == batch["warnings"].tolist()
    assert np.isfinite(probabilities(bundle, batch)).all()


@pytest.mark.parametrize("family", ["lightgbm", "logistic_regression", "knn", "svc", "tree", "dummy"])
def test_every_family_gives_a_row_alone_the_bits_it_gives_in_a_batch(mill: Path, family: str) -> None:
    """The mixture may leave a family out; here each one is asked."""
    from tahona.learn.columns import to_columns
    from tahona.steps.select import fitted_model

    files = {
        name: output(mill, f"train@{family}", name)
        for name in ("model/encoding.json", "model/model.json", "model/model.skops", "model/model.txt")
        if name in json.loads((mill / ".tahona" / "last" / f"train@{family}.json").read_text("utf-8"))["outputs"]
    }
    model, schema = fitted_model(files), public.load(mill).bundle().schema
    rows = mutated(60)
    batch = model.scores(to_columns(rows, schema))
    alone = np.concatenate([model.scores(to_columns([row], schema)) for row in rows])
    assert np.array_equal(batch, alone)


def test_what_training_never_saw_is_answered_with_a_warning(mill: Path) -> None:
    bundle = public.load(mill).bundle()
    plain = {"size": 0.1, "weight": 0.2, "colour": "red", "note": "grano"}
    said = bundle.predict(
        [
            plain,
            plain | {"colour": "violet"},
            plain | {"size": 99.0},
            plain | {"colour": "violet", "weight": -99.0},
            plain | {"colour": None},
        ]
    )["warnings"].tolist()
    assert said[0] == ""
    assert said[1] == "unseen category in colour"
    assert said[2] == "size outside the training range"
    assert said[3] == "weight outside the training range; unseen category in colour"
    assert said[4] == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": "wide-secret"}, "size"),
        ({"size": float("inf")}, "size"),
        ({"colour": ["secret"]}, "colour"),
        ({"note": {"secret": 1}}, "note"),
    ],
)
def test_a_cell_that_fits_no_column_is_refused_without_being_repeated(
    mill: Path, change: dict[str, object], says: str
) -> None:
    bundle = public.load(mill).bundle()
    plain = {"size": 0.1, "weight": 0.2, "colour": "red", "note": "grano"}
    with pytest.raises(DataError) as caught:
        bundle.predict([plain, plain | change])
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_missing_columns_and_no_rows_are_refused(mill: Path) -> None:
    bundle = public.load(mill).bundle()
    with pytest.raises(DataError, match=r"colour.*note"):
        bundle.predict([{"size": 0.1, "weight": 0.2}])
    for nothing in ([], pd.DataFrame(columns=["size", "weight", "colour", "note"])):
        with pytest.raises(DataError, match="no rows"):
            bundle.predict(nothing)


def test_a_bundle_behind_cleaning_functions_cleans_raw_rows_as_training_did(tmp_path: Path, here: Command) -> None:
    folder = write_project(tmp_path / "quick", CLEANED, cleaning=CLEANING, helper="LOW = -2.0\n")
    assert here("run", "-C", folder).code == 0
    bundle = public.load_bundle("quick@champion", project=folder)
    plain = {"size": 2.0, "weight": 0.2, "colour": "red"}
    near, far = probabilities(bundle, bundle.predict([plain, plain | {"size": 77.0}]))
    assert np.array_equal(near, far)
    said = pd.read_parquet(output(folder, "evaluate", "predictions.parquet"))
    raw = raw_rows(folder).drop(columns="label").iloc[said["_row"]]
    assert np.array_equal(
        probabilities(bundle, bundle.predict(raw)), said[["probability_no", "probability_yes"]].to_numpy()
    )


def test_changed_cleaning_code_is_refused(tmp_path: Path, here: Command) -> None:
    folder = write_project(tmp_path / "quick", CLEANED, cleaning=CLEANING, helper="LOW = -2.0\n")
    assert here("run", "-C", folder).code == 0
    edit(folder, "-2.0", "-1.0", "helper.py")
    answer = here("export", "model", "champion", "--pickle", "-C", folder, "-o", folder, "--json")
    assert answer.code == 5
    assert "the cleaning functions (cleaning:fix) are not the code" in answer.document["error"]["what"]
    edit(folder, "-1.0", "-2.0", "helper.py")
    assert public.load_bundle("quick@champion", project=folder).version == 1


def test_a_bundle_with_cleaning_functions_and_no_project_says_what_it_needs(tmp_path: Path, here: Command) -> None:
    folder = write_project(tmp_path / "quick", CLEANED, cleaning=CLEANING, helper="LOW = -2.0\n")
    assert here("run", "-C", folder).code == 0
    bundle = load_bundle(output(folder, "select", "bundle.zip"))
    with pytest.raises(DataError, match="trained behind cleaning functions") as caught:
        bundle.predict([{"size": 2.0, "weight": 0.2, "colour": "red"}])
    assert "project=" in caught.value.fix


def test_no_pickle_is_in_a_bundle(finished: Path) -> None:
    with zipfile.ZipFile(output(finished, "select", "bundle.zip")) as archive:
        names = archive.namelist()
        for name in names:
            if name.endswith(".npy"):
                np.load(BytesIO(archive.read(name)), allow_pickle=False)
    assert {Path(name).suffix for name in names} == {".json", ".npy", ".skops"}
