"""Predictions go on while the ledger is away, and their log is whole afterwards: a real server, real outages."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest
from postgres_servers import PostgresServer, postgres_server
from processes import started
from serving import ROW, Server, copied, serving, until

from tahona.serve.places import Places
from tahona.wiring import open_prediction_log, open_project

pytestmark = pytest.mark.slow
AWAY = 10.0
"""Seconds."""


class Clients:
    """Threads that ask without end and keep the ids that they got."""

    def __init__(self, server: Server, count: int = 3) -> None:
        self.ids: list[str] = []
        self.failures: list[str] = []
        self._address = server.address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._address, timeout=10, trust_env=False) as client:
            while not self._over.is_set():
                answer = client.post("/predict", json=[ROW, ROW])
                if answer.status_code == 200:
                    self.ids += [row["id"] for row in answer.json()["predictions"]]
                else:
                    self.failures.append(answer.text)
                time.sleep(0.01)


def predict_through(server: Server, overrides: list[str], outage: Callable[[], contextmanager[None]]) -> None:
    """Predict before, during and after; the log then has every id once, and no file is left in the spool."""
    with Clients(server) as clients:
        until(lambda: len(clients.ids) > 100)
        with outage():
            until(lambda: "the ledger cannot be used" in server.client.get("/ready").json()["troubles"], 20)
            assert server.client.get("/ready").status_code == 200
            before = len(clients.ids)
            time.sleep(AWAY)
            assert len(clients.ids) > before + 100
        until(lambda: server.client.get("/ready").json()["troubles"] == [], 30)
        after = len(clients.ids)
        until(lambda: len(clients.ids) > after + 100)
    assert clients.failures == []
    assert server.end() == 0
    with serving(server.folder, *overrides) as again:
        until(lambda: list(Places(again.folder).spool.iterdir()) == [], 30)
    project = open_project(server.folder, overrides=overrides[1::2]).project
    found = Counter(each.id for each in open_prediction_log(project).read(project.name))
    assert set(found.values()) == {1}
    assert set(found) == set(clients.ids)


def test_a_sqlite_ledger_that_somebody_holds(trained: Path, tmp_path: Path) -> None:
    """For ten seconds another process has the file; right behind that, the back is killed."""
    folder = copied(trained, tmp_path / "quick")
    holder = """
        import sqlite3, sys
        database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with serving(folder, "--set", "serve.workers=2") as server:
        server.whole()

        @contextmanager
        def held() -> Iterator[None]:
            with started(holder, folder / ".tahona" / "ledger.db"):
                yield
            (back,) = server.children()["back"]
            os.kill(back, signal.SIGKILL)

        predict_through(server, ["--set", "serve.workers=2"], held)


def test_a_postgresql_ledger_that_is_stopped(trained: Path, tmp_path: Path, tahona: Callable[..., object]) -> None:
    """For ten seconds there is no server."""
    folder = copied(trained, tmp_path / "quick")
    with postgres_server() as postgres:
        overrides = ["--set", f"stores.ledger={postgres.url(postgres.database())}"]
        assert tahona("run", "-C", folder, *overrides).code == 0
        with serving(folder, *overrides) as server:
            predict_through(server.whole(), overrides, lambda: stopped(postgres))


@contextmanager
def stopped(postgres: PostgresServer) -> Iterator[None]:
    postgres.stop()
    yield
    postgres.start()
