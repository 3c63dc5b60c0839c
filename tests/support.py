"""Where the example's run is compared: orchestrator, artifact store, ledger; and a note of each comparison.

With TAHONA_SUPPORT=FOLDER in the environment (`make support`) each comparison leaves a small file in that folder, of
which `scripts/write_support.py` makes `docs/support.json` and the table in `docs/orchestrators.md`.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from s3_servers import weed

FOLDER = "TAHONA_SUPPORT"
PACKAGES = {"prefect": "prefect", "metaflow": "metaflow", "airflow": "apache-airflow", "dvc": "dvc"}
FUSED = 'run.fuse=[["ingest", "clean", "split", "audit"], ["select", "evaluate", "register", "report"]]'


class Cell(NamedTuple):
    """One place to run in."""

    orchestrator: str
    store: str
    ledger: str

    @property
    def plain(self) -> bool:
        """Tell whether nothing but the orchestrator differs from what a project has without any setting."""
        return self[1:] == ("folder", "sqlite")


CELLS = (
    Cell("local", "folder", "sqlite"),
    Cell("local", "folder", "postgres"),
    Cell("local", "folder", "mlflow"),
    Cell("local", "s3", "sqlite"),
    Cell("local", "s3", "postgres"),
    Cell("local", "s3", "mlflow"),
    Cell("prefect", "folder", "sqlite"),
    Cell("prefect", "folder", "mlflow"),
    Cell("prefect", "s3", "postgres"),
    Cell("metaflow", "folder", "sqlite"),
    Cell("metaflow", "folder", "postgres"),
    Cell("metaflow", "s3", "mlflow"),
    Cell("airflow", "folder", "sqlite"),
    Cell("airflow", "folder", "mlflow"),
    Cell("airflow", "s3", "postgres"),
    Cell("dvc", "folder", "sqlite"),
    Cell("dvc", "folder", "postgres"),
    Cell("dvc", "s3", "mlflow"),
)
"""Every store with every ledger on local; every orchestrator with each store and each ledger."""


@contextmanager
def noted(cell: Cell, versions: Mapping[str, str]) -> Iterator[None]:
    """Note the cell as equal if what is done within raises nothing, and as not equal if it does."""
    equal = False
    try:
        yield
        equal = True
    finally:
        if place := os.environ.get(FOLDER):
            told = {
                **cell._asdict(),
                "equal": equal,
                "versions": {"python": platform.python_version(), **versions},
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
            }
            Path(place).mkdir(parents=True, exist_ok=True)
            (Path(place) / f"{'-'.join(cell)}.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def orchestrator_version(name: str, python: Path) -> str:
    """Return the version in the orchestrator's own environment."""
    code = f"from importlib.metadata import version; print(version({PACKAGES[name]!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def s3_version() -> str:
    program = weed()
    assert program is not None
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2]  # "version 8000GB 4.48 …"


def ledger_versions(postgres: str) -> dict[str, str]:
    """Return the versions of what ledgers are kept in; that of PostgreSQL's server is given."""
    return {"sqlite": sqlite3.sqlite_version, "postgres": postgres, "mlflow": version("mlflow-skinny")}
