"""Trials in worker processes of joblib: large arrays are shared through memory maps, not copied."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tahona.executors.ordered import WorkerEndedError, in_order
from tahona.ports import Lost

if TYPE_CHECKING:
    from tahona.project.model import RunPart

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")

_CALM = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""One thread each: the workers are the parallelism. OpenMP's threads wait by spinning, which costs the others."""
HANDED_OUT = 1.0
"""Seconds that a pool gets to take what was sent; as a rule it needs a thousandth of one."""


class ProcessExecutor:
    """Workers that start with the first item and end with `close`; those that die are replaced."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Any = None
        self._sent: list[Future[Any]] = []

    def share(self, _key: str, make: Callable[[], Value]) -> Value:
        """Return the value itself: the workers map its arrays into their memory."""
        return make()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Lost]:
        return in_order(items, _Pool(self, function), self.workers)

    def submit(self, function: Callable[[Item], Result], item: Item) -> Future[Result]:
        """Send one item to a worker, a new one if they died or were ended by somebody else."""
        from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError

        try:
            future = self._open().submit(function, item)
        except (BrokenProcessPool, ShutdownExecutorError):
            self._pool = None
            future = self._open().submit(function, item)
        self._sent = [each for each in self._sent if not each.done()] + [future]
        return future  # type: ignore[no-any-return]

    def _open(self) -> Any:  # noqa: ANN401 - joblib has no types
        if self._pool is None:
            from joblib.executor import get_memmapping_executor

            self._pool = get_memmapping_executor(self.workers, initializer=settle, initargs=(os.getpid(),), env=_CALM)
        return self._pool

    def close(self) -> None:
        """End the workers and wait for them; one that is still at work is killed."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                self._settle_sent()
            finally:
                pool.terminate(kill_workers=any(not future.done() for future in self._sent))
        self._sent = []

    def _settle_sent(self) -> None:
        """Wait until the pool has handed out what was sent: the thread in it dies of an item it was about to take."""
        patience = time.monotonic() + HANDED_OUT
        while time.monotonic() < patience and not all(each.running() or each.done() for each in self._sent):
            time.sleep(0.001)


class _Pool:
    """One `map` under way."""

    def __init__(self, executor: ProcessExecutor, function: Callable[[Any], Any]) -> None:
        self.executor = executor
        self.function = function

    def send(self, item: Any) -> Future[Any]:  # noqa: ANN401 - whatever is mapped
        return self.executor.submit(self.function, item)

    def result(self, future: Future[Any]) -> Any:  # noqa: ANN401 - whatever the function gives
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        try:
            return future.result()
        except TerminatedWorkerError as error:
            raise WorkerEndedError from error

    def check(self) -> None:
        """Find nothing: a pool tells of its own that a worker died."""

    def drop(self, futures: list[Future[Any]]) -> None:
        """Leave them: they are handed out at once, and joblib's thread dies of a canceled one when it is ended."""


def settle(parent: int) -> None:
    """Make a new worker a good neighbour: deaf to Ctrl-C, which its parent decides on, and gone when that is killed.

    joblib's workers outlive a parent that was killed by five minutes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def open_executor(run: RunPart, _root: Path) -> ProcessExecutor:
    return ProcessExecutor(run.workers)
