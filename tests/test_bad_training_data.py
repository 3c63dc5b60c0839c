"""Table D of the bad inputs: what each kind of unfit training data is told, word by word."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from tahona.core.findings import Finding
from tahona.errors import InputError, TahonaError
from tahona.learn.audit import audit_data, refusal, run_audit
from tahona.learn.columns import conform, infer_schema, to_labels
from tahona.learn.split import split_rows
from tahona.project.model import SplitPart

SECRET = "Zaragoza-7731"
"""A cell that no message may repeat."""


def table(rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    label = rng.permutation(np.arange(rows) % 2)
    return pd.DataFrame(
        {
            "useful": label + rng.normal(size=rows),
            "colour": rng.choice(["red", "blue", SECRET], rows),
            "label": np.where(label == 1, "yes", "no"),
        }
    )


def with_column(name: str, values: Callable[[pd.DataFrame], object], rows: int = 200) -> pd.DataFrame:
    frame = table(rows)
    frame[name] = values(frame)
    return frame


def with_labels(values: Callable[[pd.DataFrame], object], rows: int = 200) -> pd.DataFrame:
    return with_column("label", values, rows)


def examine(raw: pd.DataFrame, part: SplitPart) -> tuple[Finding, ...]:
    schema, earlier = infer_schema(raw, target="label")
    frame = conform(raw, schema)
    y = to_labels(frame["label"], schema)
    cut = split_rows(frame, y, schema, part)
    return run_audit(
        audit_data(frame.iloc[cut.train], frame.iloc[cut.test], y[cut.train], schema, part),
        {},
        (*earlier, *cut.findings),
    )


def codes(frame: pd.DataFrame) -> pd.Series:
    return (frame["label"] == "yes").astype(float)


def rare(count: int) -> Callable[[pd.DataFrame], object]:
    return lambda frame: ["rare"] * count + ["no", "yes"] * ((len(frame) - count) // 2) + ["no"] * (count % 2)


REFUSED = {
    "one class": (with_labels(lambda frame: "yes"), {}, "one class only"),
    "missing labels": (with_labels(lambda frame: [None, None, *frame["label"][2:]]), {}, "null in 2 of 200 rows"),
    "a class with one row": (with_labels(rare(1)), {}, "Class 'rare' has 1 row, fewer than the 5 folds."),
    "fewer rows than folds": (with_labels(rare(3)), {}, "Class 'rare' has 3 rows, fewer than the 5 folds."),
    "fewer training rows than folds": (
        with_labels(rare(5)),
        {},
        "Class 'rare' has 4 rows in the training part, fewer than the 5 folds.",
    ),
    "a class that comes with the test part only": (
        with_labels(lambda frame: ["yes", "no"] * 80 + ["new"] * 40).assign(day=np.arange(200.0) // 2),
        {"kind": "time", "by": "day"},
        "Class 'new' has no row in the training part.",
    ),
    "a continuous label": (with_labels(lambda frame: frame["useful"]), {}, "this looks like regression"),
    "infinite numbers": (
        with_column("ratio", lambda frame: 1 / codes(frame).replace(0, np.inf) * np.inf),
        {},
        "infinite",
    ),
    "a test part too small for its classes": (table(60), {"test": 0.01, "folds": 2}, "A test part of 1 of 60 rows"),
    "too few groups": (
        with_column("ward", lambda frame: ["north", "south"] * 100),
        {"kind": "group", "by": "ward"},
        "There are 2 groups in 'ward'; 5 folds and a test part need at least 6.",
    ),
    "no column to group by": (table(), {"kind": "group"}, 'A split of kind "group" needs a column'),
    "an unknown column to group by": (table(), {"kind": "group", "by": "color"}, "The table has no column 'color'."),
    "rows without a time": (
        with_column("day", lambda frame: [np.nan] * 7 + list(range(193))),
        {"kind": "time", "by": "day"},
        "7 of 200 rows have no time",
    ),
    "a time that is none": (table(), {"kind": "time", "by": "colour"}, "texts of no one date form"),
    "one time for all": (
        with_column("day", lambda frame: 3.0),
        {"kind": "time", "by": "day"},
        "Every row has the same time",
    ),
    "too few times": (
        with_column("day", lambda frame: np.arange(200) // 50 * 1.0),
        {"kind": "time", "by": "day"},
        "too few different times for 5 folds",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_train_is_refused_with_what_where_and_fix(case: str) -> None:
    frame, split, message = REFUSED[case]
    with pytest.raises(InputError) as caught:
        examine(frame, SplitPart(**split))
    error = caught.value
    assert message in error.what
    assert error.exit_code == 2
    assert error.where
    assert error.fix
    assert SECRET not in str(error)


STOPPED = {
    "labels in two spellings": (
        with_labels(lambda frame: ["yes ", "Yes", "no", "no"] * 50),
        "The label 'label' has 2 classes that differ only in case, blanks or '.0'",
    ),
    "labels 1 and 1.0": (
        with_labels(lambda frame: ["1", "1.0", "0", "0"] * 50),
        "The label 'label' has 2 classes that differ only in case, blanks or '.0'",
    ),
    "a copy of the label": (
        with_column("copy", lambda frame: frame["label"]),
        "'copy' alone tells the classes apart (AUC 1.0)",
    ),
    "a monotone copy": (
        with_column("copy", lambda frame: 3 - 2 * codes(frame)),
        "'copy' alone tells the classes apart",
    ),
    "nearly a copy": (
        with_column("copy", lambda frame: codes(frame) + np.random.default_rng(1).normal(0, 0.25, len(frame)), 2000),
        "'copy' alone tells the classes apart (AUC 0.99",
    ),
}


@pytest.mark.parametrize("case", STOPPED)
def test_data_that_would_flatter_stops_the_run(case: str) -> None:
    frame, message = STOPPED[case]
    error = refusal(examine(frame, SplitPart()))
    assert isinstance(error, TahonaError)
    assert error.exit_code == 3
    assert message in error.what
    assert error.fix
    assert SECRET not in str(error)


WARNED = {
    "a constant feature": (with_column("same", lambda frame: 7.0), {}, "'same' has one value only; dropped."),
    "an all-null feature": (with_column("none", lambda frame: np.nan), {}, "'none' has no value in any row; dropped."),
    "an id-like column": (
        with_column("code", lambda frame: [f"x{number}" for number in range(len(frame))]),
        {},
        "'code' only names its rows",
    ),
    "exact duplicates on both sides": (pd.concat([table(), table()]), {}, 'is split.duplicates = "together"'),
    "groups on both sides": (
        with_column("patient", lambda frame: np.arange(len(frame)) // 4),
        {},
        'is split.kind = "group" with by = "patient"',
    ),
    "a random cut of a table in time": (
        with_column("visit_date", lambda frame: pd.date_range("2020-01-01", periods=200)),
        {},
        'is split.kind = "time"',
    ),
    "one in ten thousand": (
        with_labels(lambda frame: np.where(np.arange(len(frame)) % 10_000 == 0, "yes", "no"), 60_000),
        {},
        "has an accuracy of 0.9999; look at pr_auc instead.",
    ),
    "a tiny class": (with_labels(rare(20)), {}, "Class 'rare' has 16 training rows, fewer than 30"),
    "a tiny test part": (table(), {"test": 0.1}, "The test part has 20 rows"),
}


@pytest.mark.parametrize("case", WARNED)
def test_data_that_misleads_is_warned_about(case: str) -> None:
    frame, split, message = WARNED[case]
    findings = examine(frame.reset_index(drop=True), SplitPart(**split))
    assert refusal(findings) is None
    warnings = [finding.message() for finding in findings if finding.severity == "warning"]
    assert any(message in warning for warning in warnings), warnings
    assert not any(SECRET in warning for warning in warnings)
