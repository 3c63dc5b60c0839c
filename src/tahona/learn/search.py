"""The search of one family's parameters on folds of the training rows, and the fit of the best on all of them."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.core.metrics import METRICS
from tahona.errors import InputError, SetupError
from tahona.learn.families import FAMILIES, Family
from tahona.learn.families.family import Codes, Scores
from tahona.learn.folds import Encoded, Fold, TrainingRows, fold_digest
from tahona.learn.journal import FoldNote, Journal
from tahona.learn.model import FittedModel, fit_estimator, sample_rows
from tahona.learn.space import Study, check_space, grid, is_grid
from tahona.learn.trial import FoldData, FoldOutcome, FoldTask, run_fold
from tahona.ports import Lost

if TYPE_CHECKING:
    from tahona.core.schema import Schema
    from tahona.learn.columns import Columns
    from tahona.ports import Executor
    from tahona.project.model import Range

Progress = Callable[[str, Mapping[str, Any]], None]

_GRID_BATCH = 16
"""Grid points under way at a time: bounds the out-of-fold scores held in memory. No result depends on it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the search space. ``value`` is the mean over the folds, NaN if a fold failed."""

    number: int
    params: Mapping[str, Any]
    value: float
    fold_values: tuple[float, ...]
    state: Literal["done", "failed"]
    cpu_seconds: float
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """What is known of a family after its search.

    ``oof`` are scores from out of fold, (n, k) or (n,) margins, NaN for a row in no validation fold; ``oof_decided``
    the estimator's own decision, -1 there. ``model`` is fitted on ``rows_used`` of all training rows.
    """

    family: str
    params: Mapping[str, Any]
    metric: str
    fold_values: tuple[float, ...]
    oof: Scores
    oof_decided: Codes
    trials: tuple[Trial, ...]
    seconds: float
    cpu_seconds: float
    model: FittedModel
    rows_used: int


def search_family(
    name: str,
    columns: Columns,
    y: NDArray[np.int64],
    schema: Schema,
    folds: Sequence[Fold],
    *,
    metric: str,
    space: Mapping[str, Range] | None,
    trials: int,
    batch: int,
    seed: int,
    executor: Executor,
    notes: Path,
    progress: Progress,
    cost: Mapping[str, float] | None = None,
) -> FamilyResult:
    """Find the family's best parameters and fit them on all training rows.

    Lists only make a grid, tried whole in scikit-learn's order; a range makes an Optuna study of ``trials`` trials,
    proposed ``batch`` at a time. The best mean over the folds wins, of equals the first. What is finished is kept in
    ``notes``: an interrupted search goes on, and ends as if nothing had happened. The result does not depend on the
    executor. Raise InputError if the space is wrong or no trial succeeds.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    family = _known(name, FAMILIES, "train.models", "family")
    _known(metric, METRICS, "train.metric", "metric")
    ranges = family.space if space is None else space
    check_space(family, ranges)
    search = _Search(family, TrainingRows(columns, schema, folds), y, metric, seed, cost, executor, progress)
    search.open_journal(notes, {"space": repr(sorted(ranges.items())), "trials": trials, "batch": batch})
    tried = search.walk_grid(ranges) if is_grid(ranges) else search.walk_study(ranges, trials, batch)
    best = search.best(tried)
    oof, decided = search.out_of_fold(best)
    model = search.fit_best(best)
    # Trials ran here, in workers, or before an interruption: their notes have the time of all; the rest was spent here.
    spent = time.process_time() - cpu - search.in_trials + sum(trial.cpu_seconds for trial in tried)
    return FamilyResult(
        family=name,
        params=best.params,
        metric=metric,
        fold_values=best.fold_values,
        oof=oof,
        oof_decided=decided,
        trials=tuple(tried),
        seconds=time.perf_counter() - wall,
        cpu_seconds=spent,
        model=model,
        rows_used=model.rows_used,
    )


