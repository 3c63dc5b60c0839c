"""The breast-cancer example is one and the same run on every orchestrator, in every store and with every ledger.

`tests/support.py` has the cells that are compared; `make support` writes the table in the docs from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from equality import facts, run_on
from postgres_servers import PostgresServer
from projects import Answer, Command
from s3_servers import BUCKET, S3Server, running
from support import CELLS, FUSED, Cell, ledger_versions, noted, orchestrator_version, s3_version

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def here(finished: Path) -> dict[str, Any]:
    """The facts of the run in this process, with its store and ledger in the project's folder."""
    return facts(finished, Answer(0, (finished / "run.json").read_text("utf-8"), ""))


@pytest.fixture(scope="module")
def versions(postgres: PostgresServer, tahona: Command) -> Callable[[Cell], dict[str, str]]:
    """Makes the environment of a cell's orchestrator, at the first time, and tells the versions of what the cell is."""

    def look(cell: Cell) -> dict[str, str]:
        server = str(postgres.ask("SHOW server_version")[0][0]).split()[0]
        found = {cell.ledger: ledger_versions(server)[cell.ledger]}
        if cell.store == "s3":
            found["s3"] = s3_version()
        if cell.orchestrator != "local":
            made = tahona("orchestrators", "install", cell.orchestrator, "--json")
            assert made.code == 0, made.stderr
            found[cell.orchestrator] = orchestrator_version(cell.orchestrator, Path(made.document["python"]))
        return found

    return look


@pytest.fixture
def place(s3: S3Server, postgres: PostgresServer) -> Callable[[Cell], tuple[list[str], dict[str, str]]]:
    """Makes a cell's store and ledger, empty, and gives the words and variables by which a project finds them."""

    def make(cell: Cell) -> tuple[list[str], dict[str, str]]:
        words, variables = [], {"METAFLOW_USER": "tester"}
        if cell.store == "s3":
            words += ["--set", f"stores.artifacts=s3://{BUCKET}/{'-'.join(cell)}"]
            variables |= s3.environment()
        if cell.ledger == "postgres":
            words += ["--set", "stores.ledger=${LEDGER}"]
            variables["LEDGER"] = postgres.url(postgres.database())
        if cell.ledger == "mlflow":
            words += ["--set", "stores.ledger=mlflow+sqlite:///.tahona/mlflow.db"]
        if not cell.plain:
            words += ["--set", FUSED]
        return words, variables

    return make


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_the_run_is_the_same(
    cell: Cell,
    tmp_path: Path,
    example: Callable[[Path], Path],
    tahona: Command,
    here: dict[str, Any],
    s3: S3Server,
    place: Callable[[Cell], tuple[list[str], dict[str, str]]],
    versions: Callable[[Cell], dict[str, str]],
) -> None:
    """Run id, leaderboard, champion, bits of the predictions and of every result, and every fingerprint.

    The orchestrator, the store and the ledger of the cell were used, and those of the project's folder were not.
    """
    folder = example(tmp_path / "breast_cancer")
    words, variables = place(cell)
    with noted(cell, versions(cell)):
        assert run_on(cell.orchestrator, folder, tahona, *words, **variables) == here
        own = folder / ".tahona"
        assert (own / "artifacts").exists() == (cell.store == "folder")
        assert (cell.store == "s3") == any("/results/" in key for key in s3.keys(f"{'-'.join(cell)}/"))
        assert (own / "ledger.db").exists() == (cell.ledger == "sqlite")
        known = tahona("runs", "-C", folder, "--json", *words, env=variables).document["runs"]
        assert [(run["run"], run["status"]) for run in known] == [(here["run"], "done")]
        walked = {name for name in ("prefect", "metaflow", "airflow") if (own / name).exists()}
        walked |= {"dvc"} if (folder / "dvc.lock").exists() else set()
        assert walked == {cell.orchestrator} - {"local"}
