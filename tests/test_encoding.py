"""Encodings: plain tables that give a row the same bits alone, in a batch, and after a journey through JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, vstack

from tahona.errors import DataError, InputError
from tahona.learn.coded import Coded
from tahona.learn.columns import infer_schema, take, to_columns
from tahona.learn.encoding import WANTS, Encoding, fit_encoding

REAL = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))
HOTEL = REAL / "hotel_bookings.parquet"

SEX = ["mujer", "hombre", None]
NOTES = [
    "depresión leve del niño",
    "dolor de cabeza y fiebre",
    "sin fiebre desde hace dos días",
    "control del niño sano",
]


def clinic(rows: int = 300) -> pd.DataFrame:
    """A small Spanish clinical table: every kind of column, nulls in each."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "grupo": rng.choice(["trastorno", "sano"], rows),
            "edad": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 99, rows)),
            "sexo": [SEX[place] for place in rng.integers(0, 3, rows)],
            "visita": [f"2026-{1 + place % 12:02d}-{1 + place % 28:02d}T0{place % 10}:30:00" for place in range(rows)],
            "nota": [f"{NOTES[place]} caso {number % 150}" for number, place in enumerate(rng.integers(0, 4, rows))],
        }
    )


def encoded(frame: pd.DataFrame, wants, target: str = "grupo", **options):
    schema, _ = infer_schema(frame, target=target, **options)
    columns = to_columns(frame, schema)
    return schema, columns, fit_encoding(columns, schema, wants)


def dense(matrix) -> np.ndarray:
    return matrix.toarray() if isinstance(matrix, csr_matrix) else matrix


@pytest.mark.parametrize("wants", WANTS)
def test_names_sources_and_width_agree(wants):
    frame = clinic()
    _, columns, encoding = encoded(frame, wants)
    matrix = encoding.apply(columns)
    assert isinstance(matrix, csr_matrix)
    assert matrix.shape == (300, len(encoding.names))
    assert len(encoding.names) == len(set(encoding.names)) == len(encoding.sources)
    assert set(encoding.sources) == {"edad", "sexo", "visita", "nota"}
    assert "nota~niño" in encoding.names
    places = {name: place for place, name in enumerate(encoding.names)}
    assert encoding.categorical == ((places["sexo"],) if wants == "native" else ())


def test_scaled_numbers_are_those_of_standard_scaler():
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    frame = load_breast_cancer(as_frame=True).frame
    _, columns, encoding = encoded(frame, "scaled", target="target")
    matrix = encoding.apply(columns)
    raw = frame.drop(columns="target").to_numpy()
    assert matrix.flags.c_contiguous
    np.testing.assert_allclose(matrix, StandardScaler().fit_transform(raw), rtol=1e-9, atol=1e-12)
    assert encoding.names == tuple(frame.columns[:-1])


def test_scaled_fills_with_the_median_and_marks_nulls():
    frame = pd.DataFrame({"y": ["a", "b"] * 4, "x": [1.0, 2, 3, 10, None, 3, 3, 2], "same": [5.0] * 7 + [None]})
    _, columns, encoding = encoded(frame, "scaled", target="y")
    matrix = encoding.apply(columns)
    assert encoding.names == ("x", "x=(null)", "same", "same=(null)")
    assert matrix[4, 0] == matrix[2, 0]  # the median is 3
    assert matrix[:, 1].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert matrix[:, 2].tolist() == [0.0] * 8  # constant: scale 1, as StandardScaler has it


def test_one_hot_knows_null_rare_and_unseen_levels():
    levels = ["a"] * 1500 + ["b"] * 480 + ["rara"] + [None] * 19
    frame = pd.DataFrame({"y": ["s", "n"] * 1000, "x": levels})
    schema, _, encoding = encoded(frame, "scaled", target="y")
    assert encoding.names == ("x=a", "x=b", "x=(other)", "x=(null)")
    rows = to_columns([{"x": level} for level in ("a", "b", "rara", "nueva", None)], schema)
    assert encoding.apply(rows).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    plain = encoded(pd.DataFrame({"y": ["s", "n"] * 30, "x": ["a", "b", "c"] * 20}), "scaled", target="y")[2]
    assert plain.apply({"x": np.array(["z", None], dtype=object)}).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_codes_are_ordered_by_frequency_and_keep_room_for_the_unknown():
    frame = pd.DataFrame({"y": ["s", "n"] * 30, "x": ["c"] * 30 + ["b"] * 15 + ["a"] * 15})
    cells = {"x": np.array(["c", "a", "b", "nueva", None], dtype=object)}
    assert encoded(frame, "codes", target="y")[2].apply(cells)[:, 0].tolist() == [0, 1, 2, 3, -1]
    native = encoded(frame, "native", target="y")[2]
    assert native.categorical == (0,)
    np.testing.assert_array_equal(native.apply(cells)[:, 0], [0, 1, 2, 3, np.nan])


