"""`kill -9` of steps at any instant, while a server's orchestrator walks the run: it takes each of them up again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from prefect_servers import PATIENCE, server
from projects import QUICK, Command, write_project
from survival import assert_cleared, assert_same_end, results

pytestmark = pytest.mark.slow

INSTANTS = int(os.environ.get("TAHONA_KILLS", "20"))
"""How many steps' processes are killed; 200 take ten times as long."""
MOST = max(1, INSTANTS // 4)
"""Of them by one step, so that they are four steps at least: on a slow machine the first would have them all."""
RETRIES = '\n[run]\nretries = 100\nretry_delay = "1 s"\n'


@pytest.mark.timeout(120 + 20 * INSTANTS)
def test_steps_killed_at_any_instant_under_a_server(
    tmp_path: Path, tahona: Command, here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run on Prefect's server; its steps die at random instants, later ones as their attempts grow in number."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    whole, folder = (write_project(tmp_path / name, QUICK + RETRIES) for name in ("whole", "killed"))
    assert tahona("run", "-C", whole).code == 0
    installed = tahona("orchestrators", "install", "prefect", "--json")
    assert installed.code == 0, installed.stderr
    with server(Path(installed.document["python"]), tmp_path / "server") as api:
        words = [Path(sys.executable).with_name("tahona"), "run", "-C", folder, "--on", "prefect"]
        surroundings = {**os.environ, "PREFECT_API_URL": api, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
        with (tmp_path / "log").open("wb") as log:
            run = subprocess.Popen(words, env=surroundings, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            died = _kill_steps(run, folder)
            assert run.wait(PATIENCE) == 0, (tmp_path / "log").read_text("utf-8")
        finally:
            run.terminate()
            run.wait(60)
    assert sum(died.values()) == INSTANTS
    assert len(died) > 3  # not one step again and again
    assert_same_end(folder, whole)
    assert_cleared(folder, temporary, here)


def _kill_steps(run: subprocess.Popen[bytes], folder: Path) -> Counter[str]:
    """Kill the run's steps, one process after the other, until enough have died; return how often each step did."""
    rng = np.random.default_rng(11)
    died: Counter[str] = Counter()
    seen: set[int] = set()
    while sum(died.values()) < INSTANTS and run.poll() is None:
        for process, step in _steps_of(folder):
            if process in seen:
                continue
            seen.add(process)
            if died[step] == MOST:
                continue
            before = results(folder)
            time.sleep(rng.uniform(0.05, 0.4 + 0.4 * died[step]))
            if _kill(process, step):
                died[step] += 1
                assert {name: results(folder)[name] for name in before} == before
            break
        time.sleep(0.02)
    return died


def _kill(process: int, step: str) -> bool:
    """Kill the process if it is still that step's; tell whether it was."""
    with suppress(OSError):
        if _step_in(Path(f"/proc/{process}")) == step:
            os.kill(process, signal.SIGKILL)
            return True
    return False


def _steps_of(folder: Path) -> list[tuple[int, str]]:
    """Return the processes that run a step of this project now, and which."""
    mark, found = f"TAHONA_PROJECT={folder}".encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (place / "environ").read_bytes().split(b"\0") and (step := _step_in(place)):
                found.append((int(place.name), step))
    return found


def _step_in(place: Path) -> str:
    """Return the step that this process was started for, the empty text when it is no step's."""
    words = (place / "cmdline").read_bytes().decode()
    match = re.search(r"/tahona\0step\0([^\0]+)\0", words)
    return match[1] if match else ""
