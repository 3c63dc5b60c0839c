"""Files of a run under names that people know: in a folder and in a bucket, never written over."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pandas as pd
import pytest
from projects import Command, edit, output

from tahona.core.naming import check_names

ASK = '[publish]\nto = "shared"\n'


def publish(folder: Path, more: str = "") -> None:
    """Let the project publish into its folder `shared`."""
    edit(folder, "[project]\n", f"{ASK}{more}\n[project]\n")


def laid_out(folder: Path) -> dict[str, Path]:
    """Return the published files by name, after a look that they are one run's."""
    (run,) = (folder / "shared").iterdir()
    return {path.relative_to(run).as_posix(): path for path in sorted(run.rglob("*")) if path.is_file()}


def test_a_run_lies_in_the_folders_of_cookiecutter_data_science(project: Path, here: Command) -> None:
    """Tables, bundle, metrics, report and figures, in a folder named by the run, and every name keeps the rules."""
    publish(project)
    answer = here("run", "-C", project, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.document["published"] == str(project / "shared" / answer.document["run"])
    found = laid_out(project)
    day = next(name for name in found if name.startswith("data/raw/"))[-16:-8]
    named = {
        f"data/raw/quick_raw_{day}.parquet": ("ingest", "raw.parquet"),
        f"data/interim/quick_interim_{day}.parquet": ("clean", "interim.parquet"),
        f"data/processed/quick_train_processed_{day}.parquet": ("split", "train.parquet"),
        f"data/processed/quick_test_processed_{day}.parquet": ("split", "test.parquet"),
        "models/quick_v1.tahona": ("select", "bundle.zip"),
        "reports/metrics/evaluation.json": ("evaluate", "evaluation.json"),
        "reports/metrics/leaderboard.json": ("select", "leaderboard.json"),
        "reports/report.html": ("report", "report.html"),
        "reports/figures/roc_curve_quick_.png": ("report", "figures/roc_curve_quick_.png"),
    }
    assert set(named) <= set(found)
    for name, (step, file) in named.items():
        assert found[name].read_bytes() == output(project, step, file).read_bytes(), name
    assert {name for name in found if name.endswith(".pkl")} == set()
    assert check_names(map(PurePosixPath, found)) == {}


def test_tables_stay_and_pickles_come_where_the_project_says_so(project: Path, here: Command) -> None:
    publish(project, "data = false\npickles = true\n")
    assert here("run", "-C", project).code == 0
    found = laid_out(project)
    assert not any(name.startswith("data/") for name in found)
    (pickled,) = (path for name, path in found.items() if name.endswith(".pkl"))
    assert check_names([PurePosixPath(pickled.name)]) == {}
    rows = pd.read_csv(project / "table.csv").head(5).drop(columns="label")
    assert list(pickle.loads(pickled.read_bytes()).predict(rows)["label"].isin(["yes", "no"])) == [True] * 5


def test_the_flat_names_are_those_of_each_model(example: Callable[[Path], Path], here: Command, tmp_path: Path) -> None:
    """The first system's keys: two tables, and model, confusion matrix and ROC curve of every family."""
    from tahona.bundle.bundle import load_bundle

    folder = example(tmp_path / "breast_cancer")
    publish(folder, 'layout = "flat"\npickles = true\n')
    small = [f"train.search.{name}" for name in ("tree={max_depth=[3]}", "svc={C=[1]}", "knn={n_neighbors=[3]}")]
    answer = here("run", "-C", folder, "--json", *(word for part in small for word in ("--set", part)))
    assert answer.code == 0, answer.stderr
    found = laid_out(folder)
    models = ("tree", "svc", "knn", "lr")
    assert set(found) == {
        "data/breast_cancer.csv",
        "data/breast_cancer_y.csv",
        *(f"{short}_model.{suffix}" for short in models for suffix in ("tahona", "pkl")),
        *(f"{topic}_{short}.png" for short in models for topic in ("confusion_matrix", "roc_curve")),
    }
    table, labels = (pd.read_csv(found[f"data/breast_cancer{end}.csv"]) for end in ("", "_y"))
    assert (table.shape, list(labels.columns)) == ((569, 30), ["target"])
    assert labels["target"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    said = {}
    for short in models:
        bundle = load_bundle(found[f"{short}_model.tahona"])
        said[bundle.title] = bundle.predict(table)
        again = pickle.loads(found[f"{short}_model.pkl"].read_bytes()).predict(table)
        pd.testing.assert_frame_equal(said[bundle.title].drop(columns="version"), again.drop(columns="version"))
    assert set(said) == set(answer.document["candidates"])
    figures = [path.read_bytes() for name, path in found.items() if name.endswith(".png")]
    assert all(figure.startswith(b"\x89PNG") for figure in figures)
    assert len(set(figures)) == len(figures)


def test_a_models_figures_show_its_own_numbers(example: Callable[[Path], Path], here: Command, tmp_path: Path) -> None:
    """The chosen model's figures are the report's, pixel for pixel."""
    folder = example(tmp_path / "breast_cancer")
    publish(folder, 'layout = "flat"\ndata = false\n')
    words = (
        "--set",
        'train.models=["tree","knn"]',
        "--set",
        "train.search.tree={max_depth=[3]}",
        "--set",
        "train.search.knn={n_neighbors=[3]}",
    )
    answer = here("run", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    found = laid_out(folder)
    chosen = {"tree": "tree", "knn": "knn"}[answer.document["family"]]
    for topic in ("confusion_matrix", "roc_curve"):
        own = output(folder, "report", f"figures/{topic}_breast_cancer_.png")
        assert found[f"{topic}_{chosen}.png"].read_bytes() == own.read_bytes(), topic


def test_what_is_there_is_never_written_over_and_what_is_missing_comes_back(project: Path, here: Command) -> None:
    publish(project)
    assert here("run", "-C", project).code == 0
    found = laid_out(project)
    before = {name: (path.stat().st_ino, path.stat().st_mtime_ns) for name, path in found.items()}
    mine, lost = found["reports/report.md"], found["models/quick_v1.tahona"]
    bundle = lost.read_bytes()
    mine.write_text("my own words")
    lost.unlink()
    answer = here("run", "-C", project, "--json")
    assert answer.document["nothing_to_do"]
    assert mine.read_text() == "my own words"
    assert lost.read_bytes() == bundle
    same = set(before) - {"reports/report.md", "models/quick_v1.tahona"}
    assert all((found[name].stat().st_ino, found[name].stat().st_mtime_ns) == before[name] for name in same)


def test_another_run_has_a_folder_of_its_own(project: Path, here: Command) -> None:
    publish(project)
    first = here("run", "-C", project, "--json").document["run"]
    second = here("run", "-C", project, "--json", "--set", "split.seed=7").document["run"]
    assert {path.name for path in (project / "shared").iterdir()} == {first, second}


def test_a_place_that_cannot_be_written_fails_loudly_and_later_the_rest_is_done(project: Path, here: Command) -> None:
    """Exit 4 with the place and the run's whole summary; the run itself is done, and the next command publishes it."""
    publish(project)
    (project / "shared").write_text("no folder")
    answer = here("run", "-C", project, "--json")
    assert answer.code == 4
    assert answer.document["error"]["where"].startswith("publish.to")
    assert str(project / "shared") in answer.document["error"]["where"]
    assert (answer.document["status"], answer.document["version"]) == ("done", 1)
    (project / "shared").unlink()
    again = here("run", "-C", project, "--json")
    assert (again.code, again.document["nothing_to_do"], again.document["version"]) == (0, True, 1)
    assert "models/quick_v1.tahona" in laid_out(project)


def test_steps_that_an_orchestrator_ran_are_published_with_the_last_one(project: Path, here: Command) -> None:
    publish(project)
    for step in ("ingest", "clean", "split", "audit", "train@dummy", "train@tree", "train@logistic_regression"):
        assert here("step", step, "-C", project).code == 0
    for step in ("select", "evaluate", "register"):
        assert here("step", step, "-C", project).code == 0
    assert not (project / "shared").exists()
    assert here("step", "report", "-C", project).code == 0
    assert "reports/report.html" in laid_out(project)


@pytest.mark.parametrize("key", ["layout = 'flat'", "data = false", "pickles = true"])
def test_a_key_without_a_place_is_a_mistake(project: Path, here: Command, key: str) -> None:
    edit(project, "[project]\n", f"[publish]\n{key}\n\n[project]\n")
    answer = here("check", "-C", project)
    assert answer.code == 2
    assert f"tahona.toml:2: publish.{key.partition(' ')[0]}: has no effect without to" in answer.stderr
