"""Results laid out as files of a project: under the names that people asked for, and taken in again where they came."""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePath

import pandas as pd
import pytest
from projects import Command, edit, output, outputs, quick_table, states, write_project

from tahona.core.naming import check_names
from tahona.core.plan import ROAD, Step
from tahona.digests import digest_file
from tahona.orchestrators.dvc import READS
from tahona.project.load import load_project
from tahona.steps import station

DAY = "20260102"
EARLY, LATE = ("ingest", "clean", "split", "audit"), ("select", "evaluate", "register", "report")
STEPS = (*EARLY, "train@dummy", "train@tree", "train@logistic_regression", *LATE)


def lay_out(project: Path, here: Command) -> None:
    answer = here("step", *STEPS, "--lay-out", DAY, "-C", project)
    assert answer.code == 0, answer.stderr


def clone(project: Path, folder: Path) -> Path:
    """Bring the project's files into a folder as version control does: of Tahona's own, what is laid out."""
    own = shutil.ignore_patterns("artifacts", "ledger.db*", "last", "notes", "scratch", "cache", "failed")
    return Path(shutil.copytree(project, folder, ignore=own, dirs_exist_ok=True))


@pytest.fixture
def laid(project: Path, here: Command) -> Path:
    """A small project, run and laid out."""
    lay_out(project, here)
    return project


def test_results_lie_under_the_names_that_people_asked_for(laid: Path) -> None:
    expected = {
        f"data/raw/quick_raw_{DAY}.parquet": ("ingest", "raw.parquet"),
        f"data/interim/quick_interim_{DAY}.parquet": ("clean", "interim.parquet"),
        f"data/processed/quick_train_processed_{DAY}.parquet": ("split", "train.parquet"),
        f"data/processed/quick_test_processed_{DAY}.parquet": ("split", "test.parquet"),
        "models/quick.tahona": ("select", "bundle.zip"),
        "reports/report.html": ("report", "report.html"),
        "reports/figures/roc_curve_quick_.png": ("report", "figures/roc_curve_quick_.png"),
        ".tahona/laid/train@tree/model/model.skops": ("train@tree", "model/model.skops"),
    }
    for place, (step, name) in expected.items():
        assert digest_file(laid / place) == outputs(laid, step)[name], place
    metrics = json.loads((laid / "reports" / "metrics" / "quick.json").read_text("utf-8"))
    evaluation = json.loads(output(laid, "evaluate", "evaluation.json").read_text("utf-8"))
    assert metrics == {name: interval["value"] for name, interval in evaluation["metrics"].items()}
    files = [PurePath(each.relative_to(laid)) for each in laid.rglob("*") if each.is_file() and each.suffix != ".zip"]
    assert check_names(file for file in files if file.parts[0] != ".tahona") == {}


def test_every_result_file_lies_somewhere_and_laying_out_again_writes_none_of_them(laid: Path, here: Command) -> None:
    for step in STEPS:
        said = json.loads((laid / ".tahona" / "laid" / step / "laid.json").read_text("utf-8"))
        assert {name: digest_file(laid / place) for name, place in said["places"].items()} == outputs(laid, step)
    stale = laid / ".tahona" / "laid" / "train@tree" / "model" / "of-an-earlier-result"
    stale.touch()
    watched = [laid / "data" / "raw" / f"quick_raw_{DAY}.parquet", laid / "models" / "quick.tahona"]
    before = [each.stat().st_ino for each in watched]
    lay_out(laid, here)
    assert [each.stat().st_ino for each in watched] == before
    assert not stale.exists()


def test_a_clone_with_the_laid_out_files_predicts_at_once_and_runs_nothing_anew(
    laid: Path, tmp_path: Path, here: Command
) -> None:
    copy = clone(laid, tmp_path / "copy")
    rows = tmp_path / "rows.csv"
    quick_table(20, seed=3).drop(columns="label").to_csv(rows, index=False)
    for folder in (copy, laid):
        assert here("predict", rows, "-o", folder / "answers.csv", "-C", folder).code == 0
    assert (copy / "answers.csv").read_bytes() == (laid / "answers.csv").read_bytes()
    for words in (("models",), ("history",)):
        assert here(*words, "-C", copy, "--json").document == here(*words, "-C", laid, "--json").document
    ran = here("run", "-C", copy, "--json")
    assert set(states(ran).values()) == {"cached"}
    assert ran.document["champion"]
    assert {step: outputs(copy, step) for step in STEPS} == {step: outputs(laid, step) for step in STEPS}
    assert len(here("models", "-C", copy, "--json").document["models"]) == 1


