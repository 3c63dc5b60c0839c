"""How well a budget of time is kept: the hotel table, split at random, LightGBM, as a Markdown table.

    python benchmarks/budgets.py ["1 min" 60 300 ...]

A number is a budget of CPU seconds, anything else one by the clock. Counted is the whole command, from its start to its
end, with its children. A clock goes on while other processes have the processor: the load before and after stands
beside. Ends with 1 when a budget of CPU seconds is missed by more than `PROMISED`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from growth import PROJECT
from run import TAHONA, fresh_copy, measure, real_table

BUDGETS = ("60", "300", "1 min", "5 min")
PROMISED = 0.1


def project(place: Path) -> Path:
    """Return a project in which nothing is set that a search could find, on the real table where it is there."""
    folder = fresh_copy("hotel", place / "hotel")
    (folder / "tahona.toml").write_text(PROJECT, "utf-8")
    table = folder / "data" / "raw" / "hotel_bookings.parquet"
    table.parent.mkdir(parents=True, exist_ok=True)
    real = real_table("hotel_bookings.parquet")
    if real is None:
        measure((sys.executable, folder / "make_data.py", "--rows", 119_000, "--out", table), place)
    else:
        shutil.copyfile(real, table)
    return folder


def seconds(budget: str) -> float:
    """Return the seconds of a budget: `300`, `90 s`, `5 min` or `1 h`."""
    number, _, unit = budget.partition(" ")
    return float(number) * {"": 1, "s": 1, "min": 60, "h": 3600}[unit]


def spend(folder: Path, budget: str, place: Path) -> tuple[str, bool]:
    """Run the project with this budget; return its line of the table, and whether the budget was kept."""
    on_clock = " " in budget
    value = json.dumps(budget) if on_clock else f"{{ cpu_seconds = {budget} }}"
    words = ("run", "-C", folder, "--json", f"--set=train.budget={value}")
    load, begun = os.getloadavg()[0], time.perf_counter()
    cost = measure((TAHONA, *words), place)
    used = time.perf_counter() - begun if on_clock else cost.cpu
    document = json.loads(cost.stdout)
    shutil.rmtree(folder / ".tahona")
    trials = next(row["trials"] for row in document["leaderboard"] if row["model"] == "lightgbm")
    ratio = used / seconds(budget)
    train = next(step for step in document["steps"] if step["id"] == "train@lightgbm")
    search = train["seconds" if on_clock else "cpu_seconds"]
    auc = document["test"]["roc_auc"]["value"]
    line = (
        f"| {budget}{'' if on_clock else ' s CPU'} | {used:.1f} | {ratio:.2f} | {search:.1f} | {trials} | {auc:.4f} | "
        f"{load:.1f} to {os.getloadavg()[0]:.1f} |"
    )
    return line, on_clock or abs(ratio - 1) <= PROMISED


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("budgets", nargs="*", default=BUDGETS, help="CPU seconds, or a time by the clock")
    lines, kept = [], True
    with tempfile.TemporaryDirectory(prefix="tahona_budgets_") as place:
        folder = project(Path(place))
        for budget in parser.parse_args().budgets:
            line, good = spend(folder, budget, Path(place))
            print(line, file=sys.stderr, flush=True)
            lines.append(line)
            kept = kept and good
    print("| asked | used, s | used / asked | of it the search, s | trials | ROC AUC on the test rows | load |")
    print("|---|---:|---:|---:|---:|---:|---|")
    print("\n".join(lines))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
