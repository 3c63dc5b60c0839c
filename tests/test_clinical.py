"""Text in, label out: five classes of real abstracts, and Spanish visits whose patients stay on one side."""

from __future__ import annotations

import html
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path, PurePath
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from projects import output, outputs

import tahona
from tahona.bundle.bundle import Bundle
from tahona.core.naming import check_name
from tahona.learn.text import fit_text

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "clinical"
SHARES = {
    "Cardiovascular": 3223,
    "Salud mental": 2211,
    "Respiratorio": 1818,
    "Digestivo": 1260,
    "Neurológico": 991,
    "Endocrino": 497,
}
REPORTS = ("report.html", "report.md", "model_card.md")
QUOTED = 40
"""So many characters of a cell in a row are a quotation."""


class Finished(NamedTuple):
    """A project after its run, and what the run kept."""

    folder: Path
    run: tahona.Run
    bundle: Bundle
    train: pd.DataFrame
    test: pd.DataFrame
    evaluation: dict[str, Any]


def run_project(folder: Path, file: str, *overrides: str) -> Finished:
    project = tahona.load(folder / file, overrides=overrides)
    run = project.run()
    parts = (pd.read_parquet(output(folder, "split", f"{part}.parquet")) for part in ("train", "test"))
    evaluation = json.loads(output(folder, "evaluate", "evaluation.json").read_text("utf-8"))
    return Finished(folder, run, project.bundle(str(run.summary.version)), *parts, evaluation)


def copy_example(folder: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".tahona", "reports", "data")))


def plain(text: str) -> str:
    """Return the text without case and with single spaces: equal texts are then equal."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def quotations(page: str, cells: Iterable[str]) -> list[str]:
    """Return pieces of cells, `QUOTED` characters long, that stand in the page."""
    half = QUOTED // 2
    page = plain(html.unescape(page))
    there = {page[start : start + half] for start in range(len(page))}
    found = []
    for cell in map(plain, cells):
        # a quotation holds one of the pieces that begin at multiples of its half; only then look closely
        for start in range(0, len(cell) - half + 1, half):
            if cell[start : start + half] in there:
                around = range(max(0, start - half), min(start, len(cell) - QUOTED) + 1)
                found += [cell[place : place + QUOTED] for place in around if cell[place : place + QUOTED] in page]
    return found


def terms(bundle: Bundle) -> set[str]:
    return {term for member in bundle.members for text in member.model.encoding.texts for term in text.terms}


def test_a_quotation_is_found_wherever_it_stands() -> None:
    cell = "La paciente refiere depresión desde la muerte de un familiar y ansiedad constante"
    for start in range(len(cell) - QUOTED + 1):
        assert quotations(f"<p>{html.escape(cell[start : start + QUOTED]).upper()}</p>", [cell])
    assert not quotations(f"<p>{cell[:20]}</p><p>{cell[20:50]}</p>", [cell])


# ----------------------------------------------------------------------------------------------- the real abstracts


@pytest.fixture(scope="module")
def abstracts(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Iterator[list[Finished]]:
    """The project of the abstracts with five seeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAHONA_ABSTRACTS", str(real_data / "medical_abstracts.csv"))
        runs = []
        for seed in range(1, 6):
            folder = copy_example(tmp_path_factory.mktemp("abstracts") / "clinical")
            runs.append(run_project(folder, "abstracts.toml", f"split.seed={seed}"))
        yield runs


@pytest.mark.real
def test_five_classes_from_raw_text_reach_a_macro_f1_of_57_over_five_seeds(abstracts: list[Finished]) -> None:
    values = [finished.run.metrics["f1_macro"] for finished in abstracts]
    assert len({tuple(finished.test["_row"]) for finished in abstracts}) == 5
    assert mean(values) >= 0.57, values
    assert min(values) >= 0.55, values


@pytest.mark.real
def test_each_of_the_five_classes_has_its_row(abstracts: list[Finished]) -> None:
    for finished in abstracts:
        table = finished.evaluation["per_class"]
        assert [row["label"] for row in table] == ["1", "2", "3", "4", "5"]
        assert sum(row["rows"] for row in table) == len(finished.test) == finished.evaluation["rows"]
        assert all(0.3 < row["f1"] < 0.95 for row in table)
        page = (finished.folder / "reports" / "report.md").read_text("utf-8")
        assert all(f"| {row['label']} | {row['rows']} | {row['precision']:.4f} |" in page for row in table)


@pytest.mark.real
def test_a_text_that_occurs_twice_is_never_on_both_sides(abstracts: list[Finished]) -> None:
    for finished in abstracts:
        train, test = (part["medical_abstract"].map(plain) for part in (finished.train, finished.test))
        assert train.duplicated().sum() + test.duplicated().sum() >= 100
        assert not set(train) & set(test)
        with np.load(output(finished.folder, "split", "folds.npz")) as folds:
            for number in range(5):
                fit, judged = (set(train.iloc[folds[f"{part}_{number}"]]) for part in ("fit", "validate"))
                assert not fit & judged


