"""MLflow for tests: its database, made once and copied, and its real server in an environment of its own.

The environment is the one that `tahona mlflow ui` makes for anybody, in the cache folder (TAHONA_CACHE), so it is
made once for all test runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tahona.ledgers.mlflow import open_ledger
from tahona.ledgers.mlflow_address import parse_address
from tahona.ledgers.mlflow_server import REQUIREMENTS, mlflow_server
from tahona.lifecycle.environments import environment

IN_SQLITE = "mlflow+sqlite:///mlflow.db"


def empty_database(folder: Path) -> Path:
    """Let MLflow make its tables, which takes it seconds, and return the file."""
    open_ledger(IN_SQLITE, folder)
    return folder / "mlflow.db"


def mlflow_python() -> Path:
    """Return the Python of MLflow's own environment."""
    return environment("mlflow", REQUIREMENTS)


class MlflowServer:
    """A server that runs, and how to empty it."""

    def __init__(self, url: str, folder: Path, empty: Path) -> None:
        self.url = url
        self.log = folder / "server.log"
        self._database = folder / "mlflow.db"
        self._empty = empty

    def clear(self) -> None:
        """Put the empty database in place; the server opens its file anew for every request."""
        fresh = self._database.with_suffix(".new")
        shutil.copyfile(self._empty, fresh)
        fresh.replace(self._database)


@contextmanager
def unpooled() -> Iterator[None]:
    """Let MLflow hold no connection to a database between two questions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
        yield


@contextmanager
def running_server(folder: Path, empty: Path) -> Iterator[MlflowServer]:
    """Start a server; on leaving, it is gone."""
    shutil.copyfile(empty, folder / "mlflow.db")
    address = parse_address(f"{IN_SQLITE}?artifacts=artifacts", folder)
    with unpooled(), mlflow_server(address, python=mlflow_python(), log=folder / "server.log") as (url, _):
        yield MlflowServer(url, folder, empty)
