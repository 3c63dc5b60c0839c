"""Tahona: `tahona run` of a project file in which nothing is set that a search could find.

The file says what the table cannot: which columns name somebody, which class matters, how the rows are cut, and why the
audit's finding is accepted. Families, search spaces and number of trials are Tahona's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from protocol import Asked, Probabilities, Task, main, size_mb

import tahona

ACCEPTED = {"deposit_type": "agreed when the booking is made"}


def train(task: Task, model: Path, asked: Asked) -> dict[str, Any]:
    folder = model.with_name("project")
    folder.mkdir()
    (folder / "tahona.toml").write_text(project_file(task, asked.seed), "utf-8")
    words = ["run", "-C", str(folder), "--json"]
    if asked.budget_cpu:
        words.append(f"--set=train.budget={{cpu_seconds={asked.budget_cpu:g}}}")
    document = json.loads(say(*words))
    say("export", "model", str(document["version"]), "-C", str(folder), "-o", str(model))
    return {
        "chosen": document["family"],
        "leaderboard": document["leaderboard"],
        "claimed": {name: found["value"] for name, found in document["test"].items()},
        "folder_mb": size_mb(folder),
    }


def say(*words: str) -> str:
    """Run a command of Tahona's and return what it prints."""
    command = [str(Path(sys.executable).with_name("tahona")), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout


def project_file(task: Task, seed: int) -> str:
    """Return the `tahona.toml` of a task."""
    table = (task.folder / "table.parquet").resolve()
    parts: dict[str, dict[str, Any]] = {
        "project": {"name": task.data, "target": task.label},
        "data": {"source": str(table), "allow_outside": True},
        "data.types": dict(task.types),
        "split": {**task.split, "seed": seed},
        "train": {"metric": task.metric},
        "audit.allow": ACCEPTED if task.data.startswith("hotel") else {},
    }
    if task.positive is not None:
        parts["project"]["positive"] = task.positive
    lines = []
    for name, keys in parts.items():
        if keys:
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
    return "\n".join(lines)


def load(task: Task, model: Path) -> Probabilities:
    (file,) = model.glob("*.tahona")
    bundle = tahona.load_bundle(file)
    names = [f"probability_{label}" for label in task.classes]
    return lambda frame: bundle.predict(frame)[names].to_numpy()


if __name__ == "__main__":
    main(train, load, ("tahona", "lightgbm", "scikit-learn", "pandas", "numpy"), budget_cpu=0.0)