def _known(name: str, table: Mapping[str, Any], where: str, what: str) -> Any:  # noqa: ANN401 - a row of the table
    if name in table:
        return table[name]
    close = get_close_matches(name, table, 1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    raise InputError(f"There is no {what} '{name}'.", where=where, fix=f"{hint}There are: {', '.join(table)}.")


class _Search:
    """One family's search under way: what stays the same for all trials, and the best predictions so far."""

    def __init__(
        self,
        family: Family,
        rows: TrainingRows,
        y: NDArray[np.int64],
        metric: str,
        seed: int,
        cost: Mapping[str, float] | None,
        executor: Executor,
        progress: Progress,
    ) -> None:
        self.family = family
        self.rows = rows
        self.y = np.asarray(y, dtype=np.int64)
        self.metric = metric
        self.seed = seed
        self.cost = cost
        self.executor = executor
        self.progress = progress
        self.classes = len(rows.schema.labels)
        self.sign = METRICS[metric].sign
        self.journal: Journal
        self.in_trials = 0.0
        """CPU seconds of the trials that ran in this very process."""
        self.top = -np.inf
        self.held: tuple[int, list[FoldOutcome]] | None = None
        """Number and outcomes of the best trial, unless it was read from the journal."""

    def open_journal(self, notes: Path, facts: Mapping[str, Any]) -> None:
        key = {
            **facts,
            "family": self.family.name,
            "metric": self.metric,
            "seed": self.seed,
            "cost": self.cost,
            "rows": self.rows.digest,
            "folds": fold_digest(self.y, *(part for fold in self.rows.folds for part in fold)),
        }
        self.journal = Journal(notes, key)

    def walk_grid(self, space: Mapping[str, Range]) -> list[Trial]:
        points = grid(space)
        tried: list[Trial] = []
        for start in range(0, len(points), _GRID_BATCH):
            tried += self.run(points[start : start + _GRID_BATCH], start, len(points))
        return tried

    def walk_study(self, space: Mapping[str, Range], trials: int, batch: int) -> list[Trial]:
        study = Study(space, defaults=self.family.defaults, seed=self.seed, trials=trials)
        tried: list[Trial] = []
        while len(tried) < trials:
            proposals = study.ask(min(batch, trials - len(tried)))
            done = self.run(proposals, len(tried), trials)
            study.tell([self.sign * trial.value for trial in done])
            tried += done
        return tried

    def run(self, points: Sequence[Mapping[str, Any]], first: int, of: int) -> list[Trial]:
        """Try these points on every fold; folds noted in the journal are not run again."""
        missing = [
            (place, fold)
            for place in range(len(points))
            for fold in range(len(self.rows.folds))
            if (first + place, fold) not in self.journal.notes
        ]
        tasks = (self.task(first + place, points[place], fold) for place, fold in missing)
        outcomes = self.executor.map(run_fold, tasks)
        fresh: dict[int, list[FoldOutcome]] = {}
        trials = []
        for place, params in enumerate(points):
            number = first + place
            for _, fold in (pair for pair in missing if pair[0] == place):
                outcome = self.outcome(number, fold, next(outcomes))
                self.journal.add(outcome.note)
                self.in_trials += outcome.note.cpu_seconds if outcome.process == os.getpid() else 0.0
                fresh.setdefault(number, []).append(outcome)
            trial = self.sum_up(number, params)
            self.hold(trial, fresh.pop(number, []))
            trials.append(trial)
            self.progress("trial", self.event(trial, of))
        return trials

    @staticmethod
    def outcome(number: int, fold: int, found: FoldOutcome | Lost) -> FoldOutcome:
        """Return what a worker gave; a fold whose worker ended each time is one that failed."""
        if not isinstance(found, Lost):
            return found
        return FoldOutcome(FoldNote(number, fold, None, 0.0, found.reason), process=0)

    def event(self, trial: Trial, of: int) -> dict[str, Any]:
        return {
            "family": self.family.name,
            "number": trial.number,
            "of": of,
            "value": None if np.isnan(trial.value) else trial.value,
            "best": self.sign * self.top if np.isfinite(self.top) else None,
            "state": trial.state,
        }

    def encoded(self, fold: int | None) -> Encoded:
        encode = self.rows.unread if self.family.blind else self.rows.encode
        return encode(self.family.wants, fold)

    def task(self, number: int, params: Mapping[str, Any], fold: int) -> FoldTask:
        return FoldTask(
            family=self.family.name,
            number=number,
            fold=fold,
            params=params,
            data=self.executor.share(self.data_key(fold), lambda: self.data(fold)),
            classes=self.classes,
            seed=self.seed,
            metric=self.metric,
            cost=self.cost,
        )

    def data(self, fold: int) -> FoldData:
        encoded = self.encoded(fold)
        fit, judge = self.rows.folds[fold]
        matrix, y_fit = encoded.fit, self.y[fit]
        sample = sample_rows(y_fit, self.family.most_rows, self.seed)
        if sample is not None:
            matrix, y_fit = matrix[sample], y_fit[sample]
        assert encoded.judge is not None
        return FoldData(matrix, y_fit, encoded.judge, self.y[judge], encoded.encoding.categorical)

    def data_key(self, fold: int) -> str:
        """Name what `data` gives: other families that read the rows in the same way find it under this name."""
        family = self.family
        wants = "nothing" if family.blind else family.wants
        sample = "all" if family.most_rows is None else f"{family.most_rows}.{self.seed}"
        return f"{self.rows.digest}-{wants}-{sample}-{fold_digest(self.y, *self.rows.folds[fold])}"

    def sum_up(self, number: int, params: Mapping[str, Any]) -> Trial:
        notes = [self.journal.notes[number, fold] for fold in range(len(self.rows.folds))]
        values = tuple(np.nan if note.value is None else note.value for note in notes)
        error = next((note.error for note in notes if note.error), "")
        # A fold that lacks a class has no AUC; the mean is then that of the other folds.
        known = [value for value in values if not np.isnan(value)]
        failed = bool(error) or not known
        return Trial(
            number=number,
            params=params,
            value=np.nan if failed else float(np.mean(known)),
            fold_values=values,
            state="failed" if failed else "done",
            cpu_seconds=sum(note.cpu_seconds for note in notes),
            error=error,
            warnings=tuple(sorted({name for note in notes for name in note.warnings})),
        )

    def hold(self, trial: Trial, outcomes: list[FoldOutcome]) -> None:
        """Keep the predictions of a trial that is better than all before it."""
        if trial.state == "done" and self.sign * trial.value > self.top:
            self.top = self.sign * trial.value
            whole = len(outcomes) == len(self.rows.folds)
            self.held = (trial.number, outcomes) if whole else None

    def best(self, trials: Sequence[Trial]) -> Trial:
        done = [trial for trial in trials if trial.state == "done"]
        if not done:
            reasons = sorted({trial.error or "the metric does not exist on any fold" for trial in trials})
            raise InputError(
                f"No trial of {self.family.name} succeeded: {'; '.join(reasons)}.",
                where=f"train.search.{self.family.name}",
                fix="Change the family's search space, or leave the family out of [train] models.",
            )
        return max(done, key=lambda trial: self.sign * trial.value)  # of equals max takes the first

    def out_of_fold(self, best: Trial) -> tuple[Scores, Codes]:
        """Return the best trial's scores and decisions for every training row that a fold judges."""
        if self.held is not None and self.held[0] == best.number:
            outcomes: Iterable[FoldOutcome | Lost] = self.held[1]
        else:
            folds = range(len(self.rows.folds))
            outcomes = self.executor.map(run_fold, (self.task(best.number, best.params, fold) for fold in folds))
        flat = self.family.gives == "margin" and self.classes == 2
        oof = np.full(len(self.y) if flat else (len(self.y), self.classes), np.nan)
        decided = np.full(len(self.y), -1, dtype=np.int64)
        for outcome, (_, judge) in zip(outcomes, self.rows.folds, strict=True):
            if isinstance(outcome, Lost):
                raise SetupError(
                    f"The best trial of {self.family.name} succeeded once and failed now: {outcome.reason}.",
                    where="run.executor",
                    fix="Take fewer [run] workers, or a machine with more memory, and run again.",
                )
            assert outcome.scores is not None
            assert outcome.decided is not None
            oof[judge] = outcome.scores
            decided[judge] = outcome.decided
        return oof, decided

    def fit_best(self, best: Trial) -> FittedModel:
        encoded = self.encoded(None)
        matrix, y = encoded.fit, self.y
        sample = sample_rows(y, self.family.most_rows, self.seed)
        if sample is not None:
            matrix, y = matrix[sample], y[sample]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator, seen = fit_estimator(
                self.family, best.params, matrix, y, seed=self.seed, categorical=encoded.encoding.categorical
            )
        return FittedModel(
            family=self.family.name,
            params=dict(best.params),
            encoding=encoded.encoding,
            estimator=estimator,
            classes=self.classes,
            seen=seen,
            rows_used=len(y),
            warnings=tuple(sorted({warning.category.__name__ for warning in caught})),
        )
