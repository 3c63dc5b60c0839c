"""`make bench`: what Tahona costs, in CPU seconds counted by the operating system, as a Markdown table.

Every figure is of whole processes, started one after the other with one thread each; a process's children count with
it. With ``--write`` the table also replaces the one in README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
README = HERE / "README.md"
MARKS = ("<!-- table -->", "<!-- end of table -->")
TAHONA = str(Path(sys.executable).with_name("tahona"))
POOLS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")
ONE_THREAD = {f"{pool}_NUM_THREADS": "1" for pool in POOLS} | {"VECLIB_MAXIMUM_THREADS": "1"}
LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "lightgbm", "optuna", "matplotlib")

RERUN = """
import json, sys
from tahona.cli import run
code = run(sys.argv[1:])
print(json.dumps(list(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
"""Runs a command of Tahona's and says on standard error which modules it has imported by then, in their order."""

IMPORTS = """
import gc, json, sys
from contextlib import suppress
from importlib import import_module
gc.set_threshold(10_000)
for name in json.load(open(sys.argv[1])):
    with suppress(ImportError):
        import_module(name)
"""
"""Imports the modules named in a file, and nothing else."""


@dataclass(frozen=True)
class Cost:
    """What a process and its children used, and what it said."""

    cpu: float
    peak: float
    """Megabytes."""
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Row:
    """One line of the table; ``bound`` is what the project promises, None where it promises nothing."""

    what: str
    value: str
    bound: str = ""
    kept: bool = True
    """Looked at where there is a bound."""

    def markdown(self) -> str:
        promise = f"{self.bound} {'✓' if self.kept else '✗ missed'}" if self.bound else ""
        return f"| {self.what} | {self.value} | {promise} |"


def compiled() -> dict[str, str]:
    """Return the environment in which Python keeps modules compiled, as pip leaves those of an installed package."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(command: Sequence[object], folder: Path) -> Cost:
    """Run a command to its end and return what the operating system says it used; stop everything when it fails."""
    with tempfile.TemporaryFile(dir=folder) as out, tempfile.TemporaryFile(dir=folder) as err:
        process = subprocess.Popen(
            [str(word) for word in command],
            env={**compiled(), **ONE_THREAD, "CI": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{texts[1] or texts[0]}")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / unit, *texts)


def run_bench(pairs: int, folder: Path) -> Iterator[Row]:
    """Measure one thing after the other."""
    yield from compare_with_plain_script(pairs, folder)
    yield from rerun(pairs, folder)
    yield help_page(pairs, folder)
    yield from hotel(folder)


def compare_with_plain_script(pairs: int, folder: Path) -> Iterator[Row]:
    """Take the breast-cancer example from nothing to its report, in turn with the script that only searches."""
    ours, plain = [], []
    for pair in range(pairs):
        project = fresh_copy("breast_cancer", folder / f"pair{pair}")
        cost = measure((TAHONA, "run", "-C", project, "--json"), folder)
        assert json.loads(cost.stdout)["status"] == "done"
        ours.append(cost)
        plain.append(measure((sys.executable, HERE / "plain_script.py"), folder))
    ratios = [one.cpu / other.cpu for one, other in zip(ours, plain, strict=True)]
    yield Row("breast_cancer: `tahona run` from nothing, CPU s", spread([cost.cpu for cost in ours]))
    yield Row("`plain_script.py`, the same four grid searches, CPU s", spread([cost.cpu for cost in plain]))
    yield Row("the first over the second, pair by pair", spread(ratios), "≤ 2.5", max(ratios) <= 2.5)
    yield Row("breast_cancer: peak memory, MB", spread([cost.peak for cost in ours], 0))


def rerun(pairs: int, folder: Path) -> Iterator[Row]:
    """Run what has been run: whole processes, and what is left when their imports are taken off."""
    project = folder / "pair0"
    words = ("run", "-C", project, "--json")
    first = measure((sys.executable, "-c", RERUN, *words), folder)
    assert json.loads(first.stdout)["nothing_to_do"], "Tahona's own code has changed meanwhile"
    names = folder / "modules.json"
    names.write_text(first.stderr.splitlines()[-1], "utf-8")
    whole, imports = [], []
    for _ in range(pairs):
        cost = measure((TAHONA, *words), folder)
        assert json.loads(cost.stdout)["nothing_to_do"]
        whole.append(cost.cpu)
        imports.append(measure((sys.executable, "-c", IMPORTS, names), folder).cpu)
    after = [one - other for one, other in zip(whole, imports, strict=True)]
    yield Row("`tahona run` again, nothing to do, CPU s", spread(whole))
    yield Row("the same without the import of its modules, CPU s", spread(after), "≤ 1", max(after) <= 1)


def help_page(pairs: int, folder: Path) -> Row:
    costs = [measure((TAHONA, "--help"), folder).cpu for _ in range(pairs)]
    return Row("`tahona --help`, CPU s", spread(costs), "≤ 0.5", max(costs) <= 0.5)


def hotel(folder: Path) -> Iterator[Row]:
    """Run the hotel example once with each split, with LightGBM alone, on the real table or on the generated one."""
    if not (ROOT / "examples" / "hotel" / "tahona.toml").is_file():
        return
    real = real_table("hotel_bookings.parquet")
    for split, file, least in (("time", "tahona.toml", 0.893), ("random", "random.toml", 0.957)):
        project = fresh_copy("hotel", folder / f"hotel_{split}")
        table = project / "data" / "raw" / "hotel_bookings.parquet"
        table.parent.mkdir(parents=True, exist_ok=True)
        if real is None:
            measure((sys.executable, project / "make_data.py", "--out", table), folder)
        else:
            shutil.copyfile(real, table)
        words = ("run", "-C", project / file, "--json", '--set=train.models=["lightgbm"]')
        cost = measure((TAHONA, *words), folder)
        document = json.loads(cost.stdout)
        trials = next(row["trials"] for row in document["leaderboard"] if row["model"] == "lightgbm")
        said = f"hotel, {'real' if real else 'generated'} table, {split} split, LightGBM, {trials} trials"
        yield Row(f"{said}: `tahona run`, CPU s", f"{cost.cpu:.1f}")
        yield Row(f"{said}: peak memory, MB", f"{cost.peak:.0f}")
        found = document["test"]["roc_auc"]
        bound = f"≥ {least}" if real else ""
        yield Row(f"{said}: ROC AUC on the test rows [95 %]", interval(found), bound, found["value"] >= least)


def real_table(name: str) -> Path | None:
    place = os.environ.get("TAHONA_REAL_DATA")
    table = (Path(place) if place else ROOT.parent / "shared" / "data") / name
    return table.resolve() if table.is_file() else None


def text_encoding(folder: Path) -> str:
    """Return what the benchmark of text encodings prints, nothing where its table is missing."""
    table = real_table("medical_abstracts.csv")
    if table is None:
        return ""
    said = measure((sys.executable, HERE / "text_encoding.py", table), folder).stdout.rstrip()
    return f"`text_encoding.py`:\n\n```text\n{said}\n```"


def fresh_copy(example: str, place: Path) -> Path:
    """Copy an example without anything that was run in it."""
    leave = shutil.ignore_patterns(".tahona", "reports", "__pycache__")
    return Path(shutil.copytree(ROOT / "examples" / example, place, ignore=leave))


def spread(values: Sequence[float], digits: int = 2) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def interval(value: dict[str, Any]) -> str:
    return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"


def machine() -> str:
    """Return the processor, the cores that may be used, the operating system and Python, in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    return f"{processor()}, {cores} cores, {system}"


def processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text("utf-8").splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def report(rows: Sequence[Row], pairs: int, text: str) -> str:
    """Return the whole Markdown that is printed."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("tahona", *LIBRARIES))
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}. {machine()}.",
        f"{versions}. One thread per process; median (least to greatest) of {pairs}.",
        "",
        "| what | measured | promised |",
        "|---|---|---|",
        *(row.markdown() for row in rows),
    ]
    return "\n".join([*lines, "", text] if text else lines) + "\n"


def write_readme(table: str) -> None:
    before, rest = README.read_text("utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    README.write_text(f"{before}{MARKS[0]}\n{table}{MARKS[1]}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="how often each short thing is measured (at least 3)")
    parser.add_argument("--write", action="store_true", help="also replace the table in README.md")
    asked = parser.parse_args()
    pairs = max(3, asked.pairs)
    rows = []
    with tempfile.TemporaryDirectory(prefix="tahona_bench_") as place:
        for row in run_bench(pairs, Path(place)):
            print(f"{row.what}: {row.value}", file=sys.stderr, flush=True)
            rows.append(row)
        table = report(rows, pairs, text_encoding(Path(place)))
    print(table, end="")
    if asked.write:
        write_readme(table)
    sys.exit(0 if all(row.kept or not row.bound for row in rows) else 1)


if __name__ == "__main__":
    main()
