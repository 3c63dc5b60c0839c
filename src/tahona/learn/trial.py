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
from tahona.learn.families.family import Codes, Matrix, Scores, Setting
from tahona.learn.journal import FoldNote
from tahona.learn.model import ask, fit_estimator
from tahona.learn.threads import one_thread

_RANKS = ("roc_auc", "pr_auc")
"""Metrics that look at the order of scores only: margins serve as they are."""


@dataclass(frozen=True, slots=True)
class FoldData:
    """One fold, encoded: the same for every trial."""

    fit: Matrix
    y_fit: NDArray[np.int64]
    judge: Matrix
    y_judge: NDArray[np.int64]
    categorical: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoldTask:
    """Everything a worker needs for one trial on one fold."""

    family: str
    number: int
    fold: int
    params: Mapping[str, Any]
    data: FoldData
    classes: int
    seed: int
    metric: str
    cost: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class FoldOutcome:
    """How it went, in which process, and what the rows of the fold were given (None where the estimator gave up)."""

    note: FoldNote
    process: int
    scores: Scores | None = None
    decided: Codes | None = None


def run_fold(task: FoldTask) -> FoldOutcome:
    """Run one trial on one fold. What the library raises is an outcome, a lack of memory too; our bugs go through."""
    family, data = FAMILIES[task.family], task.data
    _import_library(task.family)
    started = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator, seen = fit_estimator(
                family, task.params, data.fit, data.y_fit, seed=task.seed, categorical=data.categorical
            )
            scores, decided = ask(family, estimator, data.judge, seen, task.classes)
        except Exception as error:
            if not _is_outcome(error):
                raise
            spent = time.process_time() - started
            return FoldOutcome(FoldNote(task.number, task.fold, None, spent, _reason(error)), os.getpid())
    value = _judge(task, family, scores, decided)
    spent = time.process_time() - started
    names = tuple(sorted({warning.category.__name__ for warning in caught}))
    return FoldOutcome(FoldNote(task.number, task.fold, value, spent, "", names), os.getpid(), scores, decided)


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


def _judge(task: FoldTask, family: Family, scores: Scores, decided: Codes) -> float:
    proba: Scores | None = scores
    if METRICS[task.metric].needs == "decision":
        proba = None
    elif family.gives == "margin" and task.metric not in _RANKS:
        proba = _probabilities(scores, task.data.y_judge, task.classes)
    values = compute((task.metric,), task.data.y_judge, proba, decided, cost=task.cost, classes=task.classes)
    return values[task.metric]


def _probabilities(margins: Scores, y: NDArray[np.int64], classes: int) -> Scores:
    """Return (n, k) probabilities from margins: each half of the rows by a sigmoid fitted on the other half."""
    from tahona.learn.calibration import fit_calibrator

    odd = np.arange(len(y)) % 2 == 1
    proba = np.empty((len(y), classes))
    for half in (odd, ~odd):
        calibrator = fit_calibrator(margins[~half], y[~half], classes=classes, kind="sigmoid", gives="margin")
        proba[half] = calibrator.apply(margins[half])
    return proba
