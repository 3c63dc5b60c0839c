"""The Dask executor on real clusters of this machine: the contract, the same bits, lost workers, TLS, plain errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clusters import Cluster, Counter, dask_cluster, wait_for
from projects import Command, all_outputs, write_project
from test_search import RANGES, Cancer, same

import tahona
import tahona.executors.dask
from tahona.errors import InputError, SetupError
from tahona.executors.dask import DaskExecutor
from tahona.executors.inline import InlineExecutor
from tahona.learn.columns import infer_schema, to_columns, to_labels
from tahona.learn.folds import TrainingRows
from tahona.learn.search import search_family
from tahona.ports import Executor
from tahona.testing import ExecutorContract
from tahona.testing.executor_suite import own_process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that a nanny starts again when they die."""
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.add_worker(nanny=True)
        made.add_worker(nanny=True)
        connected(made, 2)
        yield made


def connected(cluster: Cluster, workers: int) -> None:
    """Wait until so many workers are there."""
    executor = DaskExecutor(cluster.address)
    wait_for(lambda: len(executor.client().nthreads()) == workers)
    executor.close()


class TestDaskExecutor(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: Cluster) -> None:
        self.address = cluster.address

    def make(self, workers: int) -> Executor:
        return DaskExecutor(self.address)


def test_a_worker_killed_in_the_middle_of_a_study_costs_no_bit(tmp_path):
    """Workers of several threads, one of them killed by SIGKILL for good; the other does its trials with its data."""
    cancer = Cancer()
    inline = cancer.search("tree", tmp_path / "inline", space=RANGES, trials=24, batch=8)
    with dask_cluster(tmp_path / "cluster") as cluster:
        doomed = cluster.add_worker("--nthreads", "3")
        cluster.add_worker("--nthreads", "3")
        connected(cluster, 2)
        executor = DaskExecutor(cluster.address)

        def kill_one(event: str, facts: dict) -> None:
            if facts["number"] == 9:
                doomed.kill()

        settings = {"space": RANGES, "trials": 24, "batch": 8, "executor": executor, "progress": kill_one}
        found = cancer.search("tree", tmp_path / "dask", **settings)
        assert doomed.wait(60) != 0
        assert executor.workers == 1
        executor.close()
    assert same(inline, found, cancer.columns)
    assert [trial.state for trial in found.trials] == [trial.state for trial in inline.trials]
    assert "failed" not in {trial.state for trial in found.trials}


def test_the_folds_are_sent_once_for_all_trials_and_families_and_taken_away_in_the_end(cluster, tmp_path):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(6000, 40))).rename(columns=str).assign(y=draw.integers(0, 2, 6000))
    schema, _ = infer_schema(frame, target="y", positive=1)
    columns, y = to_columns(frame, schema), to_labels(frame["y"], schema)
    rows = np.arange(6000)
    folds = tuple((np.delete(rows, part), part) for part in np.split(rows, 3))
    wire = Counter(cluster.address)
    executor = DaskExecutor(wire.address)

    def search(family: str, space: dict) -> int:
        before = wire.sent
        settings = {"metric": "roc_auc", "trials": 12, "batch": 4, "seed": 0, "progress": lambda event, facts: None}
        place = {"executor": executor, "notes": tmp_path / family}
        search_family(family, columns, y, schema, folds, space=space, **settings, **place)
        return wire.sent - before

    folds_bytes = sum(TrainingRows(columns, schema, folds).encode("codes", fold).size for fold in range(3))
    first = search("tree", {"max_depth": tuple(range(1, 13))})
    second = search("extra_trees", {"n_estimators": tuple(range(1, 13)), "max_depth": (2,)})
    assert folds_bytes < first < 1.2 * folds_bytes
    assert second < 0.1 * folds_bytes
    executor.close()
    wire.close()
    assert left_in(cluster) == 0


def left_in(cluster: Cluster) -> int:
    """Return how many values and tasks the cluster still has, after those that are about to go."""
    watcher = DaskExecutor(cluster.address)

    def count() -> int:
        return watcher.client().run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))

    wait_for(lambda: count() == 0, 10)
    left = count()
    watcher.close()
    return left


