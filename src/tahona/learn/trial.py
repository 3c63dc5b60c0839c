"""One trial on one fold: fit, ask, judge. This is what runs in a worker process."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.metrics import METRICS, compute
from tahona.errors import TahonaError
from tahona.learn.families import FAMILIES, Family
from tahona.learn.families.family import Codes, Limit, Matrix, Scores, Setting
from tahona.learn.journal import FoldNote
from tahona.learn.model import ask, fit_estimator
from tahona.learn.threads import one_thread

_RANKS = ("roc_auc", "pr_auc")
"""Metrics that look at the order of scores only: margins serve as they are."""


@dataclass(frozen=True, slots=True)
class FoldData:
    """One part, encoded: the same for every trial. Its judged rows lie in blocks of these sizes."""

    fit: Matrix
    y_fit: NDArray[np.int64]
    judge: Matrix
    y_judge: NDArray[np.int64]
    categorical: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoldTask:
    """Everything a worker needs for one trial on one part."""

    family: str
    number: int
    part: int
    params: Mapping[str, Any]
    data: FoldData
    classes: int
    seed: int
    metric: str
    cost: Mapping[str, float] | None
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class FoldOutcome:
    """How it went, in which process, and what the judged rows were given (None where the estimator gave up)."""

    note: FoldNote
    process: int
    scores: Scores | None = None
    decided: Codes | None = None


def run_fold(task: FoldTask) -> FoldOutcome:
    """Run one trial on one part. What the library raises is an outcome, a lack of memory too; our bugs go through."""
    family, data = FAMILIES[task.family], task.data
    _import_library(task.family)
    started = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator, seen, rounds = fit_estimator(
                family,
                task.params,
                data.fit,
                data.y_fit,
                seed=task.seed,
                categorical=data.categorical,
                watched=(data.judge, data.y_judge) if leaves_rounds_open(family, task.params) else None,
                limit=task.limit,
            )
            scores, decided = ask(family, estimator, data.judge, seen, task.classes)
        except Exception as error:
            if not _is_outcome(error):
                raise
            spent = time.process_time() - started
            return FoldOutcome(FoldNote(task.number, task.part, (), spent, _reason(error)), os.getpid())
    values = _judge(task, family, scores, decided)
    spent = time.process_time() - started
    names = tuple(sorted({warning.category.__name__ for warning in caught}))
    note = FoldNote(task.number, task.part, values, spent, "", names, rounds)
    return FoldOutcome(note, os.getpid(), scores, decided)


def leaves_rounds_open(family: Family, params: Mapping[str, Any]) -> bool:
    """Tell whether these parameters leave the number of boosting rounds to early stopping."""
    return family.rounds is not None and family.rounds not in params


@cache
def _import_library(family: str) -> None:
    """Import what the family is built on, once and before the clock starts."""
    FAMILIES[family].build({}, Setting(classes=2, width=1))
    with one_thread():
        pass


def _is_outcome(error: Exception) -> bool:
    """Tell whether the estimator gave up: by a ValueError, for lack of memory, or by code that is not Tahona's."""
    if isinstance(error, ValueError | MemoryError):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return not isinstance(error, TahonaError) and raised_in.partition(".")[0] != "tahona"


def _reason(error: Exception) -> str:
    """Name the error. Only what a library says of a parameter is repeated: other texts may hold cells of the table."""
    if isinstance(error, MemoryError):
        return "out of memory"
    name = type(error).__name__
    return f"{name}: {error}" if name == "InvalidParameterError" else name


def _judge(task: FoldTask, family: Family, scores: Scores, decided: Codes) -> tuple[float, ...]:
    """Return the metric on each block of judged rows."""
    y = task.data.y_judge
    proba: Scores | None = scores
    if METRICS[task.metric].needs == "decision":
        proba = None
    elif family.gives == "margin" and task.metric not in _RANKS:
        proba = _probabilities(scores, y, task.classes)
    values = []
    start = 0
    for size in task.data.sizes:
        block = slice(start, start + size)
        start += size
        seen = None if proba is None else proba[block]
        found = compute((task.metric,), y[block], seen, decided[block], cost=task.cost, classes=task.classes)
        values.append(found[task.metric])
    return tuple(values)


def _probabilities(margins: Scores, y: NDArray[np.int64], classes: int) -> Scores:
    """Return (n, k) probabilities from margins: each half of the rows by a sigmoid fitted on the other half."""
    from tahona.learn.calibration import fit_calibrator

    odd = np.arange(len(y)) % 2 == 1
    proba = np.empty((len(y), classes))
    for half in (odd, ~odd):
        calibrator = fit_calibrator(margins[~half], y[~half], classes=classes, kind="sigmoid", gives="margin")
        proba[half] = calibrator.apply(margins[half])
    return proba
