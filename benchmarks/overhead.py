"""What orchestration costs: whole-process CPU of nine steps that do next to nothing, and of a run with nothing to do.

    python benchmarks/overhead.py [--rounds 3] [--write]

Tahona's nine steps are its road for a table of 60 rows with the dummy alone. DVC's are nine stages that copy a file,
the others' nine functions that add one (`nine/`), begun as their users do. Each program runs in an environment of its
own, without a server, in turn. Ends with 1 when a run of Tahona with nothing to do costs more than the least of the
others.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from peers.environments import python_of
from run import HERE, README, TAHONA, machine, measure

from tahona.lifecycle.environments import environment
from tahona.orchestrators.outside import REQUIREMENTS

MARKS = ("<!-- overhead -->", "<!-- end of overhead -->")
NINE = HERE / "nine"
PROJECT = """[project]
name = "nine"
target = "label"
[data]
source = "table.csv"
[split]
folds = 2
[train]
models = ["dummy"]
"""
QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "METAFLOW_USER": "nine",
    "ZENML_ANALYTICS_OPT_IN": "false",
    "ZENML_LOGGING_VERBOSITY": "ERROR",
}


def tahona(folder: Path) -> Callable[[bool], float]:
    rows = "\n".join(f"{place % 7},{place % 5},{'yes' if place % 3 else 'no'}" for place in range(60))
    (folder / "table.csv").write_text(f"size,weight,label\n{rows}\n", "utf-8")
    (folder / "tahona.toml").write_text(PROJECT, "utf-8")

    def run(fresh: bool) -> float:
        if fresh:
            shutil.rmtree(folder / ".tahona", ignore_errors=True)
        return measure((TAHONA, "run", "-C", folder, "--json"), folder).cpu

    return run


def dvc(folder: Path) -> Callable[[bool], float]:
    python = environment("dvc", REQUIREMENTS / "dvc.txt")
    stages = "".join(
        f"  s{place}:\n    cmd: cp data{place} data{place + 1}\n    deps: [data{place}]\n    outs: [data{place + 1}]\n"
        for place in range(9)
    )
    (folder / "dvc.yaml").write_text(f"stages:\n{stages}", "utf-8")
    (folder / "data0").write_text("0\n", "utf-8")
    command = (python, "-m", "dvc", "--cd", folder)
    measure((*command, "init", "--no-scm", "--quiet"), folder)

    def run(fresh: bool) -> float:
        if fresh:
            (folder / "dvc.lock").unlink(missing_ok=True)
            shutil.rmtree(folder / ".dvc" / "cache", ignore_errors=True)
        return measure((*command, "repro", "--quiet"), folder).cpu

    return run


def kedro(python: Path) -> Callable[[Path], Callable[[bool], float]]:
    def make(folder: Path) -> Callable[[bool], float]:
        about = {"project_name": "nine", "repo_name": "nine", "python_package": "nine", "output_dir": str(folder)}
        (folder / "new.yml").write_text(json.dumps(about), "utf-8")
        words = ("--tools", "none", "--example", "no", "--telemetry", "no")
        measure((python, "-m", "kedro", "new", "-c", folder / "new.yml", *words), folder)
        project = folder / "nine"
        shutil.copyfile(NINE / "kedro_registry.py", project / "src" / "nine" / "pipeline_registry.py")

        def run(fresh: bool) -> float:
            if not fresh:
                return float("nan")
            return measure(("env", "-C", project, python, "-m", "kedro", "run"), folder).cpu

        return run

    return make


def script(name: str, python: Path, *words: str) -> Callable[[Path], Callable[[bool], float]]:
    def make(folder: Path) -> Callable[[bool], float]:
        def run(fresh: bool) -> float:
            if not fresh:
                return float("nan")  # it does its steps again
            os.environ.update(
                {
                    f"{name.upper()}_HOME": str(folder),
                    "ZENML_CONFIG_PATH": str(folder),
                    "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder),
                }
            )
            return measure((python, NINE / f"{name}_nine.py", *words), folder).cpu

        return run

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="also replace the table in README.md")
    asked = parser.parse_args()
    os.environ.update(QUIET)
    cache = Path(os.environ.get("TAHONA_BENCH_CACHE") or Path.home() / ".cache" / "tahona-bench") / "environments"
    programs = {
        "Tahona": tahona,
        "DVC": dvc,
        "Kedro": kedro(python_of("kedro", cache)),
        "Metaflow": script("metaflow", environment("metaflow", REQUIREMENTS / "metaflow.txt"), "run"),
        "Prefect": script("prefect", environment("prefect", REQUIREMENTS / "prefect.txt")),
        "ZenML": script("zenml", python_of("zenml", cache)),
    }
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in programs}
    with tempfile.TemporaryDirectory() as text:
        runs = {}
        for name, make in programs.items():
            folder = Path(text) / name
            folder.mkdir()
            runs[name] = make(folder)
            runs[name](True)  # caches, first imports
        for _ in range(asked.rounds):
            for name, run in runs.items():
                nine, again = found[name]
                nine.append(run(True))
                again.append(run(False))
    least = min(
        median(values) for name, pair in found.items() if name != "Tahona" for values in pair if values[0] == values[0]
    )
    ours = median(found["Tahona"][1])
    lines = ["| | nine steps, CPU s | nothing to do, CPU s |", "|---|---|---|"]
    lines += [f"| {name} | {told(nine)} | {told(again)} |" for name, (nine, again) in found.items()]
    kept = "✓" if ours < least else "✗ missed"
    lines += [
        "",
        f"Tahona with nothing to do {ours:.2f}, the least of the others {least:.2f}: {ours / least:.2f}× {kept}",
    ]
    table = (
        f"{datetime.now(UTC):%Y-%m-%d}. {machine()}. Median of {asked.rounds}, in turn.\n\n" + "\n".join(lines) + "\n"
    )
    print(table, end="")
    if asked.write:
        before, rest = README.read_text("utf-8").split(MARKS[0])
        README.write_text(f"{before}{MARKS[0]}\n{table}{MARKS[1]}{rest.split(MARKS[1])[1]}", "utf-8")
    sys.exit(ours >= least)


def told(values: list[float]) -> str:
    return (
        "does them again"
        if values[0] != values[0]
        else f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
    )


if __name__ == "__main__":
    main()
