"""Small projects that tests run for real, and what a run left in a project's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

QUICK = """\
[project]
name = "quick"
target = "label"
positive = "yes"

[data]
source = "table.csv"

[split]
folds = 3

[train]
metric = "roc_auc"
models = ["tree", "logistic_regression"]

[train.search.tree]
max_depth = [2, 3]

[train.search.logistic_regression]
C = [0.1, 1.0]
"""


class Answer(NamedTuple):
    """What a command said."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        return json.loads(self.stdout)


Command = Callable[..., Answer]
"""`command("run", "-C", folder)` runs it and returns what it said."""


def quick_table(rows: int = 240, seed: int = 7) -> pd.DataFrame:
    """Return two numbers, a colour and a label that depends on all three."""
    rng = np.random.default_rng(seed)
    size, weight = rng.normal(size=(2, rows)).round(3)
    colour = rng.choice(["red", "green", "blue"], rows)
    score = size + 0.8 * weight + 0.7 * (colour == "red") + rng.normal(scale=0.7, size=rows)
    label = np.where(score > 0.2, "yes", "no")
    return pd.DataFrame({"size": size, "weight": weight, "colour": colour, "label": label})


def write_project(folder: Path, text: str = QUICK, table: pd.DataFrame | None = None, **files: str) -> Path:
    """Write `tahona.toml`, `table.csv` and modules (name → source) into the folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tahona.toml").write_text(text, "utf-8")
    (quick_table() if table is None else table).to_csv(folder / "table.csv", index=False, lineterminator="\n")
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source, "utf-8")
    return folder


def edit(folder: Path, old: str, new: str, file: str = "tahona.toml") -> None:
    """Replace one place in the project file (or another file of the project)."""
    text = (folder / file).read_text("utf-8")
    assert text.count(old) == 1, f"'{old}' stands {text.count(old)} times in {file}"
    (folder / file).write_text(text.replace(old, new), "utf-8")


def outputs(folder: Path, step: str) -> Mapping[str, str]:
    """Return the digests of a step's result files, as it last ran in this project."""
    return json.loads((folder / ".tahona" / "last" / f"{step}.json").read_text("utf-8"))["outputs"]


def output(folder: Path, step: str, name: str) -> Path:
    """Return a step's result file in the store."""
    digest = outputs(folder, step)[name]
    return folder / ".tahona" / "artifacts" / "objects" / digest[:2] / digest


def all_outputs(folder: Path) -> dict[str, str]:
    """Return every result file's digest but those that tell times: what two runs of the same thing must agree in."""
    timed = {"timing.json", "registered.json"}
    steps = sorted(path.stem for path in (folder / ".tahona" / "last").glob("*.json"))
    return {
        f"{step}/{name}": digest
        for step in steps
        if step != "report"  # it shows the times
        for name, digest in outputs(folder, step).items()
        if name not in timed
    }


def states(answer: Answer) -> dict[str, str]:
    """Return each step's state from the document of `tahona run --json`."""
    return {step["id"]: step["state"] for step in answer.document["steps"]}


def kept_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of every file in the project's artifact store."""
    store = folder / ".tahona" / "artifacts"
    found = {}
    for path in sorted(store.rglob("*")):
        if path.is_file():
            about = path.stat()
            found[path.relative_to(store).as_posix()] = (about.st_ino, about.st_mtime_ns)
    return found
