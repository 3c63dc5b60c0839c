"""Table D of the bad inputs, walked from the project file to the end: exit code, message, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from projects import QUICK, Answer, Command, quick_table, write_project

SECRET = "Zaragoza-7731"
"""A cell that no message may repeat."""
FAST = QUICK.replace('"tree", "logistic_regression"', '"tree"').partition("\n[train.search.logistic_regression]")[0]
TEXT = FAST.replace("[split]", 'types = { note = "text" }\n\n[split]').replace('"tree"', '"linear_svc"')
TEXT = TEXT.partition("[train.search.tree]")[0]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def column(name: str, values: Callable[[pd.DataFrame], object]) -> Change:
    return lambda table: table.assign(**{name: values(table)})


def rare(count: int) -> Change:
    return column("label", lambda table: ["maybe"] * count + list(table["label"][count:]))


def walked(command: Command, folder: Path, change: Change, text: str = FAST, rows: int = 240, **files: str) -> Answer:
    """Run a project whose table was changed; see that whatever was said is fit to be said."""
    table = quick_table(rows)
    table.loc[3, "colour"] = SECRET
    answer = command("run", "-C", write_project(folder, text, change(table), **files), "--json")
    said = answer.stdout + answer.stderr
    assert "Traceback" not in said
    assert "a bug in Tahona" not in said
    assert SECRET not in said
    return answer


def messages(answer: Answer) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in answer.document["findings"]:
        found.setdefault(finding["kind"], []).append(finding)
    return found


REFUSED: dict[str, tuple[Change, str]] = {
    "one class": (column("label", lambda table: "yes"), "the label has one class only: 'yes' in all 240 rows"),
    "no label column": (lambda table: table.rename(columns={"label": "labell"}), "label"),
    "labels missing": (column("label", lambda table: [None, None, *table["label"][2:]]), "null in 2 of 240 rows"),
    "a class with one row": (rare(1), "Class 'maybe' has 1 row, fewer than the 3 folds."),
    "fewer rows than folds": (rare(2), "Class 'maybe' has 2 rows, fewer than the 3 folds."),
    "a continuous label": (column("label", lambda table: table["size"] * 3.7), "this looks like regression"),
    "another name in every row": (column("label", lambda table: [f"n{i}" for i in range(len(table))]), "240 classes"),
    "a positive class that is not there": (column("label", lambda table: table["label"] + "!"), "yes"),
    "no feature left": (lambda table: table[["label"]].assign(same=1), "feature"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learnt_ends_with_code_2(tmp_path: Path, here: Command, case: str) -> None:
    change, says = REFUSED[case]
    text = FAST if "positive" in case else FAST.replace('positive = "yes"\n', "")
    answer = walked(here, tmp_path, change, text)
    assert answer.code == 2
    error = answer.document["error"]
    assert says in error["what"]
    assert error["where"]
    assert error["fix"]
    assert error["what"] in answer.stderr
    assert answer.document["status"] == "failed"
    assert not any(step["id"].startswith("train") and step["state"] == "done" for step in answer.document["steps"])


def yes(table: pd.DataFrame) -> pd.Series:
    return (table["label"] == "yes").astype(int)


STOPPED: dict[str, tuple[Change, str, str]] = {
    "a copy of the label": (column("copy", lambda table: table["label"]), "copy", "(AUC 1.0)"),
    "a monotone copy": (column("copy", lambda table: 7 - 3 * yes(table)), "copy", "(AUC 1.0)"),
    "a near copy": (column("copy", lambda table: yes(table) + table["size"] / 100), "copy", "gives the label away"),
    "labels in two spellings": (
        column("label", lambda table: np.where(np.arange(len(table)) % 3, table["label"], table["label"] + " ")),
        "label",
        "differ only in case, blanks or '.0'",
    ),
    "labels in two cases": (
        column("label", lambda table: np.where(np.arange(len(table)) % 3, table["label"], table["label"].str.title())),
        "label",
        "differ only in case, blanks or '.0'",
    ),
}


@pytest.mark.parametrize("case", STOPPED)
def test_what_would_flatter_is_refused_before_any_training(tmp_path: Path, here: Command, case: str) -> None:
    change, name, says = STOPPED[case]
    text = FAST.replace('positive = "yes"\n', "")
    answer = walked(here, tmp_path, change, text)
    assert answer.code == 3
    assert answer.document["status"] == "refused"
    assert f"'{name}'" in answer.document["error"]["what"]
    assert says in answer.document["error"]["what"]
    assert answer.document["error"]["fix"]
    errors = [finding for finding in answer.document["findings"] if finding["severity"] == "error"]
    assert [finding["column"] for finding in errors] == [name]
    assert not list((tmp_path / ".tahona" / "last").glob("train@*"))


WARNED: dict[str, tuple[Change, str, str]] = {
    "a constant column": (column("same", lambda table: 7), "constant", "'same' has one value only; dropped."),
    "a column without values": (column("none", lambda table: np.nan), "all_null", "'none' has no value in any row"),
    "a column that names rows": (
        column("code", lambda table: [f"x{i}" for i in range(len(table))]),
        "identifier",
        "'code' only names its rows",
    ),
    "repeated rows": (
        lambda table: pd.concat([table, table], ignore_index=True),
        "duplicates_across",
        'the honest alternative is split.duplicates = "together"',
    ),
    "a group on both sides": (
        column("patient", lambda table: np.arange(len(table)) // 4),
        "groups_across",
        'the honest alternative is split.kind = "group" with by = "patient"',
    ),
    "a table in time": (
        column("visit_date", lambda table: pd.date_range("2020-01-01", periods=len(table)).astype(str)),
        "time_unused",
        'the honest alternative is split.kind = "time"',
    ),
    "a tiny class": (rare(12), "tiny_class", "Class 'maybe' has"),
}


@pytest.mark.parametrize("case", WARNED)
def test_what_misleads_is_warned_about_and_the_report_says_so(tmp_path: Path, here: Command, case: str) -> None:
    change, kind, says = WARNED[case]
    text = FAST.replace('positive = "yes"\n', "") if case == "a tiny class" else FAST
    answer = walked(here, tmp_path, change, text)
    assert answer.code == 0, answer.stderr
    assert any(says in finding["message"] for finding in messages(answer)[kind]), messages(answer)
    report = (tmp_path / "reports" / "report.md").read_text("utf-8").replace("\\", "")
    assert says in report
    assert SECRET not in report
    assert SECRET not in (tmp_path / "reports" / "report.html").read_text("utf-8")


def test_infinity_that_a_function_makes_is_refused_with_its_column(tmp_path: Path, here: Command) -> None:
    text = FAST.replace("[split]", 'clean = ["cleaning:ratio"]\n\n[split]')
    source = "def ratio(frame):\n    return frame.assign(ratio=frame['size'] / (frame['weight'] > 0))\n"
    answer = walked(here, tmp_path, lambda table: table, text, cleaning=source)
    assert answer.code == 2
    error = answer.document["error"]
    assert error["what"].startswith("the function 'cleaning:ratio' put infinity into ")
    assert error["what"].endswith(" rows of 'ratio'")
    assert error["where"].startswith(str(tmp_path / "tahona.toml"))
    assert "NaN" in error["fix"]


def test_one_in_ten_thousand_shows_pr_auc_and_warns_about_accuracy(tmp_path: Path, here: Command) -> None:
    def needle(table: pd.DataFrame) -> pd.DataFrame:
        label = np.where(np.arange(len(table)) % 2_500 == 7, "yes", "no")
        return table.assign(label=label, size=table["size"] + 2.0 * (label == "yes"))

    text = FAST.replace('metric = "roc_auc"', 'metric = "pr_auc"').replace("max_depth = [2, 3]", "max_depth = [3]")
    answer = walked(here, tmp_path, needle, text, rows=40_000)
    assert answer.code == 0, answer.stderr
    found = messages(answer)
    assert "look at pr_auc instead" in found["imbalance"][0]["message"]
    assert "read PR AUC instead" in found["accuracy_misleads"][0]["message"]
    assert answer.document["test"]["pr_auc"]["value"] < 0.9
    assert answer.document["test"]["accuracy"]["value"] > 0.99
    report = (tmp_path / "reports" / "report.html").read_text("utf-8")
    assert "PR AUC of yes" in report
    assert "read PR AUC instead" in report


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (lambda number: "", "all_null"),
        (lambda number: ("the of and", "and the", "of a the to")[number % 3], "no_words"),
        (lambda number: "   " if number % 2 else "..., !", "no_words"),
        (lambda number: "grain " * 180_000 if number == 5 else f"a word and number {number}", ""),
        (lambda number: "depresión niño" if number % 2 else "nada", ""),
    ],
)
def test_texts_without_words_and_very_long_ones_are_no_obstacle(
    tmp_path: Path, here: Command, words: Callable[[int], str], finding: str
) -> None:
    """Empty, stop words only, blanks and marks only, one of a megabyte, words with accents."""
    answer = walked(here, tmp_path, column("note", lambda table: [words(i) for i in range(len(table))]), TEXT)
    assert answer.code == 0, answer.stderr
    assert answer.document["test"]["roc_auc"]["value"] > 0.6
    assert not finding or messages(answer)[finding][0]["column"] == "note"
    assert "grain grain" not in (tmp_path / "reports" / "report.html").read_text("utf-8")


def test_nothing_but_texts_without_words_says_that_there_is_nothing_to_learn(tmp_path: Path, here: Command) -> None:
    def only(table: pd.DataFrame) -> pd.DataFrame:
        notes = [("the of and", "and the")[i % 2] for i in range(len(table))]
        return pd.DataFrame({"note": notes, "label": table["label"]})

    answer = walked(here, tmp_path, only, TEXT)
    assert answer.code == 2
    assert "hold no value or no word in the training rows" in answer.document["error"]["what"]
    assert next(step for step in answer.document["steps"] if step["id"] == "train@linear_svc")["state"] == "failed"
