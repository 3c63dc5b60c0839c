"""Projects whose champion the back of a server has to answer for, served, and what came into the prediction log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from projects import QUICK, write_project
from serving import serving

import tahona
from tahona.core.records import Prediction
from tahona.wiring import open_prediction_log, open_project

CANCER = """\
[project]
name = "cancer"
target = "target"
positive = "malignant"

[data]
source = "sample:breast_cancer"

[split]
folds = 3

[train]
metric = "roc_auc"
models = ["{family}"]
trials = 1

[serve]
log_features = {features}

[serve.limits]
rows = 300
cell = 1000
"""
"""A project whose champion is of one family, and whose server takes little."""


@dataclass(frozen=True)
class Back:
    """A server, of which the back is asked."""

    root: Path
    http: httpx.Client

    def predict(self, rows: object, **more: Any) -> httpx.Response:
        return self.http.post("/predict", json=rows, **more)

    def logged(self, ids: Sequence[str]) -> dict[str, Prediction]:
        """Wait until the prediction log has these, and return them."""
        opened = open_project(self.root)
        log = open_prediction_log(opened.project)
        until = time.monotonic() + 20
        while True:
            found = {each.id: each for each in log.read(opened.project.name) if each.id in ids}
            if len(found) == len(ids) or time.monotonic() > until:
                return found
            time.sleep(0.1)


def run_mixed(root: Path, family: str, frame: pd.DataFrame) -> None:
    """Train the family on the quick table (perhaps with more columns) as Parquet, with nulls among its sizes."""
    frame.loc[::17, "size"] = np.nan
    project = QUICK.replace("table.csv", "table.parquet")
    write_project(root, project.replace('["tree", "logistic_regression"]', f'["{family}"]'), frame)
    frame.to_parquet(root / "table.parquet", index=False)
    tahona.load(root).run()


@contextmanager
def started_back(root: Path, key: str = "") -> Iterator[Back]:
    """Serve the project in ``root`` to anybody, or to who has the key, and wait until its back answers too."""
    with serving(root, key=key) as server:
        yield Back(root, server.whole().client)
