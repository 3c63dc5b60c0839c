"""The hotel table of 28 columns, the projects trained on it, and the rows that are asked about."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from peers.data import real_table, write_plain

LABEL = "is_canceled"
DROPPED = ("reservation_status", "reservation_status_date", "assigned_room_type")
"""The first two are the label, written down afterwards; the room is assigned on arrival."""
ROWS = 1_000
"""Rows that clients ask about, in turn."""
SOURCE = Path(__file__).resolve().parents[2] / "src" / "tahona"
PROJECT = """[project]
name = "hotel"
target = "{label}"
positive = 1
[data]
source = "hotel.parquet"
[data.types]
agent = "category"
company = "category"
[split]
folds = 3
[train]
models = ["{family}"]
calibrate = "none"
[train.search.{family}]
{search}
[audit]
allow = {{ deposit_type = "agreed when the booking is made" }}
"""
FAMILIES = {
    "lightgbm": ("lightgbm", "n_estimators = [200]\nnum_leaves = [63]\nlearning_rate = [0.1]"),
    "linear": ("logistic_regression", "C = [1.0]"),
}
TAHONA = Path(sys.executable).with_name("tahona")


def make_table(folder: Path) -> Path:
    """Write the table if it is not there: agents and companies are the names that they are, nothing else is cleaned."""
    file = folder / "hotel.parquet"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        bookings = pd.read_parquet(real_table("hotel_bookings.parquet")).drop(columns=list(DROPPED))
        names = {name: bookings[name].astype("Int64").astype("string") for name in ("agent", "company")}
        bookings = bookings.assign(**names)
        bookings.to_csv(file.with_suffix(".csv"), index=False)
        write_plain(bookings, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
    return file


def make_rows(table: Path) -> Path:
    """Write the rows that are asked about beside the table, as JSON, null where nothing is known; drawn by a seed.

    The first has no null: what a pipeline answers for it does not hang on how its server spells null.
    """
    file = table.with_name("rows.json")
    if not file.is_file():
        drawn = pd.read_parquet(table).drop(columns=[LABEL]).sample(ROWS, random_state=42)
        drawn = drawn.assign(nulls=drawn.isna().sum(axis=1)).sort_values("nulls", kind="stable").drop(columns="nulls")
        file.write_text(drawn.to_json(orient="records"), "utf-8")
    return file


def read_rows(table: Path) -> list[dict[str, Any]]:
    return json.loads(make_rows(table).read_text("utf-8"))


def make_project(kind: str, table: Path) -> Path:
    """Return a project whose champion is one model of this kind, trained by Tahona as it is now."""
    place = table.parent / f"project-{kind}-{digest_of_tahona()[:12]}"
    if (place / "trained").is_file():
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    os.link(table, place / "hotel.parquet")
    family, search = FAMILIES[kind]
    (place / "tahona.toml").write_text(PROJECT.format(label=LABEL, family=family, search=search), "utf-8")
    print(f"training {kind}", file=sys.stderr, flush=True)
    subprocess.run([TAHONA, "run", "-C", place, "--json"], check=True, stdout=subprocess.DEVNULL)
    (place / "trained").touch()
    return place


def digest_of_tahona() -> str:
    total = hashlib.sha256()
    for file in sorted(SOURCE.rglob("*.py")):
        total.update(file.relative_to(SOURCE).as_posix().encode("utf-8"))
        total.update(file.read_bytes())
    return total.hexdigest()


def make_pipeline(python: Path, kind: str, table: Path, out: Path, *, mlflow: bool) -> Path:
    """Return the folder of the scikit-learn pipeline that a peer's own environment has fitted."""
    if not (out / "expected.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        script = Path(__file__).with_name("pipeline.py")
        words = [
            python,
            script,
            table.with_suffix(".csv"),
            make_rows(table),
            kind,
            out,
            *(["--mlflow"] if mlflow else []),
        ]
        print(f"fitting {out.name}", file=sys.stderr, flush=True)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return out
