"""What every peer does, whatever its interpreter: train and save; then load, predict the test rows and be timed.

A peer is a file with two functions and one call of ``main``. It is started twice, so that training and prediction are
measured as processes of their own::

    python flaml_.py train TASK OUT --seed 42 --budget 121
    python flaml_.py predict TASK OUT --seed 42 --budget 121

TASK holds ``task.json``, ``train.parquet``, ``test.parquet`` and, for Tahona, ``table.parquet`` (see data.py). What is
kept of a model goes to OUT/model. This file runs in every peer's environment: pandas and numpy, nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CALLS = 50
MANY = 10_000


@dataclass(frozen=True)
class Task:
    """A table cut into training and test rows."""

    folder: Path
    data: str
    label: str
    positive: int | None
    """None with more than two classes."""
    classes: tuple[int, ...]
    """In the order of the columns of every prediction."""
    metric: str
    """What a search maximises: roc_auc, f1 or f1_macro."""
    text: str | None
    """The column of texts, where there is one."""
    date: str | None
    split: Mapping[str, Any]
    types: Mapping[str, str]

    def train(self) -> pd.DataFrame:
        return self._read("train")

    def test(self) -> pd.DataFrame:
        """Return the test rows without their labels."""
        return self._read("test").drop(columns=[self.label])

    def labels(self) -> np.ndarray:
        return self._read("test")[self.label].to_numpy()

    def _read(self, part: str) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415  Tahona trains in a process of its own: this one stays small

        return pd.read_parquet(self.folder / f"{part}.parquet")


def read_task(folder: Path) -> Task:
    about = json.loads((folder / "task.json").read_text("utf-8"))
    names = ("data", "label", "positive", "metric", "text", "date", "split", "types")
    return Task(folder=folder, classes=tuple(about["classes"]), **{name: about[name] for name in names})


Asked = argparse.Namespace
Train = Callable[[Task, Path, Asked], Mapping[str, Any]]
"""Trains on ``task.train()``, saves below the folder, returns facts for the table (at least ``chosen``)."""
Probabilities = Callable[["pd.DataFrame"], "np.ndarray"]
Load = Callable[[Task, Path], Probabilities]
"""Reads what was saved; returns frame → (n, k) probabilities in the order of ``task.classes``."""


def main(train: Train, load: Load, packages: Sequence[str], **options: float | str) -> None:
    """Do what the command line asks; ``options`` are the peer's own, name → default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=("train", "predict"))
    parser.add_argument("task", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    for name, default in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    asked = parser.parse_args()
    task, model = read_task(asked.task), asked.out / "model"
    if asked.phase == "train":
        model.mkdir(parents=True)
        facts = dict(train(task, model, asked))
        facts["versions"] = {name: version(name) for name in packages}
    else:
        facts = predict(task, load(task, model), asked.out)
        facts["disk_mb"] = size_mb(model)
    (asked.out / f"{asked.phase}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def predict(task: Task, probabilities: Probabilities, out: Path) -> dict[str, float]:
    """Write ``predictions.npy`` for the test rows; return the time of one row (median call) and of 10,000 rows."""
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    test = task.test()
    np.save(out / "predictions.npy", np.asarray(probabilities(test), dtype=np.float64))
    many = pd.concat([test] * (MANY // len(test) + 1), ignore_index=True)[:MANY]
    rows = [test.iloc[[place % len(test)]] for place in range(CALLS + 1)]
    one = [timed(lambda row=row: probabilities(row)) for row in rows][1:]
    whole = [timed(lambda: probabilities(many)) for _ in range(3)]
    return {
        "one_row_ms": median(wall for wall, _ in one),
        "one_row_cpu_ms": median(cpu for _, cpu in one),
        "many_rows_ms": median(wall for wall, _ in whole),
        "many_rows_cpu_ms": median(cpu for _, cpu in whole),
    }


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU milliseconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


def size_mb(place: Path) -> float:
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) / 1e6
