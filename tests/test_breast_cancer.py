"""The first of the five systems: its sixteen numbers, the honest ones, and what the report makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from projects import Command, output

METRICS = ("precision", "recall", "f1", "roc_auc")
HONEST = {
    "tree": (0.9667, 0.9206, 0.9431, 0.9496),
    "svc": (0.9839, 0.9683, 0.9760, 0.9979),
    "knn": (0.9677, 0.9524, 0.9600, 0.9815),
    "logistic_regression": (0.9688, 0.9841, 0.9764, 0.9979),
}
CHOSEN = {
    "tree": {"criterion": "entropy", "max_depth": None, "min_samples_leaf": 2, "min_samples_split": 10},
    "svc": {"C": 0.1, "kernel": "linear", "gamma": "scale"},
    "knn": {"n_neighbors": 3, "weights": "uniform", "metric": "manhattan"},
    "logistic_regression": {"C": 1},
}
PARITY = {
    "tree": (0.9667, 0.9206, 0.9431, 0.9496),
    "svc": (0.9683, 0.9683, 0.9683, 0.9965),
    "knn": (0.9516, 0.9365, 0.9440, 0.9763),
    "logistic_regression": (0.9688, 0.9841, 0.9764, 0.9979),
}
CONFUSION = {
    "tree": ((58, 5), (2, 106)),
    "svc": ((61, 2), (2, 106)),
    "knn": ((59, 4), (3, 105)),
    "logistic_regression": ((62, 1), (2, 106)),
}
"""As the first system wrote it: [[TN, FP], [FN, TP]] with benign as positive, so malignant stands first."""


@pytest.fixture(scope="module")
def document(finished: Path) -> dict[str, Any]:
    return json.loads((finished / "run.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory, example: Callable[[Path], Path], tahona: Command) -> Path:
    folder = example(tmp_path_factory.mktemp("parity") / "breast_cancer")
    answer = tahona("run", "-C", folder / "parity.toml", "--json")
    assert answer.code == 0, answer.stderr
    return folder


def numbers(metrics: dict[str, dict[str, float]]) -> tuple[float, ...]:
    return tuple(round(metrics[name]["value"], 4) for name in METRICS)


@pytest.mark.parametrize("family", HONEST)
def test_the_honest_numbers_come_out_to_four_digits(document: dict[str, Any], family: str) -> None:
    assert numbers(document["candidates"][family]) == HONEST[family]


@pytest.mark.parametrize("family", CHOSEN)
def test_the_whole_grid_was_searched_and_the_best_point_taken(document: dict[str, Any], family: str) -> None:
    row = next(row for row in document["leaderboard"] if row["model"] == family)
    assert row["params"] == CHOSEN[family]
    assert row["trials"] == {"tree": 72, "svc": 12, "knn": 12, "logistic_regression": 3}[family]


def test_the_test_part_is_the_original_one(finished: Path) -> None:
    evaluation = json.loads(output(finished, "evaluate", "evaluation.json").read_text("utf-8"))
    assert {each["label"]: each["rows"] for each in evaluation["per_class"]} == {"benign": 108, "malignant": 63}


@pytest.mark.parametrize("family", PARITY)
def test_parity_gives_the_sixteen_numbers_and_the_confusions_of_the_first_system(parity: Path, family: str) -> None:
    evaluation = json.loads(output(parity, "evaluate", "evaluation.json").read_text("utf-8"))
    assert numbers(evaluation["candidates"][family]) == PARITY[family]
    assert evaluation["labels"] == ["benign", "malignant"]
    (benign, false_alarm), (missed, found) = evaluation["confusions"][family]
    assert ((found, missed), (false_alarm, benign)) == CONFUSION[family]


def test_the_document_has_what_a_program_needs(document: dict[str, Any]) -> None:
    asked = {"run", "status", "steps", "leaderboard", "test", "findings", "model", "version", "champion", "report"}
    assert asked <= set(document)
    assert document["status"] == "done"
    assert all({"id", "state", "seconds"} <= set(step) for step in document["steps"])
    assert [step["id"] for step in document["steps"]][:4] == ["ingest", "clean", "split", "audit"]
    assert all(step["state"] == "done" for step in document["steps"])
    assert all(
        {"model", "metric", "value", "low", "high", "cpu_seconds"} <= set(row) for row in document["leaderboard"]
    )
    assert {row["model"] for row in document["leaderboard"]} == {*HONEST, "dummy"}
    assert all(set(interval) == {"value", "low", "high"} for interval in document["test"].values())
    assert set(METRICS) <= set(document["test"])
    assert all({"column", "kind", "severity", "message"} <= set(finding) for finding in document["findings"])
    assert (document["model"], document["version"], document["champion"]) == ("breast_cancer", 1, True)
    assert Path(document["report"]).is_file()


def test_every_interval_holds_its_value(document: dict[str, Any]) -> None:
    intervals = [*document["test"].values(), *document["leaderboard"]]
    assert all(each["low"] <= each["value"] <= each["high"] for each in intervals)


def test_the_report_puts_the_class_that_matters_first(finished: Path) -> None:
    for name in ("report.html", "report.md", "model_card.md"):
        text = (finished / "reports" / name).read_text("utf-8")
        assert 0 <= text.index("malignant") < text.index("benign"), name


def test_the_report_says_what_honesty_changed(finished: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (finished / "reports" / name).read_text("utf-8")
        assert "What honesty changed" in text
        assert "The search compared models by F1 of malignant: that of the class that matters" in text
        assert "were learnt inside each fold from its fitting rows alone" in text


def test_the_figures_have_the_names_people_asked_for(finished: Path) -> None:
    figures = {path.name for path in (finished / "reports" / "figures").iterdir()}
    for topic in ("confusion_matrix", "roc_curve", "pr_curve", "calibration", "importance", "threshold_cost"):
        assert {f"{topic}_breast_cancer_.png", f"{topic}_breast_cancer_.svg"} <= figures