def test_a_changed_setting_runs_anew_in_a_clone_only_what_reads_it(laid: Path, tmp_path: Path, here: Command) -> None:
    copy = clone(laid, tmp_path / "copy")
    edit(copy, "max_depth = [2, 3]", "max_depth = [2, 4]")
    done = states(here("run", "-C", copy, "--json"))
    assert {step for step, state in done.items() if state == "cached"} == {
        *EARLY, "train@dummy", "train@logistic_regression"
    }  # fmt: skip
    numbers = [each["number"] for each in here("models", "-C", copy, "--json").document["models"]]
    assert sorted(numbers) == [1, 2]


def test_a_clone_hears_of_the_next_version_when_its_files_come(laid: Path, tmp_path: Path, here: Command) -> None:
    copy = clone(laid, tmp_path / "copy")
    assert len(here("models", "-C", copy, "--json").document["models"]) == 1
    edit(laid, "max_depth = [2, 3]", "max_depth = [2, 4]")
    lay_out(laid, here)
    clone(laid, copy)
    for words in (("models",), ("history",)):
        assert here(*words, "-C", copy, "--json").document == here(*words, "-C", laid, "--json").document
    assert set(states(here("run", "-C", copy, "--json")).values()) == {"cached"}


def test_a_ledger_that_went_another_way_keeps_its_versions_and_registers_anew(
    laid: Path, tmp_path: Path, here: Command
) -> None:
    other = write_project(tmp_path / "other")
    assert here("run", "-C", other, "--set", "split.seed=7").code == 0
    (own,) = here("models", "-C", other, "--json").document["models"]
    clone(laid, other)
    assert here("models", "-C", other, "--json").document["models"] == [own]
    ran = here("run", "-C", other, "--json")
    assert states(ran)["train@tree"] == "cached"
    assert states(ran)["register"] == "done"
    assert ran.document["version"] == 2


def test_a_damaged_file_is_never_taken_in(laid: Path, tmp_path: Path, here: Command) -> None:
    copy = clone(laid, tmp_path / "copy")
    folds = copy / ".tahona" / "laid" / "split" / "folds.npz"
    content = bytearray(folds.read_bytes())
    content[len(content) // 2] ^= 1
    folds.write_bytes(content)
    done = states(here("run", "-C", copy, "--json"))
    assert done["split"] == "done"
    assert {state for step, state in done.items() if step != "split"} == {"cached"}
    again = clone(laid, tmp_path / "again")
    said = again / ".tahona" / "laid" / "split" / "laid.json"
    said.write_bytes(said.read_bytes()[:-40])
    answer = here("run", "-C", again)
    assert answer.code == 5
    assert "laid.json" in answer.stderr


def test_the_projects_own_data_is_never_overwritten(tmp_path: Path, here: Command) -> None:
    project = write_project(tmp_path / "quick")
    place = project / "data" / "raw" / f"quick_raw_{DAY}.parquet"
    place.parent.mkdir(parents=True)
    pd.read_csv(project / "table.csv").to_parquet(place)
    kept = place.read_bytes()
    edit(project, "table.csv", place.relative_to(project).as_posix())
    answer = here("step", "ingest", "--lay-out", DAY, "-C", project)
    assert answer.code == 2
    assert "over the project's own data" in answer.stderr
    assert place.read_bytes() == kept
    assert here("step", "ingest", "--lay-out", "20260103", "-C", project).code == 0


OTHERS = {
    "project": ['project.name="another"', "project.positive='no'", 'project.language="es"'],
    "data": ['data.separator=";"', 'data.drop=["size"]'],
    "split": ["split.seed=7", "split.folds=4", "split={kind='group',by='colour',folds=3}"],
    "train": ["train.trials=3", 'train.metric="f1"', "train.ensemble=false", "train.search.tree.max_depth=[5]"],
    "decision": ["decision.threshold=0.4", "decision.cost={false_positive=1.0, false_negative=5.0}"],
    "gate": ["gate.min={roc_auc=0.6}"],
    "audit": ['audit.slices=["colour"]', 'audit.allow={size="known before"}'],
}
"""Another value of keys in each section."""


@pytest.mark.parametrize("section", OTHERS)
def test_dvc_compares_the_sections_that_a_step_reads_and_no_step_reads_another(project: Path, section: str) -> None:
    plain = load_project(project).project
    read = set()
    for override in OTHERS[section]:
        changed = load_project(project, overrides=[override]).project
        assert changed != plain
        for name in ROAD:
            step = Step("train@tree" if name == "train" else name)
            if station(name).settings(changed, step) != station(name).settings(plain, step):
                read.add(name)
    assert read == {name for name, sections in READS.items() if section in sections}
