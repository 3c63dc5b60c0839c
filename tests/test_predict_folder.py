"""`tahona predict` of a folder: the bits of one file after another, wherever it runs, in bounded memory."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from clusters import Cluster, dask_cluster, wait_for
from projects import QUICK, Command, quick_table, write_project

import tahona as public
from tahona.executors.dask import DaskExecutor
from tahona.wiring import open_project, table_opener

LONG = "-" * 500
"""Makes a colour half a kilobyte in memory, and nothing in a Parquet file."""
CLEANING = "def paint(frame):\n    return frame.assign(colour=frame['colour'].fillna('none'))\n"
MEMORY = 800
"""Megabytes of each worker. Dask takes no more work to one that has four fifths of them in use."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project behind a cleaning function that was run, with files to predict in `raw`."""
    table = quick_table().assign(colour=lambda frame: frame["colour"] + LONG)
    text = QUICK.replace('source = "table.csv"', 'source = "table.csv"\nclean = ["cleaning:paint"]')
    folder = write_project(tmp_path_factory.mktemp("folder") / "quick", text, table, cleaning=CLEANING)
    public.load(folder).run()
    (folder / "raw").mkdir()
    for number in range(4):
        rows = table.drop(columns="label").iloc[number * 60 : number * 60 + 60].reset_index(drop=True)
        if number % 2:
            rows.to_csv(folder / "raw" / f"part{number}.csv", index=False)
        else:
            rows.to_parquet(folder / "raw" / f"part{number}.parquet", index=False)
    (folder / "raw" / "_SUCCESS").touch()
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers with little memory; a nanny would kill one that took more."""
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as made:
        for _ in range(2):
            made.add_worker(nanny=True, memory=f"{MEMORY}MB")
        wait_for(lambda: made.log.count("Register worker") == 2)
        yield made


@pytest.mark.parametrize("executor", ["inline", "processes", "dask"])
def test_each_file_of_a_folder_gets_the_bits_that_it_gets_alone(executor, cluster, trained, here: Command, tmp_path):
    where = {
        "inline": (),
        "processes": ("--set", "run.executor=processes", "--set", "run.workers=2"),
        "dask": ("--set", "run.executor=dask", "--set", f"run.address={cluster.address}"),
    }[executor]
    answer = here("predict", trained / "raw", "-o", tmp_path / "out", "-C", trained, "--json", *where)
    assert answer.code == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert (said["files"], said["rows"], said["version"]) == (4, 240, 1)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["part0.parquet", "part1.csv", "part2.parquet", "part3.csv"]
    assert {finding["file"] for finding in said["findings"]} == {*names}, "each tells how it was read"
    for name in names:
        alone = tmp_path / name
        assert here("predict", trained / "raw" / name, "-o", alone, "-C", trained).code == 0
        assert (tmp_path / "out" / name).read_bytes() == alone.read_bytes()


def test_a_folder_larger_than_the_memory_of_each_worker_is_predicted_on_dask(cluster, trained, here: Command, tmp_path):
    rows = 190_000
    raw = tmp_path / "raw"
    raw.mkdir()
    part = quick_table(rows, seed=3).drop(columns="label").assign(colour=lambda frame: frame["colour"] + LONG)
    part.to_parquet(raw / "0.parquet", index=False)
    for number in range(1, 10):
        (raw / f"{number}.parquet").hardlink_to(raw / "0.parquet")
    assert 10 * part.memory_usage(deep=True).sum() > 1.2 * MEMORY * 1e6
    watcher = DaskExecutor(cluster.address)
    before = watcher.client().run(pid)
    where = ("--set", "run.executor=dask", "--set", f"run.address={cluster.address}")
    answer = here("predict", raw, "-o", tmp_path / "out", "-C", trained, *where)
    assert answer.code == 0, answer.stderr
    assert watcher.client().run(pid) == before, "a worker took too much memory and was killed"
    assert max(watcher.client().run(peak).values()) < MEMORY * 1000
    watcher.close()
    bits = {file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert len(bits) == 1
    found = pd.read_parquet(tmp_path / "out" / "9.parquet", columns=["probability_yes"])
    wanted = public.load_bundle("quick@champion", project=trained).predict(part.tail(5000).reset_index(drop=True))
    assert found["probability_yes"].tail(5000).to_numpy().tobytes() == wanted["probability_yes"].to_numpy().tobytes()
    assert len(found) == rows


def pid() -> int:
    return os.getpid()


def peak() -> int:
    """Return the most memory that this process ever had, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def test_a_bad_file_is_named_and_the_other_answers_are_whole(trained, here: Command, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    good = quick_table(50).drop(columns="label")
    good.to_csv(raw / "a.csv", index=False)
    good.drop(columns="size").to_csv(raw / "b.csv", index=False)
    answer = here("predict", raw, "-o", tmp_path / "out", "-C", trained)
    assert answer.code == 2
    assert "b.csv" in answer.stderr
    assert "size" in answer.stderr
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.csv"]
    assert len(pd.read_csv(tmp_path / "out" / "a.csv")) == 50


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda raw, out: None, "holds no .csv or .parquet file"),
        (lambda raw, out: (raw / "notes.txt").touch(), "holds something else than .csv and .parquet files"),
        (lambda raw, out: (raw / "more.csv").mkdir(), "holds something else than .csv and .parquet files"),
        (lambda raw, out: [(raw / "a.csv").touch(), out.touch()], "the output is a file, the input a folder"),
        (lambda raw, out: [(raw / "a.csv").touch(), out.symlink_to(raw)], "the output is the input"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(make, said, trained, here: Command, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    make(raw, out)
    before = sorted(tmp_path.rglob("*"))
    answer = here("predict", raw, "-o", out, "-C", trained)
    assert answer.code == 2
    assert said in answer.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_workers_are_sent_the_bundle_and_no_secret_of_the_project(trained, monkeypatch, tmp_path):
    """The address of the table may hold a password; what travels to the workers does not know it."""
    monkeypatch.setenv("SECRET_TOKEN", "swordfish")
    opened = open_project(trained, overrides=["data.source=https://ann:${SECRET_TOKEN}@example.org/t.csv"])
    assert "swordfish" in opened.project.data.source
    sent = pickle.dumps(table_opener(opened.project))
    assert b"swordfish" not in sent
    assert b"example.org" not in sent