def test_what_is_shared_gives_way_when_the_cluster_is_half_full(cluster):
    executor = DaskExecutor(cluster.address)
    executor.client()
    executor._most_bytes = 4_000_000
    made = []

    def share(number: int) -> np.ndarray:
        return executor.share(str(number), lambda: made.append(number) or np.full(200_000, float(number)))

    for number in (0, 1, 2, 2, 1, 0):
        assert list(executor.map(np.mean, [share(number)])) == [number]
    assert made == [0, 1, 2, 0]
    executor.close()


def test_a_project_runs_on_the_cluster_with_the_result_of_this_process(cluster, here: Command, tmp_path):
    inline, dask = (write_project(tmp_path / name / "quick") for name in ("inline", "dask"))
    assert here("run", "-C", inline).code == 0
    where = ("--set", "run.executor=dask", "--set", f"run.address={cluster.address}")
    answer = here("run", "-C", dask, *where)
    assert answer.code == 0, answer.stderr
    assert all_outputs(dask) == all_outputs(inline)
    assert left_in(cluster) == 0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that vouches for itself, another one, and the security file of either."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "other"):
        words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)
        names = {"tls-ca-file": f"{name}.pem", "tls-client-cert": f"{name}.pem", "tls-client-key": f"{name}.key"}
        (folder / f"{name}.toml").write_text("".join(f'{key} = "{value}"\n' for key, value in names.items()), "utf-8")
    return folder


def test_a_cluster_behind_tls_takes_who_has_its_certificate_and_nobody_else(certificates, tmp_path):
    ours = certificates / "ours.pem"
    tls = ("--tls-ca-file", str(ours), "--tls-cert", str(ours), "--tls-key", str(certificates / "ours.key"))
    with dask_cluster(tmp_path, tls) as cluster:
        assert cluster.address.startswith("tls://127.0.0.1:")
        cluster.add_worker()
        executor = DaskExecutor(cluster.address, certificates / "ours.toml")
        (worker,) = executor.map(own_process, [0])
        assert worker != os.getpid()
        executor.close()
        stranger = DaskExecutor(cluster.address, certificates / "other.toml")
        with pytest.raises(SetupError, match="no Dask scheduler answers at tls://"):
            stranger.client()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("tls-ca-file = ", "is not TOML"),
        ('tls-ca-file = "a.pem"', "lacks 'tls-client-cert'"),
        ('tls-ca-file = "a.pem"\ntls-client-cert = "a.pem"\nverify = false', "holds 'verify'"),
        (
            'tls-ca-file = "absent.pem"\ntls-client-cert = "absent.pem"',
            "'tls-ca-file' names a file that does not exist",
        ),
    ],
)
def test_a_wrong_security_file_is_told_before_anything_is_sent(tmp_path, content, said):
    file = tmp_path / "security.toml"
    if content is not None:
        file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        DaskExecutor("tls://127.0.0.1:1", file).client()
    assert caught.value.where == str(file)


def test_without_a_scheduler_the_address_is_named(here: Command, project: Path, monkeypatch):
    monkeypatch.setattr(tahona.executors.dask, "CONNECTING", 1.0)
    answer = here("run", "-C", project, "--set", "run.executor=dask", "--set", "run.address=tcp://127.0.0.1:9")
    assert answer.code == 4
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in answer.stderr


