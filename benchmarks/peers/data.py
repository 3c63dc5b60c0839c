"""The tables, cut into the rows that every peer trains on and the rows on which all are judged.

The rows are those that Tahona itself takes for the `[split]` named here, so that it can be run as its users run it: on
the whole table. On the random split they are scikit-learn's `train_test_split(stratify=y, random_state=seed)`, on the
time split the latest fifth of arrivals; tests/test_benchmarks.py holds both.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from sklearn.datasets import load_breast_cancer

from tahona.learn.columns import infer_schema, to_labels
from tahona.learn.split import split_rows
from tahona.project.model import SplitPart

ROOT = Path(__file__).resolve().parents[2]


class NoDataError(Exception):
    """The real table is not beside the project."""


@dataclass(frozen=True)
class DataSet:
    """A table, how it is cut, and what is said about it to everybody."""

    title: str
    label: str
    metric: str
    read: Callable[[], pd.DataFrame]
    split: Mapping[str, Any]
    positive: int | None = 1
    text: str | None = None
    date: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)


def real_table(name: str) -> Path:
    """Return a table beside the project, or in the folder TAHONA_REAL_DATA."""
    place = os.environ.get("TAHONA_REAL_DATA")
    file = (Path(place) if place else ROOT.parent / "shared" / "data") / name
    if not file.is_file():
        raise NoDataError(f"{name} is not here; name its folder in TAHONA_REAL_DATA")
    return file


def hotel() -> pd.DataFrame:
    """Return the bookings as examples/hotel cleans them, agents and companies as the names that they are."""
    file = ROOT / "examples" / "hotel" / "hotel" / "cleaning.py"
    spec = importlib.util.spec_from_file_location("hotel_cleaning", file)
    assert spec is not None
    assert spec.loader is not None
    cleaning = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cleaning)
    bookings = pd.read_parquet(real_table("hotel_bookings.parquet"))
    bookings = bookings.drop(columns=["reservation_status", "reservation_status_date", "assigned_room_type"])
    bookings = cleaning.add_arrival_date(cleaning.fix_children(bookings))
    names = {name: bookings[name].astype("Int64").astype("string") for name in ("agent", "company")}
    return bookings.assign(**names)


def abstracts() -> pd.DataFrame:
    return pd.read_csv(real_table("medical_abstracts.csv"))


def breast_cancer() -> pd.DataFrame:
    """Return scikit-learn's sample; malignant, the class that matters, is 1."""
    patients = load_breast_cancer(as_frame=True).frame
    return patients.assign(malignant=1 - patients.pop("target"))


HOTEL = {
    "label": "is_canceled",
    "metric": "roc_auc",
    "read": hotel,
    "date": "arrival_date",
    "types": {"agent": "category", "company": "category"},
}
DATA = {
    "hotel_random": DataSet("hotel, random split (stratified 80/20)", split={"kind": "random", "test": 0.2}, **HOTEL),
    "hotel_time": DataSet(
        "hotel, time split (latest 20 % of arrivals)",
        split={"kind": "time", "by": "arrival_date", "test": 0.2},
        **HOTEL,
    ),
    "abstracts": DataSet(
        "medical abstracts (80/20, equal texts on one side)",
        label="condition_label",
        metric="f1_macro",
        read=abstracts,
        split={"kind": "random", "test": 0.2, "duplicates": "together"},
        positive=None,
        text="medical_abstract",
    ),
    "breast_cancer": DataSet(
        "breast cancer (70/30, as S0 cut it)",
        label="malignant",
        metric="f1",
        read=breast_cancer,
        split={"kind": "random", "test": 0.3, "stratify": False},
    ),
}


def cut(data: DataSet, table: pd.DataFrame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of training rows, in an order that the seed draws, and of test rows."""
    schema, _ = infer_schema(table, target=data.label, positive=data.positive, types=data.types)
    result = split_rows(table, to_labels(table[data.label], schema), schema, SplitPart(**data.split, seed=seed))
    drawn = data.split["kind"] == "random" and "duplicates" not in data.split
    return (result.train if drawn else np.random.default_rng(seed).permutation(result.train)), result.test


def make_task(name: str, seed: int, folder: Path) -> Path:
    """Write the task's folder if it is not there; return it."""
    place = folder / f"{name}-{seed}"
    if (place / "task.json").is_file():
        return place
    data = DATA[name]
    table = data.read().reset_index(drop=True)
    train, test = cut(data, table, seed)
    part = folder / f"{name}-{seed}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file, rows in (("table", table), ("train", table.iloc[train]), ("test", table.iloc[test])):
        write_plain(rows.reset_index(drop=True), part / f"{file}.parquet")
    about = {
        "data": name,
        "seed": seed,
        "label": data.label,
        "positive": data.positive,
        "classes": sorted(table[data.label].unique().tolist()),
        "metric": data.metric,
        "text": data.text,
        "date": data.date,
        "split": dict(data.split),
        "types": dict(data.types),
        "rows": {"train": len(train), "test": len(test), "columns": table.shape[1] - 1},
        "digest": digest(table, train, test),
    }
    (part / "task.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    part.replace(place)
    return place


def write_plain(rows: pd.DataFrame, file: Path) -> None:
    """Write Parquet without pandas' own notes, which older releases of it cannot read."""
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    texts = [
        (place, name)
        for place, name in enumerate(table.schema.names)
        if pa.types.is_large_string(table.field(name).type)
    ]
    for place, name in texts:
        table = table.set_column(place, name, table[name].cast(pa.string()))
    pyarrow.parquet.write_table(table, file)


def digest(table: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> str:
    """Return what tells this cut of this table from every other."""
    cells = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(cells.tobytes() + train.tobytes() + b"|" + test.tobytes()).hexdigest()
