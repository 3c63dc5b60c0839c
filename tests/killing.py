"""Real `tahona` processes that die by SIGKILL, at an exact operation on the file system or at any instant.

One process imports everything once and forks a child per command, so that a death costs no seconds of imports. The
child counts its own writing operations (opening to write, rename, link, remove, making folders) by an audit hook, which
Python calls just before the operation, and kills itself there: no code of Tahona's is replaced.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import json, os, resource, signal, sys
import alembic, matplotlib.backends.backend_svg, matplotlib.figure, optuna, pandas, pyarrow.parquet, skops.io
import sklearn.calibration, sklearn.linear_model, sklearn.metrics, sklearn.model_selection, sklearn.tree
import tahona.bundle.predict, tahona.learn.search, tahona.learn.evaluation, tahona.lifecycle.running, tahona.report.page
import sqlalchemy, tahona.ledgers.registry, tahona.ledgers.runs, tahona.wiring
from tahona.cli import run

CHANGING = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def writes(event, facts):
    return event in CHANGING or (event == "open" and isinstance(facts[2], int) and facts[2] & WRITING)

def watch(death):
    seen = {"all": 0, "matching": 0}
    def hook(event, facts):
        if event == "os.kill":
            return
        if seen["matching"] == death.get("number") and death.get("after"):
            os.kill(os.getpid(), signal.SIGKILL)
        if not writes(event, facts):
            return
        seen["all"] += 1
        if death.get("event", event) == event and death.get("path", "") in str(facts[0]):
            seen["matching"] += 1
            if seen["matching"] == death.get("number") and not death.get("after"):
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    return seen

def live(order):
    silence = os.open(os.devnull, os.O_RDWR)
    said = os.open(order["say"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if "say" in order else silence
    for stream, place in ((0, silence), (1, silence), (2, said)):
        os.dup2(place, stream)
    if "largest" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    seen = watch(order["death"])
    code = run(order["words"])
    if "count" in order:
        number = seen["all"]
        with open(order["count"], "w") as file:
            file.write(str(number))
    os._exit(code)

def fork(order):
    child = os.fork()
    if child == 0:
        try:
            live(order)
        finally:
            os._exit(99)
    return child

print("ready", flush=True)
for line in sys.stdin:
    children = [fork(order) for order in json.loads(line)]
    print(*children, flush=True)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)
"""
KILLED = -signal.SIGKILL


class Nursery:
    """Runs commands that may die."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        *words: object,
        count: Path | None = None,
        after_seconds: float | None = None,
        by: signal.Signals = signal.SIGKILL,
        say: Path | None = None,
        largest: int | None = None,
        **death: object,
    ) -> int:
        """Run a command and return its exit code, `KILLED` for one that died.

        ``number=n``: die just before the n-th writing operation, of those with this ``event`` (as `sys.addaudithook`
        names it) and with ``path`` in their path; ``after=True``: just after it. ``after_seconds``: killed from
        outside, or by the signal ``by``. ``count``: a file for the number of writing operations of one that lives.
        ``say``: a file for what it says on standard error. ``largest``: how many bytes it may write into one file.
        """
        order: dict[str, object] = {"words": list(map(str, words)), "death": death}
        if count is not None:
            order["count"] = str(count)
        if say is not None:
            order["say"] = str(say)
        if largest is not None:
            order["largest"] = largest
        self._give([order])
        (child,) = self._said()
        if after_seconds is not None:
            time.sleep(after_seconds)
            os.kill(child, by)  # a dead child stays ours until it is waited for, which the server does
        (code,) = self._said()
        return code

    def together(self, *commands: Sequence[object]) -> list[int]:
        """Run the commands at the same time and return their exit codes."""
        self._give([{"words": list(map(str, words)), "death": {}} for words in commands])
        self._said()
        return self._said()

    def _give(self, orders: list[dict[str, object]]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()

    def _said(self) -> list[int]:
        assert self._process.stdout is not None
        return [int(number) for number in self._process.stdout.readline().split()]


def run_and_kill(seconds: float, *words: object, env: Mapping[str, str] | None = None) -> int:
    """Run the command `tahona` and kill it after so many seconds, with every process that it started.

    Return its exit code, `KILLED` unless it ended before. Processes that left its group (a server) live on.
    """
    command = [str(Path(sys.executable).with_name("tahona")), *map(str, words)]
    with subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Start the process that forks; its temporary files go into the folder."""
    calm = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TMPDIR": str(folder), "MPLBACKEND": "agg"}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **calm},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield Nursery(process)
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(30)