def test_without_the_extra_it_says_what_to_install(here: Command, project: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    answer = here("run", "-C", project, "--set", "run.executor=dask", "--set", "run.address=tcp://127.0.0.1:9")
    assert answer.code == 4
    assert "pip install 'tahona[dask]'" in answer.stderr


def test_an_executor_nobody_knows_is_refused_with_a_guess(here: Command, project: Path):
    answer = here("run", "-C", project, "--set", "run.executor=proceses")
    assert answer.code == 2
    assert "there is no executor called 'proceses'" in answer.stderr
    assert "did you mean 'processes'?" in answer.stderr


def test_a_worker_with_another_tahona_is_refused(tmp_path):
    """The worker runs a copy of Tahona in which one file has one more line."""
    copy = shutil.copytree(Path(tahona.__file__).parent, tmp_path / "other" / "tahona")
    with (copy / "learn" / "trial.py").open("a") as file:
        file.write("# another\n")
    with dask_cluster(tmp_path / "cluster") as cluster:
        cluster.add_worker(env={"PYTHONPATH": str(copy.parent)})
        executor = DaskExecutor(cluster.address)
        with pytest.raises(SetupError, match=r"the Dask worker tcp://127.0.0.1:\d+ has other code.*: tahona "):
            list(executor.map(own_process, [0]))
        executor.close()


def test_a_worker_without_tahona_is_told(tmp_path):
    """Without `site` the worker finds the installed packages, but not Tahona, which is installed as a path."""
    with dask_cluster(tmp_path) as cluster:
        cluster.add_worker(python=["-S"], env={"PYTHONPATH": sysconfig.get_path("purelib")})
        wait_for(lambda: "Register worker" in cluster.log)
        executor = DaskExecutor(cluster.address)
        with pytest.raises(SetupError, match=r"the Dask worker tcp://127.0.0.1:\d+ cannot import Tahona"):
            list(executor.map(own_process, [0]))
        executor.close()


def test_a_cluster_whose_last_worker_died_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(tahona.executors.dask, "WITHOUT_WORKERS", 2.0)
    with dask_cluster(tmp_path) as cluster:
        worker = cluster.add_worker()
        executor = DaskExecutor(cluster.address)
        results = executor.map(own_process, range(1000))
        assert next(results) == worker.pid
        worker.kill()
        with pytest.raises(SetupError, match="the Dask cluster has no worker left"):
            list(results)
        executor.close()


def test_a_cluster_whose_workers_are_all_paused_is_given_up(tmp_path, monkeypatch):
    """They take nothing while their memory is full, which may be for ever."""
    monkeypatch.setattr(tahona.executors.dask, "WITHOUT_WORKERS", 2.0)
    with dask_cluster(tmp_path) as cluster:
        cluster.add_worker(env={"DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "0.01"})
        executor = DaskExecutor(cluster.address)
        connected(cluster, 1)
        wait_for(lambda: executor.client().run_on_scheduler(running_workers) == 0)
        with pytest.raises(SetupError, match="every worker of the Dask cluster is paused"):
            list(executor.map(own_process, range(3)))
        executor.close()


def test_a_paused_worker_that_is_at_work_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(tahona.executors.dask, "WITHOUT_WORKERS", 0.5)
    with dask_cluster(tmp_path) as cluster:
        cluster.add_worker(env={"DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "0.6"})
        executor = DaskExecutor(cluster.address)
        connected(cluster, 1)
        assert list(executor.map(hold_memory, [700_000_000])) == ["held"]
        assert "Pausing worker" in cluster.log
        executor.close()


def running_workers(dask_scheduler) -> int:
    return len(dask_scheduler.running)


def hold_memory(size: int) -> str:
    """Fill the worker's memory for some seconds."""
    held = np.ones(size // 8)
    time.sleep(6)
    return "held" if held.all() else "lost"


def test_a_scheduler_that_dies_is_told(tmp_path):
    with dask_cluster(tmp_path) as cluster:
        cluster.add_worker()
        executor = DaskExecutor(cluster.address)
        results = executor.map(own_process, range(1000))
        next(results)
        cluster.scheduler.kill()
        with pytest.raises(SetupError, match="the connection to the Dask scheduler was lost"):
            list(results)
        executor.close()


def test_no_log_of_a_worker_shows_a_cell(cluster):
    """Dask logs the arguments of what failed."""
    executor = DaskExecutor(cluster.address)
    item = executor.share("secret", lambda: np.array(["Maria Lopez"]))
    with pytest.raises(ZeroDivisionError):
        list(executor.map(fail_with, [item]))
    executor.close()
    wait_for(lambda: "ZeroDivisionError" in cluster.log)
    assert "Maria" not in cluster.log


def fail_with(_item: np.ndarray) -> float:
    return 1 / 0


def test_inline_is_what_all_others_are_compared_with():
    assert InlineExecutor().share("any", lambda: 5) == 5