def test_native_codes_stay_within_what_boosters_take():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"y": rng.choice(["s", "n"], 3000), "x": [f"c{place}" for place in rng.integers(0, 700, 3000)]}
    )
    _, columns, encoding = encoded(frame, "native", target="y", types={"x": "category"})
    assert encoding.apply(columns)[:, 0].max() == 250


def test_dates_become_parts():
    days = pd.date_range("2023-11-15T06:00", periods=60, freq="33h")
    frame = pd.DataFrame({"y": ["s", "n"] * 30, "x": days})
    schema, columns, encoding = encoded(frame, "codes", target="y")
    matrix = encoding.apply(columns)
    assert encoding.names == ("x.year", "x.month", "x.day", "x.weekday", "x.hour", "x.elapsed")
    wanted = [days.year, days.month, days.day, days.day_of_week, days.hour]
    assert [matrix[:, place].tolist() for place in range(5)] == [list(map(float, part)) for part in wanted]
    assert np.isnan(encoding.apply(to_columns([{"x": None}], schema))).all()
    before = encoding.apply(to_columns([{"x": "1969-12-31T23:00:00"}], schema))[0]
    assert before.tolist() == [1969, 12, 31, 2, 23, -1 / 24]
    midnight = encoded(frame.assign(x=days.normalize()), "codes", target="y")[2]
    assert "x.hour" not in midnight.names


def test_a_column_without_a_value_in_training_is_left_out():
    frame = clinic()
    schema, columns, _ = encoded(frame, "codes")
    some = {**columns, "edad": np.full(300, np.nan), "sexo": np.full(300, None, dtype=object)}
    for wants in WANTS:
        assert set(fit_encoding(some, schema, wants).sources) == {"visita", "nota"}


def test_text_without_words_leaves_nothing_to_learn():
    frame = pd.DataFrame({"y": ["s", "n"] * 30, "x": ["...", "!", None] * 20})
    with pytest.raises(DataError, match="nothing to learn from"):
        encoded(frame, "scaled", target="y", types={"x": "text"})


@pytest.mark.parametrize("wants", WANTS)
def test_huge_numbers_neither_overflow_nor_leave_float32(wants):
    frame = pd.DataFrame({"y": ["s", "n"] * 30, "x": [1e300, -1e308, 5.0] * 20, "z": [1.0, 2, 4] * 20})
    schema, columns, encoding = encoded(frame, wants, target="y")
    for rows in (columns, to_columns([{"x": 1.7e308, "z": -1.7e308}], schema)):
        with np.errstate(all="raise"):
            assert np.isfinite(encoding.apply(rows).astype(np.float32)).all()


def test_zeros_are_stored_for_boosters_that_take_absent_for_missing():
    frame = clinic()
    for wants, stored in (("native", True), ("codes", True), ("scaled", False)):
        _, columns, encoding = encoded(frame, wants)
        matrix = encoding.apply(columns)
        single = sum("~" not in name for name in encoding.names)
        assert (int((matrix.indices < single).sum()) == 300 * single) is stored


@pytest.mark.parametrize("wants", WANTS)
def test_a_journey_through_json_keeps_every_bit(wants):
    _, columns, encoding = encoded(clinic(), wants)
    text = json.dumps(encoding.to_dict(), allow_nan=False)
    again = Encoding.from_dict(json.loads(text))
    assert again == encoding
    assert dense(again.apply(columns)).tobytes() == dense(encoding.apply(columns)).tobytes()
    with pytest.raises(InputError, match="format 3"):
        Encoding.from_dict({**encoding.to_dict(), "format": 3})


