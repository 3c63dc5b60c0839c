"""One task after another, in this process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tahona.core.workflow import Task, Workflow
from tahona.errors import InputError, IntegrityError, RefusedError, SetupError

_FINAL = (InputError, RefusedError, IntegrityError)
"""What another attempt would meet again."""


def open_orchestrator(_folder: Path, _python: Path | None = None) -> LocalOrchestrator:
    """Open the orchestrator that needs nothing."""
    return LocalOrchestrator()


class LocalOrchestrator:
    """Runs the tasks in their own order, which never puts one before another that it waits for."""

    def walk(self, workflow: Workflow, run_step: Callable[[str], object]) -> None:
        """Run every task, with the retries and the time that it is given; the first that fails ends the walk."""
        for task in workflow:
            _attempt(task, run_step)


def _attempt(task: Task, run_step: Callable[[str], object]) -> None:
    for left in range(task.patience.retries, -1, -1):
        try:
            with _time_limit(task):
                for step in task.steps:
                    run_step(step)
        except _FINAL:
            raise
        except Exception:
            if not left:
                raise
            time.sleep(task.patience.delay)
        else:
            return


@contextmanager
def _time_limit(task: Task) -> Iterator[None]:
    """End the task by an alarm when its time is over; there is none outside the main thread, where no alarm rings."""
    seconds = task.patience.timeout
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_signal: int, _frame: object) -> None:
        raise SetupError(
            f"'{task.name}' did not end within {seconds:g} s",
            where="run.timeout",
            fix="give it more time, or less to do (train.budget, train.trials)",
        )

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
