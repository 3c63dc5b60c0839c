"""The audit: what it must see, what it must not cry about, and that it never sees a test label."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tahona.core.findings import FINDINGS, Finding
from tahona.errors import InputError, RefusedError
from tahona.learn.audit import audit_data, refusal, run_audit
from tahona.learn.columns import conform, infer_schema, to_labels
from tahona.learn.split import split_rows
from tahona.project.model import SplitPart

REAL = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))
hotel_file = pytest.mark.skipif(
    not (REAL / "hotel_bookings.parquet").exists(), reason="the real data is not beside the project"
)
AFTERWARDS = ("reservation_status", "reservation_status_date", "assigned_room_type")


def audit(
    raw: pd.DataFrame,
    target: str = "label",
    part: SplitPart | None = None,
    drop: tuple[str, ...] = (),
    allow: dict[str, str] | None = None,
    types: dict[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Pass a table through schema, cut and audit, as a run does."""
    part = part or SplitPart()
    schema, earlier = infer_schema(raw, target=target, drop=drop, types=types or {})
    frame = conform(raw.drop(columns=list(drop)), schema)
    y = to_labels(frame[target], schema)
    cut = split_rows(frame, y, schema, part)
    data = audit_data(frame.iloc[cut.train], frame.iloc[cut.test], y[cut.train], schema, part, dropped=drop)
    return run_audit(data, allow or {}, (*earlier, *cut.findings))


def kinds(findings: tuple[Finding, ...], *, least: str = "warning") -> set[tuple[str, str]]:
    wanted = {"warning": {"warning", "error"}, "error": {"error"}}[least]
    return {(finding.kind, finding.column) for finding in findings if finding.severity in wanted}