@pytest.mark.parametrize("wants", WANTS)
def test_a_clinical_row_has_the_same_bits_alone_and_in_a_batch(wants):
    frame = clinic()
    schema, columns, encoding = encoded(frame, wants)
    whole = encoding.apply(columns)
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    alone = vstack([encoding.apply(to_columns([row], schema)) for row in records], format="csr")
    for one, other in ((whole.data, alone.data), (whole.indices, alone.indices), (whole.indptr, alone.indptr)):
        assert one.tobytes() == other.tobytes()


def test_scikit_learns_trees_take_text_and_nulls_together():
    from sklearn.ensemble import RandomForestClassifier

    frame = clinic()
    schema, columns, encoding = encoded(frame, "codes")
    forest = RandomForestClassifier(5, random_state=0).fit(encoding.apply(columns), frame["grupo"])
    empty = to_columns([dict.fromkeys(schema.names)], schema)
    assert forest.predict_proba(encoding.apply(empty)).shape == (1, 2)


def mutated_hotel_rows(count: int) -> list[dict[str, object]]:
    """Real bookings with holes of every make, unseen levels and values out of range."""
    frame = pd.read_parquet(HOTEL).drop(columns=["is_canceled", "reservation_status"])
    rng = np.random.default_rng(11)
    rows = frame.iloc[rng.integers(0, len(frame), count)].to_dict("records")
    texts = {name for name, kind in frame.dtypes.items() if kind == "str"} - {"reservation_status_date"}
    nothing = [None, float("nan"), np.nan, pd.NA, pd.NaT]
    names = list(frame.columns)
    for row in rows:
        for place in rng.integers(0, len(names), 3):
            name = names[place]
            change = rng.integers(0, 8)
            if change < 5:
                row[name] = nothing[change]
            elif name in texts:
                row[name] = ["nunca vista", "", "nin\u0303o"][change - 5]
            elif name != "reservation_status_date":
                row[name] = [1e12, -3, np.float32(0.1)][change - 5]
    return rows


@pytest.fixture(scope="module")
def hotel():
    if not HOTEL.exists():
        pytest.skip("the real hotel table is not here")
    frame = pd.read_parquet(HOTEL).drop(columns="reservation_status")
    schema, _ = infer_schema(frame, target="is_canceled", types={"agent": "category"})
    columns = to_columns(frame, schema)
    return schema, columns, {wants: fit_encoding(columns, schema, wants) for wants in WANTS}, mutated_hotel_rows(10_000)


@pytest.mark.real
def test_ten_thousand_mutated_bookings_have_the_same_bits_in_every_batch(hotel):
    schema, _, encodings, rows = hotel
    whole = to_columns(rows, schema)
    matrices = {wants: encoding.apply(whole) for wants, encoding in encodings.items()}
    frame = pd.DataFrame(rows)
    for size in (1, 7, 100):
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            columns = to_columns(rows[part] if size < 100 else frame[part], schema)
            for wants, encoding in encodings.items():
                again = dense(encoding.apply(columns))
                assert again.tobytes() == dense(matrices[wants][part]).tobytes(), (wants, size, start)


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("classes", [1, 3])
def test_products_of_a_wide_matrix_are_its_own_to_the_bit(coded, classes):
    """A linear model's margins are added up without the matrix, whose cells that are 0 are not there."""
    draw = np.random.default_rng(0)
    rows = 12_000
    frame = pd.DataFrame(
        {
            "city": [None if place % 11 == 0 else f"c{place % 90}" for place in draw.integers(0, 10_000, rows)],
            "size": np.where(draw.random(rows) < 0.2, np.nan, draw.normal(size=rows).round(1)),
            "constant": 1.0,
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 400, rows), unit="D"),
            "kind": pd.Series(draw.choice(["a", "b", "z"], rows), dtype="str"),
            "label": draw.integers(0, 2, rows),
        }
    )
    schema, _ = infer_schema(frame, target="label", positive=1)
    encoding = fit_encoding(to_columns(frame[:11_000], schema), schema, "scaled")
    assert encoding.wide
    frame.loc[5, "city"] = "never seen"
    weights = draw.normal(size=(classes, len(encoding.names)))
    wanted = encoding.apply(to_columns(frame, schema)) @ np.ascontiguousarray(weights.T)
    columns = to_columns(frame.astype({"city": "str"}), schema, coded=coded)
    assert isinstance(columns["kind"], Coded) == coded
    assert np.array_equal(encoding.products(columns, weights), wanted)
    assert np.array_equal(encoding.products(take(columns, slice(5, 6)), weights), wanted[5:6])
