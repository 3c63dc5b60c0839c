"""The bundle's promise: a row alone and the same row in a batch give the same bits, whatever its cells are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tahona
from tahona.bundle.bundle import Bundle

PROJECT = """
[project]
name = "hotel"
target = "is_canceled"
positive = 1
[data]
source = "hotel.parquet"
drop = ["reservation_status", "reservation_status_date", "assigned_room_type"]
[data.types]
agent = "category"
company = "category"
[split]
folds = 2
[train]
metric = "log_loss"
models = ["lightgbm", "logistic_regression", "knn", "random_forest"]
calibrate = "isotonic"
[train.search.lightgbm]
n_estimators = [30]
[train.search.random_forest]
n_estimators = [5]
[train.search.knn]
n_neighbors = [15]
[train.search.logistic_regression]
C = [1.0]
"""
ROWS = 10_000
BATCHES = (7, 100, 4096, ROWS)


@pytest.fixture(scope="module")
def hotel(real_data: Path) -> pd.DataFrame:
    return pd.read_parquet(real_data / "hotel_bookings.parquet")


@pytest.fixture(scope="module")
def bundle(hotel: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A champion that mixes families, so that every one of them is asked for each row."""
    folder = tmp_path_factory.mktemp("hotel")
    hotel.sample(3000, random_state=1).to_parquet(folder / "hotel.parquet", index=False)
    (folder / "tahona.toml").write_text(PROJECT, "utf-8")
    tahona.load(folder).run()
    loaded = tahona.load_bundle("hotel@champion", project=folder)
    shutil.rmtree(folder / "reports")
    return loaded


def mutated(hotel: pd.DataFrame) -> list[dict[str, object]]:
    """Real rows with one to three cells replaced by nothing (in each of its spellings) or by an unseen category."""
    generator = np.random.default_rng(0)
    rows = hotel.sample(ROWS, random_state=2).to_dict("records")
    names = [name for name in hotel.columns if not name.startswith("reservation_status") and name != "is_canceled"]
    texts = {name for name in names if isinstance(rows[0][name], str)}
    nothing = (None, float("nan"), pd.NA, pd.NaT)
    for row in rows:
        for name in generator.choice(names, size=generator.integers(1, 4), replace=False):
            unseen = name in texts and generator.random() < 0.4
            row[name] = f"unseen {generator.integers(9)}" if unseen else nothing[generator.integers(4)]
    return rows


@pytest.mark.real
@pytest.mark.slow
def test_ten_thousand_mutated_rows_give_the_same_bits_alone_and_in_batches(bundle, hotel):
    assert bundle.title == "ensemble"
    rows = mutated(hotel)
    whole = bundle.predict(rows)
    for size in BATCHES:
        pieces = [bundle.predict(rows[start : start + size]) for start in range(0, ROWS, size)]
        assert_equal_bits(pd.concat(pieces, ignore_index=True), whole)
    alone = [bundle.predict([row]) for row in rows]
    assert_equal_bits(pd.concat(alone, ignore_index=True), whole)
    frame = pd.DataFrame(rows)  # where None, NaN and NA become whatever pandas makes of them
    assert_equal_bits(bundle.predict(frame), whole)
    assert whole["warnings"].str.contains("unseen category").sum() > 1000


def assert_equal_bits(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        if name.startswith("probability_"):
            assert one[name].to_numpy().tobytes() == other[name].to_numpy().tobytes(), name
        else:
            assert one[name].tolist() == other[name].tolist(), name
