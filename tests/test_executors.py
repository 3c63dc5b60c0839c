"""Executors: the contract on both, and what only processes can get wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tahona.executors.inline import InlineExecutor
from tahona.executors.processes import ProcessExecutor
from tahona.ports import Executor
from tahona.testing.executor_suite import ExecutorContract, own_process


class TestInlineExecutor(ExecutorContract):
    own_workers = False

    def make(self, workers: int) -> Executor:
        return InlineExecutor()


class TestProcessExecutor(ExecutorContract):
    def make(self, workers: int) -> Executor:
        return ProcessExecutor(workers)


def surroundings(_item: int) -> tuple[str | None, str | None]:
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("OMP_WAIT_POLICY")


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_inline_runs_in_this_process_and_only_when_asked():
    seen = []
    results = InlineExecutor().map(lambda item: seen.append(item) or own_process(item), [1, 2])
    assert seen == []
    assert next(results) == os.getpid()
    assert seen == [1]


def test_workers_are_other_processes_and_end_when_closed():
    executor = ProcessExecutor(2)
    workers = set(executor.map(own_process, range(10)))
    assert os.getpid() not in workers
    executor.close()
    assert_gone(workers)


def test_workers_compute_on_one_thread_that_sleeps_when_idle():
    executor = ProcessExecutor(2)
    assert set(executor.map(surroundings, range(4))) == {("1", "PASSIVE")}
    executor.close()


KILLED = """
import time
from tahona.executors.processes import ProcessExecutor
def slow(item):
    import os
    time.sleep(0.1)
    return os.getpid()
for worker in ProcessExecutor(2).map(slow, range(1000)):
    print(worker, flush=True)
"""


def test_workers_end_soon_after_their_parent_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = {int(parent.stdout.readline()) for _ in range(8)}
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert_gone(workers)


def assert_gone(workers: set[int]) -> None:
    patience = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not [pid for pid in workers if alive(pid)]


DROPPED = """
import time
from tahona.executors.processes import ProcessExecutor, _Pool
executor = ProcessExecutor(2)
for round in range(20):
    pool = _Pool(executor, time.sleep)
    sent = [pool.send(0.05 * round) for _ in range(4)]
    pool.drop(sent)
    executor.close()
"""


def test_what_nobody_waits_for_any_more_does_not_hold_up_the_end():
    """joblib's pool never ends when it is shut down with canceled items in it: seen as a Ctrl-C that hung."""
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_closing_before_any_work_is_harmless():
    executor = ProcessExecutor(2)
    executor.close()
    assert list(executor.map(abs, [-1, -2])) == [1, 2]
    executor.close()
