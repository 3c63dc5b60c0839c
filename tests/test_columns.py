"""Columns: what a table's cells are taken for, and what is refused."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tahona.core.schema import ROW, Column, Schema
from tahona.errors import DataError
from tahona.learn.columns import canonical, conform, infer_schema, read_column, to_columns, to_labels, with_ranges

REAL = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))
SECRET = "s3cr3t-cell"


def table(rows: int = 60, **columns) -> pd.DataFrame:
    """A table with a label and one dull feature besides the columns under test."""
    label = ["yes", "no", "no"] * (rows // 3)
    return pd.DataFrame({"y": label, "dull": [index % 7 for index in range(rows)], **columns})


def kind_of(values, **options) -> tuple[str | None, dict[str, object]]:
    schema, findings = infer_schema(table(len(values), x=values), target="y", **options)
    kinds = {column.name: column.kind for column in schema.columns}
    return kinds.get("x"), {found.kind: found for found in findings if found.column == "x"}


# ---------------------------------------------------------------------------------------------------- cells


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9, "9"),
        (9.0, "9"),
        (np.float32(0.5), "0.5"),
        (np.int8(9), "9"),
        (Decimal("9.00"), "9"),
        (-0.0, "0"),
        (1e22, str(10**22)),
        (0.1, "0.1"),
        (True, "true"),
        (np.bool_(False), "false"),
        (" 9 ", " 9 "),
        ("None", "None"),
        ("NA", "NA"),
        ("", ""),
        ("00123", "00123"),
        ("nin\u0303o", "niño"),
        (date(2026, 1, 31), "2026-01-31"),
        (pd.Timestamp("2026-01-31"), "2026-01-31"),
        (None, None),
        (float("nan"), None),
        (np.float32("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.datetime64("NaT"), None),
        (Decimal("NaN"), None),
    ],
)
def test_a_cell_has_one_text_whatever_its_type(value, text):
    assert canonical(value) == text


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, b"x", "\ud800", 10**5000, timedelta(1), 1j], ids=lambda value: type(value).__name__
)
def test_what_is_not_one_value_is_refused(value):
    with pytest.raises(DataError):
        canonical(value)


CELLS = {
    "number": [1, 2.5, None, -7],
    "when": ["2026-01-31", None, "1969-12-31T23:59:59.5", "2026-01-31T12:00:00+02:00"],
    "level": ["a", None, "niño", "9"],
    "note": ["Una nota", "", None, "otra"],
}
SCHEMA = Schema(
    (Column("number", "numeric"), Column("when", "datetime"), Column("level", "category"), Column("note", "text")),
    "y",
    ("no", "yes"),
    "yes",
)


def test_rows_and_every_make_of_table_give_the_same_bits():
    rows = [dict(zip(CELLS, cells, strict=True)) for cells in zip(*CELLS.values(), strict=True)]
    wanted = {name: values.tolist() for name, values in to_columns(rows, SCHEMA).items()}
    frame = pd.DataFrame(CELLS)
    times = pd.to_datetime(frame["when"], format="ISO8601", utc=True)
    tables = [
        frame,
        frame.astype(object).where(frame.notna(), pd.NA),
        frame.astype({"level": "category", "note": "string", "number": "Float64"}),
        frame.convert_dtypes(dtype_backend="pyarrow"),
        frame.assign(when=times),
        frame.assign(when=times.dt.tz_convert("Europe/Madrid").astype("datetime64[ms, Europe/Madrid]")),
        frame.assign(when=times.dt.tz_localize(None).astype("datetime64[ns]")),
        frame.assign(when=times.dt.to_pydatetime() if hasattr(times.dt, "to_pydatetime") else times),
        frame.assign(when=times.astype(pd.ArrowDtype(pa.timestamp("us", tz="UTC")))),
        frame.assign(surplus=1)[["note", "surplus", "level", "when", "number"]],
    ]
    for made in tables:
        found = to_columns(made, SCHEMA)
        assert list(found) == list(wanted)
        for name, values in found.items():
            assert repr(values.tolist()) == repr(wanted[name]), name
    assert wanted["when"][2] == -0.5
    assert wanted["when"][3] == datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("make", ["int8", "uint64", "Int64", "float32", "Float32", "int64[pyarrow]", "double[pyarrow]"])
def test_numbers_of_every_type_become_float64(make):
    values = pd.Series([1, 2, 3], dtype=make)
    assert read_column(values, Column("x", "numeric")).tolist() == [1.0, 2.0, 3.0]
    assert read_column(values, Column("x", "category")).tolist() == ["1", "2", "3"]


def test_mixed_numbers_and_booleans_are_not_merged_into_one_category():
    values = pd.Series([1, True, 1.0, "1", None], dtype=object)
    assert read_column(values, Column("x", "category")).tolist() == ["1", "true", "1", "1", None]


@pytest.mark.parametrize(
    ("kind", "bad", "says"),
    [
        ("numeric", SECRET, "a text stands where a number is expected"),
        ("numeric", "1.5", "a text stands where a number is expected"),
        ("numeric", True, "a boolean stands where a number is expected"),
        ("numeric", [1], "a list stands where a number is expected"),
        ("numeric", 2**70, "does not fit in 64 bits"),
        ("numeric", float("inf"), "1 infinite value(s)"),
        ("datetime", SECRET, "the text is not a date in ISO 8601 form"),
        ("datetime", "31/01/2026", "the text is not a date in ISO 8601 form"),
        ("datetime", 5, "a int stands where a date is expected"),
        ("category", {SECRET: 1}, "a dict stands where one value is expected"),
        ("text", b"x", "a bytes stands where one value is expected"),
    ],
    ids=range(11),
)
def test_a_wrong_cell_is_refused_with_column_and_row_but_never_shown(kind, bad, says):
    schema = Schema((Column("x", kind),), "y", ("a", "b"), "b")
    good = None
    for rows in ([{"x": good}, {"x": bad}], pd.DataFrame({"x": pd.Series([good, bad], dtype=object)})):
        with pytest.raises(DataError) as caught:
            to_columns(rows, schema)
        assert caught.value.where == "column 'x', row 2"
        assert says in caught.value.what
        assert SECRET not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_missing_columns_are_listed_and_surplus_ones_ignored():
    with pytest.raises(DataError, match=r"missing column\(s\): number, note"):
        to_columns(pd.DataFrame({"level": ["a"], "when": ["2026-01-31"]}), SCHEMA)
    whole = {name: cells[0] for name, cells in CELLS.items()}
    with pytest.raises(DataError, match=r"row 2: missing column\(s\): note"):
        to_columns([whole, {name: cell for name, cell in whole.items() if name != "note"}], SCHEMA)


# ---------------------------------------------------------------------------------------------------- kinds


WORDS = [
    "el",
    "paciente",
    "refiere",
    "dolor",
    "de",
    "cabeza",
    "intenso",
    "desde",
    "hace",
    "varios",
    "días",
    "sin",
    "fiebre",
]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([index * 1.5 for index in range(60)], "numeric"),
        ([index % 3 for index in range(60)], "numeric"),
        ([index * index for index in range(60)], "numeric"),
        (pd.array([1, None, 3] * 20, dtype="Int64"), "numeric"),
        ([True, False, None] * 20, "category"),
        (["rojo", "verde", None] * 20, "category"),
        (["None", "NA", "x"] * 20, "category"),
        (["01001", "08001", "28001"] * 20, "category"),
        ([f"2026-01-{1 + index % 28:02d}" for index in range(60)], "datetime"),
        ([f"{1 + index % 28}/01/2026" for index in range(60)], "datetime"),
        ([date(2026, 1, 1 + index % 28) for index in range(60)], "datetime"),
        ([" ".join(WORDS[index % 5 :]) + f" caso {index}" for index in range(60)], "text"),
        ([str(uuid.UUID(int=index**9)) for index in range(60)], "id"),
        ([f"P-{index:05d}" for index in range(60)], "id"),
        ([f"{index:05d}" for index in range(60)], "id"),
        (list(range(1000, 1060)), "id"),
        ([f"{index:032x}"[::-1] for index in range(60)], "id"),
    ],
)
def test_the_kind_of_a_column_is_found(values, kind):
    assert kind_of(values)[0] == kind


def test_an_identifier_is_reported_and_is_no_feature():
    frame = table(60, code=[f"P-{index}" for index in range(60)])
    schema, findings = infer_schema(frame, target="y")
    assert schema.names == ("dull", "code")
    assert [column.name for column in schema.features] == ["dull"]
    assert list(to_columns(frame.drop(columns="code"), schema)) == ["dull"]
    (found,) = findings
    assert found.kind == "identifier"
    assert found.severity == "warning"
    assert "60 distinct values in 60 rows" in found.message()
    assert "P-" not in found.message("es")


def test_a_name_of_an_identifier_tips_the_balance():
    visits = [f"p{index // 4}" for index in range(120)]
    schema, _ = infer_schema(table(120, paciente_id=visits, ward=visits), target="y")
    assert {column.name: column.kind for column in schema.columns} == {
        "dull": "numeric",
        "paciente_id": "id",
        "ward": "category",
    }


def test_a_declared_type_wins():
    sequence = list(range(60))
    assert kind_of(sequence, types={"x": "numeric"}) == ("numeric", {})
    assert kind_of([float(index % 9) for index in sequence], types={"x": "category"}) == ("category", {})
    assert kind_of(["a", "b", "c"] * 20, types={"x": "text"}) == ("text", {})
    assert kind_of(["a", "b", "c"] * 20, types={"x": "id"}) == ("id", {})


def test_text_declared_numeric_is_refused_with_the_count():
    with pytest.raises(DataError, match="declared numeric, but 40 of 60 values are no numbers"):
        kind_of([1, "uno", "2"] * 20, types={"x": "numeric"})


def test_numbers_in_quotation_marks_are_told():
    kind, found = kind_of(["1.5", "2.5", "3"] * 20)
    assert kind == "category"
    assert list(found) == ["numbers_as_text"]


def test_null_and_constant_columns_are_dropped_and_told():
    frame = table(60, empty=[None] * 60, same=["a"] * 60, same_number=[3] * 60, nearly=["a", None, "a"] * 20)
    schema, findings = infer_schema(frame, target="y")
    assert schema.names == ("dull", "nearly")
    told = {(found.kind, found.column) for found in findings}
    assert told == {("all_null", "empty"), ("constant", "same"), ("constant", "same_number")}


def test_a_column_of_several_types_is_text_and_told_with_counts():
    kind, found = kind_of([1, "a", True] * 20)
    assert kind == "category"
    assert "numbers: 20, booleans: 20, dates: 0, texts: 20" in found["mixed_types"].message()
    assert "booleanos: 20" in found["mixed_types"].message("es")


def test_infinity_is_refused_with_column_and_count():
    with pytest.raises(DataError, match=r"column 'x', row 1: 20 infinite value\(s\)"):
        kind_of([float("inf"), 1.0, 2.0] * 20)


def test_names_that_are_not_in_the_table_are_refused_with_a_guess():
    for options in ({"drop": ["dul"]}, {"types": {"dul": "numeric"}}, {"formats": {"dul": "%Y"}}):
        with pytest.raises(DataError, match="did you mean 'dull'"):
            infer_schema(table(), target="y", **options)
    twice = pd.DataFrame([["a", 1, 2], ["b", 1, 2]], columns=["y", "x", "x"])
    with pytest.raises(DataError, match=r"given twice: x"):
        infer_schema(twice, target="y")


def test_nothing_left_to_learn_from_is_refused():
    with pytest.raises(DataError, match="no feature column is left"):
        infer_schema(table(), target="y", drop=["dull"])


# ---------------------------------------------------------------------------------------------------- dates


def test_dates_that_read_two_ways_are_refused_until_declared():
    values = [f"{1 + index % 12:02d}/0{1 + index % 3}/2026" for index in range(60)]
    with pytest.raises(DataError, match=r"could be read as %d/%m/%Y and as %m/%d/%Y") as caught:
        kind_of(values)
    assert '[data.formats] x = "%d/%m/%Y"' in caught.value.fix
    schema, _ = infer_schema(table(60, x=values), target="y", formats={"x": "%d/%m/%Y"})
    assert schema.columns[1].format == "%d/%m/%Y"
    assert to_columns([{"dull": 1, "x": "02/01/2026"}], schema)["x"] == [datetime(2026, 1, 2, tzinfo=UTC).timestamp()]
    assert kind_of(values, types={"x": "category"})[0] == "category"


def test_a_day_beyond_twelve_settles_the_order_and_is_told():
    for form in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%m-%d-%Y %H:%M", "%Y/%m/%d", "%d-%b-%Y"):
        days = [datetime(2026, 1 + index % 12, 1 + index % 28, 7, 30, tzinfo=UTC) for index in range(60)]
        kind, found = kind_of([day.strftime(form) for day in days])
        assert kind == "datetime", form
        assert form in found["date_form"].message()


def test_mixed_time_zones_are_refused():
    zones = ["2026-01-31T10:00:00+01:00", "2026-01-31T11:00:00Z", "2026-01-30T11:00:00Z"] * 20
    for values in (zones, [datetime.fromisoformat(zone) for zone in zones]):
        with pytest.raises(DataError, match="2 different time zones"):
            kind_of(values)
    half = [datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))), datetime(2026, 1, 2)] * 30  # noqa: DTZ001
    with pytest.raises(DataError, match="2 different time zones"):
        kind_of(half)
    assert kind_of(zones, formats={"x": "%Y-%m-%dT%H:%M:%S%z"})[0] == "datetime"


def test_dates_with_a_stray_cell_are_told_not_guessed():
    kind, found = kind_of([f"2026-01-{1 + index % 28:02d}" for index in range(59)] + ["unknown"])
    assert kind == "category"
    assert "dates_unread" in found


def test_a_day_that_does_not_exist_is_no_date():
    assert kind_of([f"{index % 31 + 1}/02/2026" for index in range(60)])[0] == "category"


# ---------------------------------------------------------------------------------------------------- labels


def label(values, **options):
    frame = pd.DataFrame({"y": values, "x": [index % 5 for index in range(len(values))]})
    return infer_schema(frame, target="y", **options)


@pytest.mark.parametrize(
    ("values", "positive", "labels"),
    [
        ([0, 1] * 30, None, ("0", "1")),
        ([0, 1] * 30, 0, ("1", "0")),
        ([0.0, 1.0] * 30, 1, ("0", "1")),
        ([True, False] * 30, True, ("false", "true")),
        ([True, False] * 30, 0, ("true", "false")),
        (["sí", "no"] * 30, None, ("no", "sí")),
        (["sí", "no"] * 30, "si\u0301", ("no", "sí")),
        ([10, 9] * 30, None, ("9", "10")),
        ([10, 9, 1] * 20, None, ("1", "9", "10")),
    ],
)
def test_the_positive_class_stands_last(values, positive, labels):
    schema, _ = label(values, positive=positive)
    assert schema.labels == labels
    assert schema.positive == (labels[-1] if len(labels) == 2 else None)
    codes = to_labels(pd.Series(values), schema)
    assert [labels[code] for code in codes.tolist()] == [canonical(value) for value in values]


def test_an_unknown_or_null_label_has_the_code_minus_one():
    schema, _ = label(["a", "b"] * 30)
    assert to_labels(["b", None, "z", "a"], schema).tolist() == [1, -1, -1, 0]


@pytest.mark.parametrize(
    ("values", "options", "says"),
    [
        ([0, 1, None] * 20, {}, "the label is null in 20 of 60 rows"),
        (["a"] * 60, {}, "the label has one class only: 'a' in all 60 rows"),
        ([index / 7 for index in range(60)], {}, "looks like regression"),
        ([index**2 for index in range(60)], {}, "looks like regression"),
        ([f"P{index}" for index in range(60)], {}, "the label has 60 classes in 60 rows"),
        ([0, 1] * 30, {"positive": "yes"}, "the positive class is not among the labels: '0', '1'"),
        ([0, 1, 2] * 20, {"positive": 1}, "a positive class needs two classes; the label has 3"),
    ],
)
def test_a_column_that_is_no_label_is_refused(values, options, says):
    with pytest.raises(DataError) as caught:
        label(values, **options)
    assert says in caught.value.what
    assert "column 'y'" in caught.value.where
    assert caught.value.exit_code == 2


def test_an_absent_label_is_refused_with_close_matches():
    with pytest.raises(DataError, match="did you mean 'dull'"):
        infer_schema(table(), target="dul")
    with pytest.raises(DataError, match="among the dropped"):
        infer_schema(table(), target="y", drop=["y"])


@pytest.mark.parametrize(
    ("values", "variants"),
    [
        (["yes", "Yes ", "no"] * 20, 2),
        (["1", "1.0", "0"] * 20, 2),
        (["SÍ", "si\u0301", "no", "No"] * 15, 4),
    ],
)
def test_variants_of_a_label_stop_the_run(values, variants):
    _, findings = label(values, positive="no")
    (found,) = findings
    assert found.kind == "label_variants"
    assert found.stops
    assert f"{variants} classes" in found.message()


def test_one_and_one_point_nought_are_one_label():
    schema, findings = label(pd.Series([1, 1.0, "1", 0, 0.0, "0"] * 10, dtype=object))
    assert schema.labels == ("0", "1")
    assert findings == ()


# ---------------------------------------------------------------------------------------------------- ranges


def test_ranges_are_those_of_the_rows_given():
    schema, _ = infer_schema(table(60, level=["a", "b", None] * 20), target="y")
    narrow = with_ranges(schema, to_columns([{"dull": 2, "level": "b"}, {"dull": 5, "level": "b"}], schema))
    assert narrow.columns == (
        Column("dull", "numeric", nullable=False, low=2.0, high=5.0),
        Column("level", "category", nullable=False, levels=("b",)),
    )
    assert schema.columns[1].levels == ("a", "b")
    assert schema.columns[1].nullable
    assert Schema.from_dict(schema.to_dict()) == schema


def test_a_conformed_table_reads_as_the_table_itself():
    days = [f"{1 + index % 28}/01/2026 0{index % 9}:30" if index % 3 else None for index in range(60)]
    frame = table(60, when=days, level=pd.Series([1, "a", None] * 20, dtype=object), code=list(range(60)))
    frame[ROW] = range(60)
    schema, _ = infer_schema(frame, target="y")
    typed = conform(frame, schema)
    assert typed["when"].dtype == "datetime64[us]"
    assert typed["dull"].dtype == np.float64
    assert ROW in typed.columns
    one, two = to_columns(frame, schema), to_columns(typed, schema)
    assert all(repr(one[name].tolist()) == repr(two[name].tolist()) for name in one)


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "hotel_bookings.parquet").exists(), reason="the real hotel table is not here")
def test_the_real_hotel_table_is_understood():
    frame = pd.read_parquet(REAL / "hotel_bookings.parquet")
    schema, findings = infer_schema(frame, target="is_canceled", positive=1, types={"agent": "category"})
    kinds = {column.name: column.kind for column in schema.columns}
    assert findings == ()
    assert schema.labels == ("0", "1")
    assert kinds["reservation_status_date"] == "datetime"
    assert kinds["children"] == kinds["company"] == "numeric"
    assert kinds["country"] == kinds["agent"] == "category"
    assert sorted(set(kinds.values())) == ["category", "datetime", "numeric"]
    agent = next(column for column in schema.columns if column.name == "agent")
    assert agent.levels[0] == "9"
    assert agent.nullable