def table(rows: int = 600, classes: int = 2, seed: int = 0) -> pd.DataFrame:
    """Return an honest table: one useful number, noise, a category, balanced labels."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(rows) % classes)
    return pd.DataFrame(
        {
            "useful": codes + rng.normal(size=rows),
            "noise": rng.normal(size=rows),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "label": [f"c{code}" for code in codes],
        }
    )


def test_an_honest_table_passes_without_a_warning() -> None:
    assert kinds(audit(table())) == set()


def test_breast_cancer_passes_without_a_warning() -> None:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    findings = audit(data.frame, target="target", part=SplitPart(test=0.3, stratify=False, shuffle=False))
    assert kinds(findings) == set()


def test_easy_flowers_are_no_leak_but_the_easy_class_is_named() -> None:
    """A petal tells one of three species from the others: legitimate, and worth a look."""
    from sklearn.datasets import load_iris

    findings = audit(load_iris(as_frame=True).frame, target="target", part=SplitPart(duplicates="together"))
    assert not kinds(findings, least="error")
    assert ("leak_one_class", "petal width (cm)") in kinds(findings)


def code(frame: pd.DataFrame) -> pd.Series:
    return frame["label"].str[1:].astype(float)


LEAKS = {
    "a copy": lambda frame, rng: "is " + frame["label"],
    "a number copy": lambda frame, rng: code(frame),
    "a monotone copy": lambda frame, rng: np.exp(-3 * code(frame)) + rng.uniform(0, 0.01, len(frame)),
    "a nearly exact number": lambda frame, rng: code(frame) + rng.normal(0, 0.2, len(frame)),
    "a copy with many levels": lambda frame, rng: (
        frame["label"] + "-" + pd.Series(rng.integers(0, 30, len(frame))).astype(str)
    ),
    "a number that is not monotone": lambda frame, rng: (
        np.where(code(frame) == 1, rng.choice([-5.0, 5.0], len(frame)), 0.0) + rng.normal(0, 0.5, len(frame))
    ),
    "a date that is null for one class": lambda frame, rng: pd.Series(
        pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, len(frame)), unit="D")
    ).where(frame["label"] == "c1"),
    "a category with a few wrong rows": lambda frame, rng: frame["label"].where(
        rng.uniform(size=len(frame)) > 0.004, "other"
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_column_that_gives_the_label_away_stops_the_run(leak: str) -> None:
    frame = table(1000)
    frame["told"] = LEAKS[leak](frame, np.random.default_rng(1))
    findings = audit(frame)
    assert kinds(findings, least="error") == {("leak", "told")}
    error = refusal(findings)
    assert isinstance(error, RefusedError)
    assert error.exit_code == 3
    assert "'told' alone tells the classes apart (AUC " in error.what
    assert error.where == "column 'told'"
    assert '[data] drop = ["told"]' in error.fix


@pytest.mark.parametrize("leak", ["a copy", "a number copy", "a copy with many levels"])
def test_a_leak_of_many_classes_stops_the_run(leak: str) -> None:
    frame = table(1200, classes=4)
    frame["told"] = LEAKS[leak](frame, np.random.default_rng(1))
    assert kinds(audit(frame), least="error") == {("leak", "told")}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(lambda rng, n: [f"name {number}" for number in range(n)], id="unique texts"),
        pytest.param(lambda rng, n: rng.permutation(n * 3)[:n].astype(float), id="unique numbers"),
        pytest.param(lambda rng, n: [f"k{number}" for number in rng.integers(0, n // 2, n)], id="many levels"),
        pytest.param(lambda rng, n: np.where(rng.uniform(size=n) < 0.99, np.nan, 1.0), id="nearly all null"),
    ],
)
def test_a_column_without_meaning_is_no_leak(values) -> None:
    frame = table(1000)
    frame["odd"] = values(np.random.default_rng(2), 1000)
    kind = "numeric" if frame["odd"].dtype == float else "category"
    assert not kinds(audit(frame, types={"odd": kind}), least="error")


def test_an_accepted_leak_carries_its_reason_and_stops_nothing() -> None:
    frame = table()
    frame["told"] = code(frame)
    findings = audit(frame, allow={"told": "measured before the decision"})
    leak = next(finding for finding in findings if finding.kind == "leak")
    assert leak.accepted == "measured before the decision"
    assert refusal(findings) is None


def test_accepting_an_unknown_column_is_the_users_mistake() -> None:
    frame = table()
    with pytest.raises(InputError, match="no column 'colur'") as caught:
        audit(frame, allow={"colur": "known before"})
    assert caught.value.fix == "Did you mean 'colour'?"
    assert "colur" in str(caught.value)


def test_accepting_where_nothing_was_found_is_said() -> None:
    assert "nothing was found there" in audit(table(), allow={"noise": "known before"})[-1].message()


def test_the_distance_between_two_dates_is_a_leak() -> None:
    rng = np.random.default_rng(3)
    frame = table(1000)
    day = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, 1000), unit="D")
    later = np.where(frame["label"] == "c1", rng.integers(1, 20, 1000), -rng.integers(1, 60, 1000))
    frame["arrival"], frame["status_date"] = day, day + pd.to_timedelta(later, unit="D")
    findings = audit(frame, part=SplitPart(kind="time", by="arrival"))
    assert kinds(findings, least="error") == {("leak_distance", "status_date")}


def test_a_level_that_is_nearly_always_one_class_is_a_warning() -> None:
    frame = table(2000)
    frame.loc[frame.index[(frame["label"] == "c1")][:300], "colour"] = "refund"
    finding = next(finding for finding in audit(frame) if finding.kind == "near_deterministic_level")
    assert finding.message().startswith("'colour' = 'refund' is almost always 'c1' (100.0 % of ")


def test_repeated_rows_across_the_cut_are_counted() -> None:
    frame = pd.concat([table(300), table(300)], ignore_index=True)
    finding = next(finding for finding in audit(frame) if finding.kind == "duplicates_across")
    assert finding.severity == "warning"
    assert 'split.duplicates = "together"' in finding.message()
    assert finding.facts["share"] > 60
    assert not kinds(audit(frame, part=SplitPart(duplicates="together")))


def test_equal_rows_with_different_labels_are_counted() -> None:
    frame = table(400)
    other = frame.assign(label=np.where(frame["label"] == "c1", "c0", "c1"))
    findings = audit(pd.concat([frame, other], ignore_index=True), part=SplitPart(duplicates="together"))
    assert ("conflicting_labels", "") in kinds(findings)


def test_texts_repeated_under_other_columns_are_counted() -> None:
    rng = np.random.default_rng(4)
    frame = table(400)
    words = np.array(
        [
            "el",
            "paciente",
            "refiere",
            "dolor",
            "de",
            "cabeza",
            "y",
            "fiebre",
            "desde",
            "hace",
            "varios",
            "días",
            "sin",
            "mejoría",
            "clara",
        ]
    )
    texts = [" ".join(rng.choice(words, 12)) for _ in range(200)]
    frame["story"] = texts + [text.upper() for text in texts]
    finding = next(finding for finding in audit(frame) if finding.kind == "texts_across")
    assert finding.column == "story"


@pytest.mark.parametrize("name", ["patient", "PatientID", "id_cliente", "historia_numero", "Usuario"])
def test_patients_on_both_sides_are_a_warning_that_names_the_group_split(name: str) -> None:
    frame = table(600)
    frame[name] = np.random.default_rng(5).integers(0, 120, 600)
    findings = audit(frame)
    finding = next(finding for finding in findings if finding.kind == "groups_across")
    assert finding.column == name
    assert f'split.kind = "group" with by = "{name}"' in finding.message()
    assert ("groups_across", name) not in kinds(audit(frame, part=SplitPart(kind="group", by=name)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("visited", lambda rng: pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 600), unit="D")),
        ("arrival_date_year", lambda rng: rng.choice([2015, 2016, 2017], 600)),
        ("año", lambda rng: rng.choice([2015, 2016, 2017], 600)),
    ],
)
def test_a_random_cut_of_a_table_with_a_time_names_the_time_split(name: str, values) -> None:
    frame = table(600)
    frame[name] = values(np.random.default_rng(6))
    finding = next(finding for finding in audit(frame) if finding.kind == "time_unused")
    assert finding.column == name
    assert 'split.kind = "time"' in finding.message()


def test_a_date_of_birth_is_no_time_of_the_row() -> None:
    frame = table(600)
    frame["fecha_nacimiento"] = pd.Timestamp("1960-01-01") + pd.to_timedelta(np.arange(600) * 7 % 9000, unit="D")
    assert kinds(audit(frame)) == set()


def test_a_cut_by_time_that_is_none_is_refused() -> None:
    """Whoever makes the cut: a test row before the last training row stops the run."""
    frame = table(600)
    frame["day"] = np.random.default_rng(7).integers(0, 50, 600).astype(float)
    schema, _ = infer_schema(frame, target="label")
    y = to_labels(frame["label"], schema)
    part = SplitPart(kind="time", by="day")
    findings = run_audit(audit_data(frame.iloc[:500], frame.iloc[500:], y[:500], schema, part), {})
    assert kinds(findings, least="error") == {("time_reversed", "day")}
    assert "Mend the data" in refusal(findings).fix


def test_a_rare_class_points_to_pr_auc() -> None:
    frame = table(6000)
    frame["label"] = np.where(np.arange(6000) % 150 == 0, "c1", "c0")
    messages = [finding.message() for finding in audit(frame)]
    assert any("has an accuracy of 0.9933; look at pr_auc" in message for message in messages)
    assert any("about 8.0 of them of the rarest class" in message for message in messages)


def test_columns_that_only_the_test_part_fills_are_named() -> None:
    frame = table(600)
    frame["day"] = np.arange(600) // 2 * 1.0
    frame["new"] = np.where(np.arange(600) >= 550, 3.0, np.nan)
    frame["switch"] = np.where(np.arange(600) >= 550, "on", "off")
    found = kinds(audit(frame, part=SplitPart(kind="time", by="day")))
    assert {("null_in_train", "new"), ("constant_in_train", "switch")} <= found


def test_test_labels_change_no_finding() -> None:
    """The canary: the audit is given no test label at all, and other test labels give the same findings."""
    frame = table(600)
    schema, _ = infer_schema(frame, target="label")
    y = to_labels(frame["label"], schema)
    one = run_audit(audit_data(frame.iloc[:450], frame.iloc[450:], y[:450], schema, SplitPart()), {})
    turned = frame.assign(label=np.where(np.arange(600) < 450, frame["label"], "c1"))
    other = run_audit(audit_data(turned.iloc[:450], turned.iloc[450:], y[:450], schema, SplitPart()), {})
    assert one == other


def test_every_finding_has_both_languages_with_the_same_gaps() -> None:
    from string import Formatter

    for name, kind in FINDINGS.items():
        gaps = [{field for _, field, _, _ in Formatter().parse(text) if field} for text in (kind.en, kind.es)]
        assert gaps[0] == gaps[1], name


@pytest.fixture(scope="module")
def hotel() -> pd.DataFrame:
    frame = pd.read_parquet(REAL / "hotel_bookings.parquet")
    date = frame["arrival_date_year"].astype(str) + "-" + frame["arrival_date_month"] + "-"
    date += frame["arrival_date_day_of_month"].astype(str)
    return frame.assign(arrival_date=pd.to_datetime(date, format="%Y-%B-%d"))


@pytest.mark.real
@hotel_file
def test_the_hotel_with_nothing_dropped_stops_at_the_leak_in_seconds(hotel: pd.DataFrame) -> None:
    started = time.process_time()
    findings = audit(hotel.drop(columns="arrival_date"), target="is_canceled")
    assert time.process_time() - started < 10
    assert kinds(findings, least="error") == {("leak", "reservation_status")}
    assert "'reservation_status' alone tells the classes apart (AUC 1.0)" in refusal(findings).what


@pytest.mark.real
@hotel_file
def test_the_hotels_status_date_is_found_beside_the_arrival(hotel: pd.DataFrame) -> None:
    part = SplitPart(kind="time", by="arrival_date")
    findings = audit(hotel, target="is_canceled", part=part, drop=("reservation_status",))
    assert kinds(findings, least="error") == {("leak_distance", "reservation_status_date")}


@pytest.mark.real
@hotel_file
def test_the_hotel_without_what_is_known_later_goes_on(hotel: pd.DataFrame) -> None:
    by_time = audit(hotel, target="is_canceled", part=SplitPart(kind="time", by="arrival_date"), drop=AFTERWARDS)
    assert refusal(by_time) is None
    assert ("near_deterministic_level", "deposit_type") in kinds(by_time)
    at_random = {finding.kind: finding for finding in audit(hotel, target="is_canceled", drop=AFTERWARDS)}
    assert at_random["duplicates_across"].facts["share"] == pytest.approx(33, abs=2)
    assert at_random["time_unused"].column == "arrival_date"
