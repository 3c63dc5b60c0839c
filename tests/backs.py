"""A real back process on a Unix socket, and what it wrote into its prediction log."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

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
    """A running back, asked as the workers ask it."""

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


@contextmanager
def started_back(root: Path) -> Iterator[Back]:
    """Start the back of the project in ``root`` and wait until it is ready; stop it on leaving."""
    with tempfile.TemporaryDirectory(prefix="back-") as folder:
        door = Path(folder) / "socket"
        command = [sys.executable, "-m", "tahona.serve.back.main", "--root", root, "--uds", door]
        with (
            (root / "back.log").open("wb") as log,
            subprocess.Popen(command, stderr=log) as process,
            httpx.Client(transport=httpx.HTTPTransport(uds=str(door)), base_url="http://back", timeout=60) as http,
        ):
            try:
                _wait(process, http, root, door)
                yield Back(root, http)
            finally:
                process.terminate()
                assert process.wait(20) == 0


def _wait(process: subprocess.Popen[bytes], http: httpx.Client, root: Path, door: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if _is_open(door) and http.get("/ready").status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError((root / "back.log").read_text("utf-8"))


def _is_open(door: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knocking:
        return knocking.connect_ex(str(door)) == 0
