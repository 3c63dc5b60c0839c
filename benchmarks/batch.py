"""What predicting a Parquet file costs: `tahona predict`, and MLflow's pyfunc on the same rows, as a Markdown table.

    python benchmarks/batch.py [--rows 1200000] [--models lightgbm,linear] [--rounds 3] [--write]

The file holds the hotel table's 28 columns, its rows again and again. Whole processes are measured, in turn, in CPU
seconds as the operating system counts them. *Feature work* is what stands between the file and the model: here reading
and encoding in a process that has imported everything, there the same with pandas and ColumnTransformer. Ends with 1
when a promise is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq
from peers.data import NoDataError
from peers.environments import python_of
from run import HERE, README, TAHONA, Cost, Row, machine, measure, spread
from serving.models import FAMILIES, LABEL, make_pipeline, make_project, make_rows, make_table
from serving.systems import REQUIREMENTS

MARKS = ("<!-- batch -->", "<!-- end of batch -->")
PEER = HERE / "batch" / "by_pyfunc.py"
OURS = HERE / "batch" / "by_tahona.py"
WHOLE = {"lightgbm": 2.5, "linear": 10.0}
FEATURES = 4.0
PEAK = 400.0


def main() -> None:
    asked = parse()
    folder = asked.keep / "serving"
    try:
        table = make_table(folder)
    except NoDataError as missing:
        sys.exit(f"not measured: {missing}")
    make_rows(table)
    python = python_of("mlflow", asked.keep / "environments" / "serving", REQUIREMENTS)
    few, many = (repeated(table, rows) for rows in (asked.rows // 4, asked.rows))
    rows, promises = [], []
    for kind in asked.models:
        model = make_pipeline(python, kind, table, folder / f"mlflow-{kind}", mlflow=True)
        project = make_project(kind, table)
        one, other = measured(kind, asked, few, many, project, python, model)
        rows += one
        promises += other
    text = "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}. {machine()}. {asked.rows:,} rows, one thread; {asked.rounds} rounds.",
            "",
            "| | Tahona | MLflow's pyfunc |",
            "|---|---|---|",
            *rows,
            "",
            "| promise | measured | |",
            "|---|---|---|",
            *(row.markdown() for row in promises),
        ]
    )
    print(text)
    if asked.write:
        before, rest = README.read_text("utf-8").split(MARKS[0])
        README.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}", "utf-8")
    sys.exit(0 if all(row.kept for row in promises) else 1)


def measured(
    kind: str, asked: argparse.Namespace, few: Path, many: Path, project: Path, python: Path, model: Path
) -> tuple[list[str], list[Row]]:
    """Run everything in turn; return the table's lines and what is promised."""
    here = many.parent
    runs = {
        "ours": (TAHONA, "predict", many, "-o", here / "ours.parquet", "-C", project, "--json"),
        "theirs": (python, PEER, model, many, here / "theirs.parquet"),
        "our features": (sys.executable, OURS, project, many),
        "their features": (python, PEER, model, many),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(asked.rounds):
        for name, command in runs.items():
            print(f"{kind}: {name}", file=sys.stderr, flush=True)
            costs[name].append(measure(command, here))
    small = measure((TAHONA, "predict", few, "-o", here / "few.parquet", "-C", project, "--json"), here)
    cpu = {name: [cost.cpu for cost in each] for name, each in costs.items() if "features" not in name}
    work = {name: [float(cost.stdout) for cost in each] for name, each in costs.items() if "features" in name}
    peaks = {name: [cost.peak for cost in costs[name]] for name in ("ours", "theirs")}
    million = asked.rows / 1e6
    per = {name: [one / million for one in each] for name, each in (cpu | work).items()}
    lines = [
        f"| {kind}: whole job, CPU s per million rows | {spread(per['ours'])} | {spread(per['theirs'])} |",
        (
            f"| {kind}: feature work, CPU s per million rows | {spread(per['our features'])} | "
            f"{spread(per['their features'])} |"
        ),
        f"| {kind}: peak memory, MB | {spread(peaks['ours'], 0)} | {spread(peaks['theirs'], 0)} |",
        f"| {kind}: peak memory with a quarter of the rows, MB | {small.peak:.0f} | |",
    ]
    features = median(work["their features"]) / median(work["our features"])
    whole = median(cpu["theirs"]) / median(cpu["ours"])
    peak, grown = max(peaks["ours"]), max(peaks["ours"]) / small.peak
    promises = [
        Row(f"{kind}: feature work cheaper by", f"{features:.2f}×", f"≥ {FEATURES:g}", features >= FEATURES),
        Row(f"{kind}: whole job cheaper by", f"{whole:.2f}×", f"≥ {WHOLE[kind]:g}", whole >= WHOLE[kind]),
        Row(f"{kind}: peak memory, MB", f"{peak:.0f}", f"≤ {PEAK:g}", peak <= PEAK),
        Row(f"{kind}: peak memory over that of a quarter of the rows", f"{grown:.2f}", "≤ 1.1", grown <= 1.1),
    ]
    return lines, promises


def repeated(table: Path, rows: int) -> Path:
    """Return a file of so many rows, made of the table's if it is not there."""
    file = table.parent / f"rows-{rows}.parquet"
    if not file.is_file():
        whole = pq.read_table(table).drop([LABEL])
        part = file.with_suffix(".part")
        with pq.ParquetWriter(part, whole.schema, compression="zstd") as writer:
            for start in range(0, rows, len(whole)):
                writer.write_table(whole.slice(0, min(len(whole), rows - start)))
        part.replace(file)
    return file


def parse() -> argparse.Namespace:
    cache = os.environ.get("TAHONA_BENCH_CACHE") or Path.home() / ".cache" / "tahona-bench"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(FAMILIES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, default=Path(cache), help="the folder of table, environments and files")
    parser.add_argument("--write", action="store_true", help="also replace the table in README.md")
    asked = parser.parse_args()
    asked.keep = asked.keep.resolve()
    return asked


if __name__ == "__main__":
    main()
