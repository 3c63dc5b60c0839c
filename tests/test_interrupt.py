"""Ctrl-C ends a run and its workers at once, and the next run goes on; no trial takes the run with it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from clusters import Cluster, dask_cluster, wait_for
from projects import QUICK, Command, all_outputs, output, write_project
from test_search import Cancer

from tahona.executors.inline import InlineExecutor
from tahona.ports import Lost

COMMAND = Path(sys.executable).with_name("tahona")
STUDY = QUICK.replace('models = ["tree", "logistic_regression"]', 'models = ["tree"]\ntrials = 200').replace(
    "max_depth = [2, 3]", "max_depth = { int = [2, 12] }"
)
"""Long enough to be interrupted, quick enough to be finished."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.add_worker()
        wait_for(lambda: "Register worker" in made.log)
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tahona: Command) -> dict[str, str]:
    """What the study gives when nobody interrupts it."""
    folder = write_project(tmp_path_factory.mktemp("whole") / "quick", STUDY)
    answer = tahona("run", "-C", folder)
    assert answer.code == 0, answer.stderr
    return all_outputs(folder)


def descendants(pid: int) -> set[int]:
    """Return the processes that this one started, and those that they started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def noted(folder: Path) -> int:
    """Return how many folds of trials the running study has noted."""
    return sum(file.read_bytes().count(b"\n") for file in folder.glob(".tahona/notes/*/*.jsonl"))


@pytest.mark.parametrize("executor", ["inline", "processes", "dask"])
def test_ctrl_c_leaves_no_process_and_a_study_that_goes_on(executor, cluster, whole, tahona: Command, tmp_path):
    folder = write_project(tmp_path / "quick", STUDY)
    where = {
        "inline": (),
        "processes": ("--set", "run.executor=processes", "--set", "run.workers=2"),
        "dask": ("--set", "run.executor=dask", "--set", f"run.address={cluster.address}"),
    }[executor]
    process = subprocess.Popen(
        [COMMAND, "run", "-C", folder, *where], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for(lambda: noted(folder) > 60)
        started = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "stopped; finished steps are kept, tahona run goes on from here" in said
    assert "Traceback" not in said
    if executor == "processes":
        assert len(started) >= 2
    wait_for(lambda: not any(map(alive, started)), 20)
    before = noted(folder)
    assert 60 < before < 600
    answer = tahona("run", "-C", folder, *where)
    assert answer.code == 0, answer.stderr
    assert all_outputs(folder) == whole


FAILING = """\
models = ["tree", "svc"]

[train.search.tree]
max_leaf_nodes = [4, 2000000000]

[train.search.svc]
max_iter = [1000, 1000000000000]

[run]
executor = "{executor}"
workers = 2
"""
"""scikit-learn makes room for all leaves at once, 256 GB here; libsvm counts to 2^31."""
ROOM = 16 * 1024**3


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_trial_without_memory_or_that_raises_is_one_failed_trial_with_its_reason(executor, tmp_path):
    """The command has so much address space and no more; its run ends well and tells the reasons."""
    text = QUICK[: QUICK.index("models = ")] + FAILING.format(executor=executor)
    folder = write_project(tmp_path / "quick", text)
    done = subprocess.run(
        [COMMAND, "run", "-C", folder],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 2 trials of tree failed (out of memory)" in done.stdout
    assert "1 of 2 trials of svc failed (OverflowError)" in done.stdout
    assert "(out of memory)" in (folder / "reports" / "report.md").read_text("utf-8")
    trials = json.loads(output(folder, "train@tree", "search.json").read_text("utf-8"))["trials"]
    assert [(trial["state"], trial["error"]) for trial in trials] == [("done", ""), ("failed", "out of memory")]


class Losing(InlineExecutor):
    """Loses what trial 1 does on part 0, as an executor does whose worker is killed for it each time."""

    def map(self, function: Callable, items: Iterable) -> Iterator:
        return (Lost() if (item.number, item.part) == (1, 0) else function(item) for item in items)


def test_a_trial_that_is_lost_with_its_worker_is_one_failed_trial_with_its_reason(tmp_path):
    cancer = Cancer()
    space = {"max_depth": (2, 3, 4)}
    found = cancer.search("tree", tmp_path / "losing", space=space, executor=Losing())
    assert [trial.state for trial in found.trials] == ["done", "failed", "done"]
    assert found.trials[1].error == "the worker process ended, perhaps out of memory"
    whole = cancer.search("tree", tmp_path / "whole", space=space)
    kept = [trial.fold_values for trial in whole.trials if trial.number != 1]
    assert [trial.fold_values for trial in found.trials if trial.number != 1] == kept
