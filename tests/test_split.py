"""The cut: what trains, what tests, and what may never stand on both sides."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tahona.core.schema import Column, Schema
from tahona.learn.duplicates import column_codes, combine_codes, join_groups
from tahona.learn.folds import parts_of
from tahona.learn.grouping import share_out
from tahona.learn.split import FOLDS, MANY_ROWS, SplitResult, split_rows
from tahona.project.model import SplitPart

REAL = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))


def table(rows: int, seed: int = 0, classes: int = 2) -> tuple[pd.DataFrame, np.ndarray, Schema]:
    """Return distinct rows with a number, a category, a time with ties, a group and a label."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(rows) % classes)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows),
            "colour": rng.choice(["red", "blue"], rows),
            "day": rng.integers(0, rows // 4, rows).astype(float),
            "patient": [f"p{number}" for number in rng.integers(0, rows // 5, rows)],
            "label": [f"c{code}" for code in y],
        }
    )
    columns = (Column("size", "numeric"), Column("colour", "category"), Column("day", "numeric"))
    labels = tuple(f"c{code}" for code in range(classes))
    return frame, y.astype(np.int64), Schema(columns, "label", labels, "c1" if classes == 2 else None)


def check_whole(result: SplitResult, rows: int) -> None:
    """Every row is used once at most, and folds judge no row that they fit."""
    assert not np.intersect1d(result.train, result.test).size
    assert len(np.unique(result.train)) == len(result.train)
    assert len(result.train) + len(result.test) <= rows
    for fit, judged in result.folds:
        assert not np.intersect1d(fit, judged).size
        assert max(fit.max(), judged.max()) < len(result.train)


def test_unstratified_random_split_is_that_of_the_first_system() -> None:
    """569 patients, seed 42: 398 train, 171 test, 63 malignant among these, folds in unshuffled order."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import StratifiedKFold, train_test_split

    data = load_breast_cancer(as_frame=True)
    columns = tuple(Column(str(name), "numeric") for name in data.data.columns)
    y = (1 - data.target).to_numpy().astype(np.int64)
    part = SplitPart(test=0.3, stratify=False, shuffle=False)
    result = split_rows(data.data, y, Schema(columns, "target", ("benign", "malignant"), "malignant"), part)
    assert (len(result.train), len(result.test), int(y[result.test].sum())) == (398, 171, 63)
    train, test = train_test_split(np.arange(569), test_size=0.3, random_state=42)
    np.testing.assert_array_equal(result.train, train)
    np.testing.assert_array_equal(result.test, test)
    wanted = StratifiedKFold(5).split(np.zeros(398), 1 - y[train])
    for (fit, judged), (wanted_fit, wanted_judged) in zip(result.folds, wanted, strict=True):
        np.testing.assert_array_equal(fit, wanted_fit)
        np.testing.assert_array_equal(judged, wanted_judged)


def test_stratified_random_split_keeps_class_shares() -> None:
    frame, _, schema = table(1000)
    y = (np.arange(1000) % 10 == 0).astype(np.int64)
    result = split_rows(frame, y, schema, SplitPart())
    check_whole(result, 1000)
    assert y[result.test].mean() == pytest.approx(0.1)
    assert [y[result.train][judged].mean() for _, judged in result.folds] == pytest.approx([0.1] * 5)


@pytest.mark.parametrize("kind", ["random", "group", "time"])
def test_same_seed_gives_the_same_cut_and_another_seed_another_one(kind: str) -> None:
    frame, y, schema = table(400)
    by = {"random": None, "group": "patient", "time": "day"}[kind]
    cuts = [split_rows(frame, y, schema, SplitPart(kind=kind, by=by, seed=seed)).test for seed in (1, 1, 2)]
    np.testing.assert_array_equal(cuts[0], cuts[1])
    assert (kind == "time") == np.array_equal(np.sort(cuts[0]), np.sort(cuts[2]))


@pytest.mark.parametrize("classes", [2, 4])
def test_groups_stay_whole_in_test_part_and_folds(classes: int) -> None:
    frame, y, schema = table(1000, classes=classes)
    result = split_rows(frame, y, schema, SplitPart(kind="group", by="patient"))
    check_whole(result, 1000)
    patient = frame["patient"].to_numpy()
    assert not set(patient[result.train]) & set(patient[result.test])
    for fit, judged in result.folds:
        assert not set(patient[result.train][fit]) & set(patient[result.train][judged])
    assert np.concatenate([judged for _, judged in result.folds]).size == len(result.train)
    assert len(result.test) == pytest.approx(200, abs=10)
    assert np.bincount(y[result.test]) / len(result.test) == pytest.approx(np.full(classes, 1 / classes), abs=0.03)


def test_rows_without_a_group_count_as_one_each_and_this_is_said() -> None:
    frame, y, schema = table(400)
    frame.loc[:99, "patient"] = None
    result = split_rows(frame, y, schema, SplitPart(kind="group", by="patient"))
    check_whole(result, 400)
    finding = next(finding for finding in result.findings if finding.kind == "group_nulls")
    assert finding.message() == "100 rows without a 'patient' count as a group each."
    tested = np.isin(np.arange(100), result.test)
    assert 0 < tested.sum() < 100


def test_one_huge_group_trains() -> None:
    frame, y, schema = table(500)
    frame["patient"] = ["huge"] * 300 + [f"p{number}" for number in range(200)]
    result = split_rows(frame, y, schema, SplitPart(kind="group", by="patient"))
    assert len(result.test) == 100
    assert not set(range(300)) & set(result.test.tolist())


def test_latest_rows_test_and_equal_times_stay_together() -> None:
    frame, y, schema = table(1000)
    result = split_rows(frame, y, schema, SplitPart(kind="time", by="day"))
    check_whole(result, 1000)
    day = frame["day"].to_numpy()
    assert day[result.train].max() < day[result.test].min()
    assert len(result.test) == pytest.approx(200, abs=10)
    for fit, judged in result.folds:
        assert day[result.train][fit].max() < day[result.train][judged].min()
    judged_rows = np.concatenate([judged for _, judged in result.folds])
    assert len(judged_rows) == len(np.unique(judged_rows)) == pytest.approx(len(result.train) * 5 / 6, abs=20)
    assert result.findings[0].message().startswith("The latest ")


@pytest.mark.parametrize("unit", ["dates", "zoned dates", "texts", "numbers"])
def test_time_may_be_dates_texts_or_numbers(unit: str) -> None:
    frame, y, schema = table(400)
    days = pd.Timestamp("2015-07-01") + pd.to_timedelta(frame["day"], unit="D")
    frame["day"] = {
        "dates": days,
        "zoned dates": days.dt.tz_localize("Europe/Madrid"),
        "texts": days.dt.strftime("%Y-%m-%d"),
        "numbers": frame["day"],
    }[unit]
    schema = Schema(schema.columns[:2], schema.target, schema.labels, schema.positive)
    expected, _, _ = table(400)
    result = split_rows(frame, y, schema, SplitPart(kind="time", by="day"))
    order = np.argsort(expected["day"].to_numpy(), kind="stable")
    np.testing.assert_array_equal(result.train, order[: len(result.train)])


def test_repeated_rows_kept_together_stay_on_one_side() -> None:
    frame, y, schema = table(300)
    frame = pd.concat([frame, frame], ignore_index=True)
    y = np.concatenate([y, y])
    apart = split_rows(frame, y, schema, SplitPart())
    assert np.isin(apart.test % 300, apart.train % 300).any()
    result = split_rows(frame, y, schema, SplitPart(duplicates="together"))
    check_whole(result, 600)
    assert not np.isin(result.test % 300, result.train % 300).any()
    for fit, judged in result.folds:
        assert not np.isin(result.train[judged] % 300, result.train[fit] % 300).any()
    assert [finding.facts for finding in result.findings] == [{"rows": 300}]


def test_repeated_rows_and_groups_are_joined() -> None:
    frame, y, schema = table(300)
    frame = pd.concat([frame, frame.assign(patient=frame["patient"] + "b")], ignore_index=True)
    part = SplitPart(kind="group", by="patient", duplicates="together", folds=2)
    result = split_rows(frame, np.concatenate([y, y]), schema, part)
    assert not np.isin(result.test % 300, result.train % 300).any()
    assert not set(frame["patient"].iloc[result.test]) & set(frame["patient"].iloc[result.train])


def test_time_split_leaves_out_training_rows_that_the_test_part_repeats() -> None:
    frame, y, schema = table(300)
    schema = Schema(schema.columns[:2], schema.target, schema.labels, schema.positive)
    frame = pd.concat([frame, frame.assign(day=frame["day"] + 20)], ignore_index=True)
    part = SplitPart(kind="time", by="day", duplicates="together")
    result = split_rows(frame, np.concatenate([y, y]), schema, part)
    check_whole(result, 600)
    assert not np.isin(result.test % 300, result.train % 300).any()
    for fit, judged in result.folds:
        assert not np.isin(result.train[judged] % 300, result.train[fit] % 300).any()
    assert any(finding.kind == "repeats_left_out" for finding in result.findings)


def test_folds_that_lack_a_class_are_left_out_and_this_is_said() -> None:
    frame, _, schema = table(600)
    y = np.zeros(600, dtype=np.int64)
    order = np.argsort(frame["day"].to_numpy(), kind="stable")
    y[order[250::3]] = 1
    result = split_rows(frame, y, schema, SplitPart(kind="time", by="day"))
    assert len(result.folds) == 2
    assert "3 folds were left out" in result.findings[0].message()


def check_one_part(result: SplitResult) -> np.ndarray:
    """The same rows are fitted for every block, the blocks share none and are of one size. Return the judged rows."""
    fits = [fit for fit, _ in result.folds]
    blocks = [judged for _, judged in result.folds]
    assert len(blocks) == FOLDS
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit, fits[0])
    judged = np.concatenate(blocks)
    assert len(np.unique(judged)) == len(judged)
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1
    (finding,) = (finding for finding in result.findings if finding.kind == "one_validation_part")
    assert finding.facts == {"fit": len(fits[0]), "judged": len(judged), "blocks": FOLDS}
    (part,) = parts_of(result.folds)
    assert (part.fit.tolist(), part.judged.tolist()) == (fits[0].tolist(), judged.tolist())
    assert part.sizes == tuple(map(len, blocks))
    return judged


def test_one_part_at_random_judges_a_fifth_with_its_classes_in_every_block() -> None:
    frame, _, schema = table(2000)
    y = (np.arange(2000) % 10 == 0).astype(np.int64)
    result = split_rows(frame, y, schema, SplitPart(folds=1))
    check_whole(result, 2000)
    judged = check_one_part(result)
    trained = y[result.train]
    assert len(judged) == len(result.train) / FOLDS == 320
    assert trained[judged].mean() == pytest.approx(0.1)
    assert all(0.02 < trained[block].mean() < 0.2 for _, block in result.folds), "blocks are drawn, not in row order"
    whole = split_rows(frame, y, schema, SplitPart())
    np.testing.assert_array_equal(np.sort(judged), whole.folds[-1][1])
    np.testing.assert_array_equal(result.test, whole.test)
    again = split_rows(frame, y, schema, SplitPart(folds=1))
    assert [block.tolist() for _, block in again.folds] == [block.tolist() for _, block in result.folds]


def test_one_part_of_groups_shares_no_group_with_the_rows_it_is_fitted_on() -> None:
    frame, y, schema = table(1000)
    result = split_rows(frame, y, schema, SplitPart(kind="group", by="patient", folds=1))
    check_whole(result, 1000)
    judged = check_one_part(result)
    patient = frame["patient"].to_numpy()[result.train]
    assert not set(patient[judged]) & set(patient[result.folds[0][0]])
    assert len(judged) + len(result.folds[0][0]) == len(result.train)


def test_one_part_in_time_is_the_latest_and_its_blocks_follow_one_another() -> None:
    frame, y, schema = table(1000)
    result = split_rows(frame, y, schema, SplitPart(kind="time", by="day", folds=1))
    check_whole(result, 1000)
    judged = check_one_part(result)
    day = frame["day"].to_numpy()[result.train]
    fit = result.folds[0][0]
    assert day[fit].max() < day[judged].min()
    assert day[judged].max() == day.max() < frame["day"].to_numpy()[result.test].min()
    assert len(fit) + len(judged) == len(result.train), "no training row is left unused"
    for (_, early), (_, late) in pairwise(result.folds):
        assert day[early].max() <= day[late].min()


def test_one_part_keeps_repeated_rows_on_one_side() -> None:
    frame, y, schema = table(300)
    frame, y = pd.concat([frame, frame], ignore_index=True), np.concatenate([y, y])
    result = split_rows(frame, y, schema, SplitPart(duplicates="together", folds=1))
    judged = check_one_part(result)
    assert not np.isin(result.train[judged] % 300, result.train[result.folds[0][0]] % 300).any()


@pytest.mark.parametrize("kind", ["random", "group", "time"])
def test_a_large_table_has_one_part_unless_folds_are_asked_for(kind: str) -> None:
    """Large is 25,000 training rows; a smaller one has five folds, and so has any that says `folds = 5`."""
    by = {"random": None, "group": "patient", "time": "day"}[kind]
    large, small = 1 + MANY_ROWS * 5 // 4, 1000
    for rows, folds, parts in ((large, None, 1), (large, 5, 5), (large, 3, 3), (small, None, 5)):
        frame, y, schema = table(rows)
        result = split_rows(frame, y, schema, SplitPart(kind=kind, by=by, folds=folds))
        assert len(parts_of(result.folds)) == parts, (rows, folds)
        found = [finding.kind for finding in result.findings if finding.kind == "one_validation_part"]
        assert bool(found) == (parts == 1)
        if parts == 1:
            assert len(check_one_part(result)) == pytest.approx(
                len(result.train) / (6 if kind == "time" else 5), rel=0.1
            )


def test_texts_that_differ_in_case_and_blanks_are_one() -> None:
    texts = np.array(["Dolor de cabeza", "dolor  de\ncabeza ", None, "otro", None], dtype=object)
    assert column_codes(texts, fold_text=True).tolist() == [0, 0, 1, 2, 1]
    assert len(set(column_codes(texts).tolist())) == 4


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40))
@settings(max_examples=60)
def test_row_numbers_are_equal_exactly_when_rows_are(rows: list[tuple[int, int, int]]) -> None:
    columns = [column_codes(np.array(values, dtype=float)) for values in zip(*rows, strict=True)]
    codes = combine_codes(columns, len(rows))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (codes[i] == codes[j]) == (one == other)


def test_groups_are_joined_through_third_rows() -> None:
    joined = join_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    assert joined[0] == joined[1] == joined[2] != joined[3]


@given(st.integers(0, 1000), st.integers(2, 6))
@settings(max_examples=25)
def test_single_rows_are_shared_out_evenly(seed: int, sides: int) -> None:
    y = np.random.default_rng(seed).integers(0, 3, 240)
    side = share_out(np.arange(240), y, (1 / sides,) * sides, seed=seed)
    for label in range(3):
        counts = np.bincount(side[y == label], minlength=sides)
        assert counts.max() - counts.min() <= 2


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "medical_abstracts.csv").exists(), reason="the real data is not beside the project")
def test_repeated_abstracts_stay_on_one_side() -> None:
    from tahona.learn.columns import conform, infer_schema, to_labels

    raw = pd.read_csv(REAL / "medical_abstracts.csv")
    schema, _ = infer_schema(raw, target="condition_label")
    frame = conform(raw, schema)
    part = SplitPart(duplicates="together")
    result = split_rows(frame, to_labels(frame["condition_label"], schema), schema, part)
    text = frame["medical_abstract"].to_numpy()
    assert not set(text[result.train]) & set(text[result.test])
    assert result.findings[0].facts["rows"] == 118