@pytest.mark.real
def test_raw_text_goes_into_the_bundle_and_a_label_comes_out(abstracts: list[Finished]) -> None:
    finished = abstracts[0]
    texts = finished.test["medical_abstract"].iloc[:60]
    answers = finished.bundle.predict([{"medical_abstract": text} for text in [*texts, None, "", "…"]])
    probabilities = answers[[f"probability_{label}" for label in "12345"]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (answers["label"] == [str(1 + place) for place in probabilities.argmax(axis=1)]).all()
    kept = pd.read_parquet(output(finished.folder, "evaluate", "predictions.parquet"))
    assert kept["_row"].iloc[:60].tolist() == finished.test["_row"].iloc[:60].tolist()
    assert probabilities[:60].tobytes() == kept[[f"probability_{label}" for label in "12345"]].to_numpy()[:60].tobytes()
    alone = finished.bundle.predict([{"medical_abstract": texts.iloc[7]}])
    assert alone.iloc[0].drop("warnings").tolist() == answers.iloc[7].drop("warnings").tolist()
    assert len(set(answers["label"].iloc[60:])) == 1  # where nothing is said, every row gets the same answer


@pytest.mark.real
def test_no_abstract_is_quoted_in_any_report(abstracts: list[Finished], real_data: Path) -> None:
    cells = pd.read_csv(real_data / "medical_abstracts.csv")["medical_abstract"].to_list()
    for name in REPORTS:
        assert quotations((abstracts[0].folder / "reports" / name).read_text("utf-8"), cells) == []


# ------------------------------------------------------------------------------------------------ the Spanish visits


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with 1,200 invented visits."""
    folder = copy_example(tmp_path_factory.mktemp("visits") / "clinical")
    subprocess.run([sys.executable, "-W", "error", folder / "make_data.py", "--rows", "1200"], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def raw(made: Path) -> pd.DataFrame:
    return pd.read_csv(made / "data" / "raw" / "historias_raw_20250101.csv")


@pytest.fixture(scope="module")
def visits(made: Path) -> Finished:
    return run_project(made, "tahona.toml", "train.trials=3", "train.search.random_forest.n_estimators=[60]")


def test_the_generator_writes_the_columns_and_the_traps_of_the_clinic_twice(made: Path, raw: pd.DataFrame) -> None:
    assert check_name(PurePath("data/raw/historias_raw_20250101.csv")) is None
    columns = "paciente sexo edad grupo especialidad_medica subjetivo objetivo concatenada"
    assert raw.columns.tolist() == columns.split()
    with closing(sqlite3.connect(made / "data" / "raw" / "historias.sqlite")) as connection:
        stored = pd.read_sql_query("SELECT * FROM historias", connection)
    pd.testing.assert_frame_equal(stored.astype(object).fillna(""), raw.astype(object).fillna(""))
    shares = raw["grupo"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({group: share / 10_000 for group, share in SHARES.items()}, abs=0.005)
    assert len(raw) == 1200
    assert raw.duplicated().sum() == pytest.approx(24, abs=3)
    assert raw["subjetivo"].isna().any()
    assert (raw["subjetivo"].isna() & raw["objetivo"].isna()).sum() >= 5
    assert 2 < raw.groupby("paciente").size().mean() < 4
    texts = raw["concatenada"].dropna()
    decomposed = (texts != texts.map(lambda text: unicodedata.normalize("NFC", text))).mean()
    assert 0.02 < decomposed < 0.08
    assert all(texts.str.contains(word).any() for word in ("depresión", "Niño", "corazón", "años", "Ñuñoa"))


def test_six_groups_are_told_apart_well_but_not_trivially(visits: Finished) -> None:
    assert 0.75 < visits.run.metrics["f1_macro"] < 0.95
    assert {row["label"] for row in visits.evaluation["per_class"]} == set(SHARES)
    board = visits.run.leaderboard().set_index("model")["value"]
    assert board["dummy"] < 0.1
    assert {"logistic_regression", "linear_svc", "random_forest"} < set(board.index)


def test_a_patient_is_never_on_both_sides_and_never_a_feature(visits: Finished) -> None:
    assert not set(visits.train["paciente"]) & set(visits.test["paciente"])
    assert visits.train["paciente"].duplicated().any()
    with np.load(output(visits.folder, "split", "folds.npz")) as folds:
        for number in range(5):
            fit, judged = (
                set(visits.train["paciente"].iloc[folds[f"{part}_{number}"]]) for part in ("fit", "validate")
            )
            assert not fit & judged
    read = {source for member in visits.bundle.members for source in member.model.encoding.sources}
    assert read == {"sexo", "edad", "especialidad_medica", "subjetivo", "objetivo"}
    said = {(finding.kind, finding.column) for finding in visits.run.summary.findings}
    assert {("group_no_feature", "paciente"), ("groups_apart", "paciente")} <= said
    assert "paciente" not in {row["column"] for row in visits.evaluation["importance"]}


def test_a_patient_who_is_a_number_is_no_feature_either(tmp_path: Path, raw: pd.DataFrame) -> None:
    folder = copy_example(tmp_path / "clinical")
    (folder / "data" / "raw").mkdir(parents=True)
    numbered = raw.assign(paciente=raw["paciente"].str[1:].astype(int)).head(300)
    numbered.to_csv(folder / "data" / "raw" / "historias_raw_20250101.csv", index=False)
    quick = ("train.models=['naive_bayes']", "train.trials=1", "data.source=data/raw/historias_raw_20250101.csv")
    kinds = {}
    for declared in ((), ("data.types.paciente=numeric",)):
        finished = run_project(folder, "tahona.toml", *quick, *declared)
        kinds[declared] = {column.name: column.kind for column in finished.bundle.schema.columns}
    assert kinds[()]["paciente"] == "id"
    assert kinds[("data.types.paciente=numeric",)]["paciente"] == "numeric"  # whoever says so is believed


def test_accents_stay_in_the_vocabulary(visits: Finished) -> None:
    known = {word for term in terms(visits.bundle) for word in term.split()}
    assert {"depresión", "niño", "corazón", "años"} <= known
    assert not known & {"depresi", "depresin", "depresion", "ni", "nin", "nino", "corazn", "aos"}
    assert not {word for word in known if unicodedata.normalize("NFC", word) != word}


def test_taking_accented_letters_out_would_tear_words_apart() -> None:
    texts = ["La niña también tiene depresión", unicodedata.normalize("NFD", "La niña también tiene depresión")]
    # what the former program did to its texts
    torn = [re.sub(r"[^a-z\s]", "", text.lower()).split() for text in texts]
    assert torn[0] != torn[1]
    assert "depresin" in torn[0]
    assert "tambin" in torn[0]  # no stop word any more
    column = np.array(texts, dtype=object)
    ours = fit_text(column, "nota")
    assert ours.terms == ("depresión", "niña", "niña depresión")
    first, second = ours.apply(column).toarray()
    assert first.tobytes() == second.tobytes()


def test_decomposed_accents_change_no_answer(visits: Finished, raw: pd.DataFrame) -> None:
    rows = raw[raw["concatenada"].str.contains("depresión", na=False)].head(40).drop(columns="grupo")
    apart = rows.map(lambda cell: unicodedata.normalize("NFD", cell) if isinstance(cell, str) else cell)
    assert not apart.equals(rows)
    pd.testing.assert_frame_equal(visits.bundle.predict(apart), visits.bundle.predict(rows), check_exact=True)


def test_a_visit_without_any_text_gets_no_answer_and_is_told_why(visits: Finished, raw: pd.DataFrame) -> None:
    silent = raw[raw["subjetivo"].isna() & raw["objetivo"].isna()]
    half = raw[raw["subjetivo"].isna() & raw["objetivo"].notna()]
    answers = visits.bundle.predict(pd.concat([silent.head(2), half.head(2)]).drop(columns="grupo"))
    assert answers["label"].isna().tolist() == [True, True, False, False]
    assert answers["warnings"].iloc[:2].tolist() == ["dropped by a cleaning function"] * 2
    assert len(visits.train) + len(visits.test) == len(raw) - len(silent)


def test_the_report_speaks_spanish_and_quotes_no_visit(visits: Finished, raw: pd.DataFrame) -> None:
    reports = visits.folder / "reports"
    page = (reports / "report.html").read_text("utf-8")
    assert '<html lang="es"' in page
    for words in ("Clase por clase", "modelo trivial", "Neurológico", "Las filas con el mismo paciente"):
        assert words in page
    cells = [*raw["subjetivo"].dropna(), *raw["objetivo"].dropna()]
    for name in REPORTS:
        assert quotations((reports / name).read_text("utf-8"), cells) == []
    assert outputs(visits.folder, "report").keys() >= set(REPORTS)


def test_no_visit_of_two_is_seen_on_both_sides(visits: Finished) -> None:
    """A visit that was entered twice has one patient, so both entries fall on one side."""
    texts = ["edad", "sexo", "subjetivo", "objetivo"]
    both = visits.train[texts].dropna().merge(visits.test[texts].dropna(), on=texts)
    assert visits.train[texts].dropna().duplicated().any()
    assert both.empty
