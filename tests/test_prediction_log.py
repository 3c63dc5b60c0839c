"""The prediction log in SQLite and in a real PostgreSQL, and the spool that it is filled from, by real processes."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import msgspec
import pytest
from postgres_servers import PostgresServer, postgres_server
from processes import race, started
from projects import edit

from tahona.core.records import Prediction
from tahona.ledgers.predictions import SqlPredictionLog
from tahona.ledgers.sql import SqlLedger
from tahona.ports import PredictionLog
from tahona.project.load import load_project
from tahona.serve.back.draining import Drainer
from tahona.serve.back.end import End
from tahona.serve.spool import Spool
from tahona.serve.troubles import Troubles, read_troubles
from tahona.testing import PredictionLogContract
from tahona.testing.prediction_log_suite import a_prediction
from tahona.wiring import open_prediction_log


class TestSqliteLog(PredictionLogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> SqlPredictionLog:
        return SqlPredictionLog(f"sqlite:///{tmp_path}/ledger.db")


class TestPostgresLog(PredictionLogContract):
    @pytest.fixture
    def log(self, postgres: PostgresServer) -> SqlPredictionLog:
        return SqlPredictionLog(postgres.url(postgres.database()))


def test_it_lies_beside_the_ledger(project: Path) -> None:
    """One database holds runs, versions and predictions, so that a query can join them."""
    opened = load_project(project).project
    open_prediction_log(opened).add([a_prediction()])
    with closing(sqlite3.connect(project / ".tahona" / "ledger.db")) as database:
        rows = database.execute("SELECT id, version, label, features_json FROM predictions").fetchall()
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    assert rows == [("hotel-000001", 1, "sí", rows[0][3])]
    assert msgspec.json.decode(rows[0][3]) == a_prediction().features


def test_it_has_a_file_of_its_own_where_the_ledger_has_no_tables(project: Path) -> None:
    """MLflow's database is MLflow's."""
    edit(project, "[split]", '[stores]\nledger = "mlflow+sqlite:///mlflow.db"\n\n[split]')
    open_prediction_log(load_project(project).project).add([a_prediction()])
    assert not (project / "mlflow.db").exists()
    log = SqlPredictionLog(f"sqlite:///{project}/.tahona/predictions.db")
    assert list(log.read("hotel")) == [a_prediction()]


def test_processes_that_enter_the_same_predictions_at_once_enter_each_once(tmp_path: Path) -> None:
    """Two backs over one spool (one is being replaced) enter nothing twice."""
    racer = """
        import sys
        from tahona.ledgers.predictions import SqlPredictionLog
        from tahona.testing.prediction_log_suite import a_prediction
        log = SqlPredictionLog(sys.argv[1], patience=30)
        print("ready", flush=True)
        sys.stdin.readline()
        print(sum(log.add([a_prediction(n) for n in range(start, start + 50)]) for start in range(0, 1000, 50)))
    """
    url = f"sqlite:///{tmp_path}/ledger.db"
    said = race(racer, (url,), (url,), (url,))
    assert sum(map(int, said)) == 1000
    assert len(list(SqlPredictionLog(url).read("hotel"))) == 1000


WRITER = """
    import sys, time, threading
    from pathlib import Path
    import msgspec
    from tahona.serve.spool import Spool
    from tahona.testing.prediction_log_suite import a_prediction
    folder, first, rate = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    spool, number = Spool(folder), first
    print("ready", flush=True)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    while not over.is_set():
        for _ in range(int(rate / 20)):
            spool.add([a_prediction(number)])
            number += 1
        spool.flush()
        time.sleep(0.05)
    spool.close()
    print(number - first, flush=True)
