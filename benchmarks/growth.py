"""How the cost of `tahona run` grows with the rows: CPU seconds and peak memory of default runs, as Markdown tables.

    python benchmarks/growth.py [--rows 10000,30000,119000,1200000]

The rows are those of the hotel table: some of them, or all of them again and again with noise in their numbers. Where
the real table is missing, they come from the generator of the hotel example. The project file sets nothing that a
search could find. One run after the other, each in a process of its own with one thread. Ends with 1 when CPU grows
faster than rows to the power of `CPU_POWER`, or a run takes more memory than `MEMORY_RATIO` times its largest table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from run import ROOT, TAHONA, measure, real_table

SIZES = (10_000, 30_000, 119_000, 1_200_000)
CPU_POWER = 1.05
MEMORY_RATIO = 4.0
"""Promised of the largest table: beside a small one, the libraries alone are larger."""
NOISY = {"lead_time": 5.0, "adr": 2.0, "days_in_waiting_list": 1.0}
"""Columns of repeated rows that get normal noise of this width; whole numbers stay whole, nothing becomes negative."""
HOTEL = ROOT / "examples" / "hotel"
PROJECT = """[project]
name = "growth"
target = "is_canceled"
positive = 1
[data]
source = "data/raw/hotel_bookings.parquet"
drop = ["reservation_status", "reservation_status_date", "assigned_room_type"]
clean = ["hotel.cleaning:fix_children", "hotel.cleaning:add_arrival_date"]
[data.types]
agent = "category"
company = "category"
[train]
models = ["lightgbm"]
[audit]
allow = { deposit_type = "agreed when the booking is made" }
"""


@dataclass(frozen=True)
class Grown:
    """What one run took."""

    rows: int
    cpu: float
    peak: float
    """Megabytes, the libraries included."""
    table: float
    """Megabytes of the raw table in memory, as the run held it."""
    steps: Mapping[str, float]
    """CPU seconds of each step."""


def table_of(rows: int, real: pd.DataFrame) -> pd.DataFrame:
    """Return a table of so many rows, the same at every call."""
    draw = np.random.default_rng(0)
    if rows <= len(real):
        return real.iloc[np.sort(draw.permutation(len(real))[:rows])].reset_index(drop=True)
    whole, rest = divmod(rows, len(real))
    places = np.concatenate([np.tile(np.arange(len(real)), whole), draw.permutation(len(real))[:rest]])
    return with_noise(real.iloc[places].reset_index(drop=True), len(real), draw)


def with_noise(table: pd.DataFrame, first: int, draw: np.random.Generator) -> pd.DataFrame:
    """Return the table with noise in all but its first rows, where a number is not zero."""
    noisy = {}
    for name, width in NOISY.items():
        values = table[name].to_numpy()
        moved = np.maximum(values + draw.normal(0.0, width, len(values)), 0.0)
        moved = moved.round(0 if np.issubdtype(values.dtype, np.integer) else 2).astype(values.dtype)
        noisy[name] = np.where((np.arange(len(values)) < first) | (values <= 0), values, moved)
    return table.assign(**noisy)


def grow(rows: int, real: pd.DataFrame | None, place: Path) -> Grown:
    """Run the project on a table of so many rows."""
    folder = place / str(rows)
    shutil.copytree(HOTEL / "hotel", folder / "hotel", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tahona.toml").write_text(PROJECT, "utf-8")
    source = folder / "data" / "raw" / "hotel_bookings.parquet"
    source.parent.mkdir(parents=True)
    if real is None:
        measure((sys.executable, HOTEL / "make_data.py", "--rows", rows, "--out", source), place)
    else:
        table_of(rows, real).to_parquet(source, index=False)
    cost = measure((TAHONA, "run", "-C", folder, "--json"), place)
    steps = {step["id"]: step["cpu_seconds"] for step in json.loads(cost.stdout)["steps"]}
    megabytes = pd.read_parquet(source).memory_usage(deep=True).sum() / 2**20
    shutil.rmtree(folder)
    return Grown(rows, cost.cpu, cost.peak, float(megabytes), steps)


def exponent(rows: Sequence[float], cost: Sequence[float]) -> float:
    """Return the least-squares slope of log cost on log rows."""
    return float(np.polyfit(np.log(rows), np.log(cost), 1)[0])


def between(one: Grown, other: Grown, step: str = "") -> str:
    """Return the exponent of CPU from one run to the other; nothing where too little was spent to tell."""
    costs = [run.steps[step] if step else run.cpu for run in (one, other)]
    return f"{exponent((one.rows, other.rows), costs):.2f}" if min(costs) >= 0.1 else ""


def costs(runs: Sequence[Grown]) -> str:
    """Return the table of the runs."""
    lines = [
        "| rows | CPU s | exponent since the row above | peak memory, MB | table in memory, MB | peak / table |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for place, run in enumerate(runs):
        power = between(runs[place - 1], run) if place else ""
        ratio = run.peak / run.table
        lines.append(f"| {run.rows:,} | {run.cpu:.1f} | {power} | {run.peak:.0f} | {run.table:.0f} | {ratio:.1f} |")
    return "\n".join(lines)


def steps(runs: Sequence[Grown]) -> str:
    """Return the table of the steps, with the exponent between the two largest runs."""
    lines = ["| CPU s of the step | " + " | ".join(f"{run.rows:,}" for run in runs) + " | exponent of the last two |"]
    lines.append("|---|" + "---:|" * (len(runs) + 1))
    for step in runs[-1].steps:
        cells = [f"{run.steps[step]:.1f}" for run in runs]
        lines.append(f"| {step} | {' | '.join(cells)} | {between(runs[-2], runs[-1], step)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default=",".join(map(str, SIZES)), help="sizes of the tables, two at least")
    sizes = sorted({int(size) for size in parser.parse_args().rows.split(",")})
    if len(sizes) < 2:
        parser.error("--rows needs two sizes at least")
    file = real_table("hotel_bookings.parquet")
    real = None if file is None else pd.read_parquet(file)
    runs = []
    with tempfile.TemporaryDirectory(prefix="tahona_growth_") as place:
        for rows in sizes:
            runs.append(grow(rows, real, Path(place)))
            print(f"{rows:,} rows: {runs[-1].cpu:.1f} s CPU, {runs[-1].peak:.0f} MB", file=sys.stderr, flush=True)
    power = exponent([run.rows for run in runs], [run.cpu for run in runs])
    ratio = runs[-1].peak / runs[-1].table
    print(f"{'Generated' if real is None else 'Real'} rows.\n\n{costs(runs)}\n\n{steps(runs)}\n")
    print(f"CPU grows with rows^{power:.2f} over all; promised ≤ {CPU_POWER}.")
    print(f"Peak memory at {runs[-1].rows:,} rows is {ratio:.1f} times the table; promised ≤ {MEMORY_RATIO:g}.")
    kept = power <= CPU_POWER and ratio <= MEMORY_RATIO
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
