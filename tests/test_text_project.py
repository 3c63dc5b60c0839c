"""Spanish lemmas declared in the project file: in the bundle, and not needed to use it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import Command, output, write_project

from tahona.bundle.bundle import load_bundle
from tahona.project.load import load_project

PROJECT = """\
[project]
name = "visitas"
target = "grupo"
language = "es"

[data]
source = "table.csv"
types = { nota = "text" }

[data.text]
lemmas = "es"
stop_words = ["paciente"]

[split]
folds = 3
test = 0.25

[train]
metric = "f1"
models = ["linear_svc"]

[train.search.linear_svc]
C = [1.0]
"""
SICK = ("refiere dolor torácico", "refiere dolores torácicos", "con una depresión grave", "con depresiones graves")
WELL = ("sin molestias desde ayer", "no refiere molestia alguna", "presenta buen estado", "duerme y come bien")


def visits() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    sick = rng.random(160) < 0.5
    notes = [f"El paciente de {rng.integers(20, 90)} años {rng.choice(SICK if ill else WELL)}." for ill in sick]
    return pd.DataFrame({"nota": notes, "grupo": np.where(sick, "enfermo", "sano")})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path / "visitas", PROJECT, visits())


def test_a_bundle_knows_forms_that_training_never_saw_and_needs_no_dictionary(
    folder: Path, here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = here("run", "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    monkeypatch.setitem(sys.modules, "simplemma", None)
    bundle = load_bundle(output(folder, "select", "bundle.zip"))
    (column,) = bundle.schema.of_kind("text")
    assert (column.lemmas, column.stop_words) == ("es", ("paciente",))
    (text,) = bundle.members[0].model.encoding.texts
    assert "dolor torácico" in text.terms
    assert not {"dolores", "depresiones", "paciente"} & set(text.terms)
    told = bundle.predict([{"nota": note} for note in ("Refiriendo dolor torácica", "Refiere dolores torácicos")])
    assert told["label"].tolist() == ["enfermo", "enfermo"]
    first, second = told["probability_enfermo"]
    assert first == second


def test_pieces_of_words_are_read_by_linear_models_and_not_by_trees(folder: Path, here: Command) -> None:
    words = (
        "--set",
        "data.text.characters=true",
        "--set",
        "train.models=['linear_svc', 'tree']",
        "--set",
        "train.trials=1",
    )
    answer = here("run", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    kinds = {}
    for family in ("linear_svc", "tree"):
        encoding = json.loads(output(folder, f"train@{family}", "model/encoding.json").read_text("utf-8"))
        kinds[family] = [text["table"] for text in encoding["texts"]]
    assert kinds == {"linear_svc": ["text", "characters"], "tree": ["text"]}
    bundle = load_bundle(output(folder, "select", "bundle.zip"))
    notes = [{"nota": note} for note in ("Refiere dolorcito torácico", "", "duerme bien")]
    together = bundle.predict(notes)
    assert [bundle.predict([note])["probability_sano"][0] for note in notes] == together["probability_sano"].tolist()


def test_without_the_extra_a_run_stops_before_any_training_and_says_what_to_install(
    folder: Path, here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "simplemma", None)
    answer = here("run", "-C", folder, "--json")
    assert answer.code == 4
    assert answer.document["error"]["fix"] == "pip install 'tahona[text-es]'"
    assert answer.document["error"]["where"] == "[data.text] lemmas"
    assert here("run", "-C", folder, "--json", "--set", "data.text.lemmas='none'").code == 2


def test_what_is_said_of_texts_where_there_is_none_is_refused(folder: Path, here: Command) -> None:
    answer = here("run", "-C", folder, "--json", "--set", "data.types.nota=category")
    assert answer.code == 2
    assert "no column of the table is text" in answer.document["error"]["what"]


def test_a_stop_word_is_one_word(folder: Path, here: Command) -> None:
    for words in ('["dos palabras"]', '["a"]', '["¿qué?"]'):
        answer = here("check", "-C", folder, "--json", "--set", f"data.text.stop_words={words}")
        assert answer.code == 2
        assert "data.text.stop_words[0]" in answer.document["error"]["what"]
    project = load_project(folder, overrides=('data.text.stop_words=["señora", "niño"]',)).project
    assert project.data.text.stop_words == ("señora", "niño")
