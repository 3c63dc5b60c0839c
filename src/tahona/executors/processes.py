"""Trials in worker processes of joblib: large arrays are shared through memory maps, not copied."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tahona.errors import SetupError

Item = TypeVar("Item")
Result = TypeVar("Result")


class ProcessExecutor:
    """Workers that start with the first item and end with `close`. One thread each: the workers are the parallelism."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply the function in the workers. Raise SetupError if one of them dies."""
        from joblib import Parallel, delayed, parallel_config
        from joblib.externals.loky.process_executor import BrokenProcessPool

        # Two items per worker are under way: with more, the items made in advance would fill the memory.
        with parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = Parallel(
                n_jobs=self.workers,
                return_as="generator",
                pre_dispatch="2*n_jobs",
                batch_size=1,
                initializer=settle,
                initargs=(os.getpid(),),
            )
            results = parallel(delayed(function)(item) for item in items)
        try:
            yield from results
        except BrokenProcessPool as error:
            raise SetupError(
                "A worker process died; it may have run out of memory.",
                where="run.executor",
                fix="Take fewer [run] workers, or executor = 'inline'.",
            ) from error

    def close(self) -> None:
        """End the workers and wait for them."""
        from joblib.externals.loky import reusable_executor

        executor = reusable_executor._executor  # noqa: SLF001 - asking for it by its getter would start one
        if executor is not None:
            executor.shutdown(wait=True)


def settle(parent: int) -> None:
    """Make a new worker a good neighbour: quiet when idle, and gone when the process that started it is killed.

    OpenMP's threads wait for work by spinning, which costs the other workers. joblib's workers outlive a parent that
    was killed by five minutes.
    """
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def open_executor(workers: int) -> ProcessExecutor:
    return ProcessExecutor(workers)
