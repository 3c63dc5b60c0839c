"""Whole runs with the ledger in a real PostgreSQL: what it tells, a database that is looked at first or dies."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killing import nursery
from postgres_servers import PostgresServer, postgres_server
from projects import Command, quick_table, states, write_project

from tahona.ledgers.sql import SqlLedger

WITH_LEDGER = ("--set", "stores.ledger=${LEDGER}")


def files_with(folder: Path, secret: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]


@pytest.mark.slow
def test_the_view_has_the_numbers_of_the_example(
    tmp_path: Path, example: Callable[[Path], Path], tahona: Command, postgres: PostgresServer
) -> None:
    """`metricas` has the four models of the original with its numbers; a second run adds nothing."""
    name = postgres.database()
    folder, env = example(tmp_path / "breast_cancer"), {"LEDGER": postgres.url(name)}
    answer = tahona("run", "-C", folder, "--json", *WITH_LEDGER, env=env)
    assert answer.code == 0, answer.stderr
    rows = postgres.ask(
        "SELECT id, model, round(precision::numeric, 4), round(recall::numeric, 4), round(f1_score::numeric, 4), "
        "round(auc::numeric, 4), run_id, time FROM metricas ORDER BY model",
        database=name,
    )
    found = {model: tuple(map(float, numbers)) for _, model, *numbers, _, _ in rows}
    assert found == {
        "knn": (0.9677, 0.9524, 0.96, 0.9815),
        "logistic_regression": (0.9688, 0.9841, 0.9764, 0.9979),
        "svc": (0.9839, 0.9683, 0.976, 0.9979),
        "tree": (0.9667, 0.9206, 0.9431, 0.9496),
    }
    assert sorted(row[0] for row in rows) == [1, 2, 3, 4]
    ((run, finish),) = {row[-2:] for row in rows}
    assert run == answer.document["run"]
    assert postgres.ask("SELECT finished FROM runs WHERE id = %s", run, database=name) == [(finish,)]
    again = tahona("run", "-C", folder, "--json", *WITH_LEDGER, env=env)
    assert again.document["nothing_to_do"]
    assert files_with(folder, postgres.password) == []
    assert postgres.password not in answer.stdout + answer.stderr + again.stdout + again.stderr


def test_a_run_without_its_ledger_does_not_begin(
    here: Command, project: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database, a wrong password, no right to write: exit 4 before the first step, without the password."""
    name = postgres.database()
    monkeypatch.setenv("LEDGER", postgres.url(name))
    assert here("db", "setup", "-C", project, *WITH_LEDGER).code == 0
    password = postgres.user("looker")
    postgres.ask("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker", database=name)
    for url, said in (
        (postgres.url("nowhere"), "tahona db setup"),
        (postgres.url(name, password="s3cret-wrong"), "password authentication failed"),
        (postgres.url(name, "looker", password), "permission denied"),
    ):
        monkeypatch.setenv("LEDGER", url)
        answer = here("run", "-C", project, *WITH_LEDGER)
        assert answer.code == 4
        assert said in answer.stderr
        for secret in (postgres.password, password, "s3cret-wrong"):
            assert secret not in answer.stdout + answer.stderr
            assert files_with(project, secret) == []
    assert not (project / ".tahona" / "last").exists()
    assert postgres.ask("SELECT count(*) FROM runs", database=name) == [(0,)]


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """A server of one's own, to be stopped."""
    with postgres_server() as server:
        yield server


@pytest.mark.slow
def test_a_server_that_dies_in_mid_run_ends_it_and_the_next_run_goes_on(
    tahona: Command, tmp_path: Path, fragile: PostgresServer
) -> None:
    """Exit 4 with what to do; the finished steps are not redone, and the ledger has one whole run."""
    folder, name = write_project(tmp_path / "quick"), fragile.database()
    env = {"LEDGER": fragile.url(name)}

    def stop_after_the_first_step() -> None:
        while not (folder / ".tahona" / "last" / "ingest.json").exists():
            time.sleep(0.01)
        fragile.stop(signal.SIGQUIT)

    stopper = threading.Thread(target=stop_after_the_first_step, daemon=True)
    stopper.start()
    answer = tahona("run", "-C", folder, "--json", *WITH_LEDGER, env=env)
    stopper.join()
    assert answer.code == 4, answer.stderr
    assert "start the server" in answer.document["error"]["fix"]
    assert fragile.password not in answer.stdout + answer.stderr
    fragile.start()
    done = tahona("run", "-C", folder, "--json", *WITH_LEDGER, env=env)
    assert done.code == 0, done.stderr
    assert states(done)["ingest"] == "cached"
    assert fragile.ask("SELECT id, status FROM runs", database=name) == [(done.document["run"], "done")]
    assert fragile.ask("SELECT number FROM versions", database=name) == [(1,)]
    counted = fragile.ask("SELECT count(*), count(DISTINCT (part, model, metric)) FROM metrics", database=name)
    assert counted[0][0] == counted[0][1] > 0
    assert files_with(folder, fragile.password) == []
    assert json.loads(answer.stdout)["error"]["where"].startswith("postgresql://keeper:***@")


@pytest.mark.slow
def test_runs_through_restarts_of_the_server_lose_and_double_nothing(
    tmp_path: Path, fragile: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At twenty random instants the server is restarted as after a power cut, each in another run of one project.

    A run may end with exit 4 when the server is away just as it begins; begun again, it goes on.
    """
    name, chance = fragile.database(), random.Random(11)
    monkeypatch.setenv("LEDGER", fragile.url(name))
    SqlLedger(fragile.url(name))
    length = 1.0
    with nursery(tmp_path) as commands:
        for turn in range(20):
            folder = write_project(tmp_path / "quick", table=quick_table(seed=turn))
            moment = threading.Timer(chance.uniform(0, length), fragile.restart)
            begun = time.monotonic()
            moment.start()
            code = commands.run("run", "-C", folder, *WITH_LEDGER)
            moment.join()
            if turn == 0:
                length = time.monotonic() - begun
            if code == 4:
                code = commands.run("run", "-C", folder, *WITH_LEDGER)
            assert code == 0
    runs = fragile.ask("SELECT id, status FROM runs", database=name)
    assert len(runs) == 20
    assert {status for _, status in runs} == {"done"}
    assert fragile.ask("SELECT number FROM versions ORDER BY number", database=name) == [(n,) for n in range(1, 21)]
    parts = fragile.ask(
        "SELECT part, count(*) / 20.0 FROM "
        "(SELECT run_id, part, count(*) c, count(DISTINCT (model, metric)) d FROM metrics GROUP BY 1, 2) each_run "
        "WHERE c = d GROUP BY part ORDER BY part",
        database=name,
    )
    assert [(part, float(share)) for part, share in parts] == [("candidate", 1), ("leaderboard", 1), ("test", 1)]
    assert fragile.ask("SELECT count(DISTINCT run_id) FROM metricas", database=name) == [(20,)]