"""
"""Predicts so many rows a second until it is told to end, and then says how many there were."""


class Drained:
    """A spool, its drainer in a thread as in the back, and the log."""

    def __init__(self, folder: Path, log: PredictionLog) -> None:
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.troubles = folder / "troubles.json"
        self.log = log
        self.end = End()
        self.drainer = Drainer(self.spool, log, Spool(self.spool), Troubles(self.troubles))
        self._thread = threading.Thread(target=self.end.with_me, args=(self.drainer.run,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.come()
        self._thread.join()

    def parts(self) -> list[str]:
        """Name what does not work at present."""
        return [trouble.part for trouble in read_troubles(self.troubles)]

    def files(self) -> list[str]:
        return sorted(file.suffix for file in self.spool.iterdir())


def until(asked: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@contextmanager
def away(url: str) -> Iterator[None]:
    """Hold a SQLite file, as another process that writes and hangs."""
    holder = """
        import sqlite3, sys
        database = sqlite3.connect(sys.argv[1], isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with started(holder, url.removeprefix("sqlite:///")):
        yield


def predict_through_an_outage(
    drained: Drained, outage: Callable[[], contextmanager[None]], seconds: float
) -> list[Prediction]:
    """Let two processes predict before, during and after; return what the log has then, checked for gaps."""
    with drained, started(WRITER, drained.spool, 0, 400) as one, started(WRITER, drained.spool, 500_000, 400) as two:
        until(lambda: drained.drainer.entered > 100)
        with outage():
            until(lambda: drained.parts() == ["log"])
            time.sleep(seconds)
            assert drained.drainer.waiting() > 0
        until(lambda: drained.parts() == [])
        counts = [int(writer.communicate("end\n", timeout=60)[0]) for writer in (one, two)]
        until(lambda: drained.files() == [])
    found = list(drained.log.read("hotel"))
    wanted = {a_prediction(n).id for n in range(counts[0])} | {a_prediction(500_000 + n).id for n in range(counts[1])}
    assert len(found) == len(wanted) == sum(counts) == drained.drainer.entered
    assert {prediction.id for prediction in found} == wanted
    return found


def test_predictions_wait_while_another_process_holds_the_database(tmp_path: Path) -> None:
    """Two processes go on predicting; later all of it is in the log, and nothing twice."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    drained = Drained(tmp_path, SqlPredictionLog(url, patience=0.3))
    found = predict_through_an_outage(drained, lambda: away(url), 1.5)
    assert found[0] == a_prediction(0)


@pytest.mark.slow
def test_predictions_wait_while_postgresql_is_stopped(tmp_path: Path) -> None:
    """For ten seconds there is no server; nothing is lost, and nothing is entered twice."""
    with postgres_server() as server:

        @contextmanager
        def stopped() -> Iterator[None]:
            server.stop()
            yield
            server.start()

        log = SqlPredictionLog(server.url(server.database()), patience=1)
        predict_through_an_outage(Drained(tmp_path, log), stopped, 10)


def test_what_a_killed_process_left_is_entered_and_taken_away(tmp_path: Path) -> None:
    """Its last line may be half a line; the file is removed, as nobody will come back to it."""
    drained = Drained(tmp_path, SqlPredictionLog(f"sqlite:///{tmp_path}/ledger.db"))
    with started(WRITER, drained.spool, 0, 2000) as writer:
        until(lambda: drained.drainer.waiting() > 10_000)
        writer.kill()
        writer.wait()
    (file,) = drained.spool.iterdir()
    whole = file.read_bytes()
    assert file.suffix == ".open"
    file.write_bytes(whole[:-20])
    with drained:
        until(lambda: drained.files() == [])
    assert len(list(drained.log.read("hotel"))) == whole.count(b"\n") - 1


def test_a_file_that_is_still_written_to_stays(tmp_path: Path) -> None:
    """Its lines are entered as they come, each once; it goes when its writer has left it."""
    drained = Drained(tmp_path, SqlPredictionLog(f"sqlite:///{tmp_path}/ledger.db"))
    writer = Spool(drained.spool)
    with drained:
        for number in range(3):
            writer.add([a_prediction(number)])
            writer.flush()
            until(lambda: drained.drainer.entered == number + 1)  # noqa: B023
        assert drained.files() == [".open"]
        writer.close()
        until(lambda: drained.files() == [])


def test_a_restart_enters_nothing_twice(tmp_path: Path) -> None:
    """How far a file was read is forgotten; that an id is known is not."""
    drained = Drained(tmp_path, SqlPredictionLog(f"sqlite:///{tmp_path}/ledger.db"))
    writer = Spool(drained.spool)
    writer.add([a_prediction(1)])
    writer.flush()
    assert drained.drainer.drain()
    writer.add([a_prediction(2)])
    writer.close()
    again = Drainer(drained.spool, drained.log, Spool(drained.spool), Troubles(drained.troubles))
    assert again.drain()
    assert again.entered == 1
    assert list(drained.log.read("hotel")) == [a_prediction(1), a_prediction(2)]
    assert drained.files() == []


def test_a_broken_line_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told in the log, without a word of it."""
    drained = Drained(tmp_path, SqlPredictionLog(f"sqlite:///{tmp_path}/ledger.db"))
    writer = Spool(drained.spool)
    torn = msgspec.json.encode(replace(a_prediction(3), features={"city": "secret Málaga"}))
    broken = (b'{"secret', b'{"id": 5}', torn[: torn.index(b"\xc3") + 1] + torn, b"[" * 5_000, b'"\xff"')
    writer.add([a_prediction(1), *map(msgspec.Raw, broken), a_prediction(2)])
    writer.close()
    assert drained.drainer.drain()
    assert list(drained.log.read("hotel")) == [a_prediction(1), a_prediction(2)]
    said = capsys.readouterr().err
    assert '"broken predictions"' in said
    assert f'"lines": {len(broken)}' in said
    assert "secret" not in said


class Counted:
    """A log that notes how many predictions it is given at a time."""

    def __init__(self, log: PredictionLog) -> None:
        self.sizes: list[int] = []
        self.read, self.tell, self._log = log.read, log.tell, log

    def add(self, predictions: Sequence[Prediction]) -> int:
        self.sizes.append(len(predictions))
        return self._log.add(predictions)


def test_a_long_queue_is_entered_piece_by_piece(tmp_path: Path) -> None:
    """So that memory does not grow with it: so many bytes at most, and a line."""
    log = Counted(SqlPredictionLog(f"sqlite:///{tmp_path}/ledger.db"))
    drained = Drained(tmp_path, log)
    writer = Spool(drained.spool)
    for number in range(5_000):
        writer.add([a_prediction(number)])
    for number in range(5_000, 5_010):
        writer.add([replace(a_prediction(number), features={"text": "x" * 1_000_000})])
    writer.close()
    assert drained.drainer.drain()
    assert log.sizes == [3_197, 1_804, 2, 2, 2, 2, 1]


def test_a_full_disk_costs_no_prediction(tmp_path: Path) -> None:
    """What did not fit stays in memory, no half line stays in the file, and it is written once there is room."""
    tight = """
        import json, resource, sys
        from pathlib import Path
        from tahona.serve.spool import Spool
        spool = Spool(Path(sys.argv[1]))
        print("ready", flush=True)
        sys.stdin.readline()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        failed = 0
        for number in range(300):
            spool.add([{"id": number, "text": "x" * 100}])
            try:
                spool.flush()
            except OSError:
                failed += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        spool.close()
        print(failed)
    """
    (said,) = race(tight, (tmp_path,))
    assert int(said) > 200
    (file,) = tmp_path.glob("*.left")
    assert [msgspec.json.decode(line)["id"] for line in file.read_bytes().splitlines()] == list(range(300))


def test_asking_where_the_champion_is_costs_next_to_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    """The server asks three times a second: three such questions take less than a hundredth of a second of CPU."""
    for url in (f"sqlite:///{tmp_path}/ledger.db", postgres.url(postgres.database())):
        ledger = SqlLedger(url)
        assert ledger.pointed("hotel", "champion") == 0
        before = time.thread_time()
        for _ in range(100):
            ledger.pointed("hotel", "champion")
        assert (time.thread_time() - before) / 100 * 3 < 0.01
