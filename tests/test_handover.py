"""A run that was begun under one orchestrator and killed goes on under another, and nothing that was done is redone.

Each orchestrator is left once and taken up once; Metaflow → local and DVC → local are in their own files.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from equality import facts
from projects import QUICK, Command, kept_files, states, write_project

pytestmark = pytest.mark.slow
PATIENCE = 240
FUSED = """
[run]
fuse = [["ingest", "clean", "split", "audit"], ["select", "evaluate", "register", "report"]]
"""
PAIRS = (("prefect", "airflow"), ("airflow", "metaflow"), ("metaflow", "dvc"), ("dvc", "prefect"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, tahona: Command) -> dict[str, Any]:
    """The facts of the run when nobody disturbs it."""
    folder = write_project(tmp_path_factory.mktemp("uninterrupted") / "quick", QUICK + FUSED)
    return facts(folder, tahona("run", "-C", folder, "--json"))


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
def test_a_killed_run_goes_on_elsewhere(
    first: str, second: str, tmp_path: Path, tahona: Command, uninterrupted: dict[str, Any]
) -> None:
    """Finished steps are found, their files are not touched, and the end is that of a run that nobody killed."""
    for name in (first, second):
        assert tahona("orchestrators", "install", name).code == 0
    folder = write_project(tmp_path / "quick", QUICK + FUSED)
    kill_amid_training(folder, first)
    kept = {name: kind for name, kind in kept_files(folder).items() if not name.startswith("new/")}
    begun = {file.stem for file in (folder / ".tahona" / "last").iterdir()}
    assert {"ingest", "clean", "split", "audit", "train@dummy"} <= begun

    answer = tahona("run", "-C", folder, "--json", "--on", second, env={"METAFLOW_USER": "tester"})
    assert answer.code == 0, answer.stderr
    assert {step for step, state in states(answer).items() if state == "cached"} >= begun
    assert states(answer)["report"] == "done"
    after = kept_files(folder)
    assert {name: after[name] for name in kept} == kept
    assert facts(folder, answer) == uninterrupted
    (run,) = tahona("runs", "-C", folder, "--json").document["runs"]
    assert (run["run"], run["status"]) == (uninterrupted["run"], "done")


def kill_amid_training(folder: Path, orchestrator: str) -> None:
    """Begin the run and kill its group of processes, and what left that group, when the first family is trained."""
    command = [Path(sys.executable).with_name("tahona"), "run", "-C", folder, "--on", orchestrator]
    with (folder.parent / "killed.log").open("wb") as log:
        run = subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1", "METAFLOW_USER": "tester"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + PATIENCE
        while not (folder / ".tahona" / "last" / "train@dummy.json").exists():
            assert run.poll() is None, (folder.parent / "killed.log").read_text("utf-8")
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        while left := working_for(folder):
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)


def working_for(folder: Path) -> list[int]:
    """Return the processes whose environment says that they belong to this project's run."""
    mark, found = f"TAHONA_PROJECT={folder}".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found
