"""The search of one family's parameters on folds of the training rows, and the fit of the best on all of them."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.core.metrics import METRICS
from tahona.errors import InputError, SetupError
from tahona.learn.budget import Allowance, rows_in_time
from tahona.learn.ensemble import DecisionRule, greedy_weights, mix
from tahona.learn.families import FAMILIES, Family
from tahona.learn.families.family import Codes, Limit, Matrix, Scores
from tahona.learn.folds import Encoded, Fold, TrainingRows, fold_digest
from tahona.learn.journal import FoldNote, Journal
from tahona.learn.model import FittedModel, fit_estimator, sample_rows
from tahona.learn.race import Race
from tahona.learn.space import Study, check_space, grid, is_grid
from tahona.learn.trial import FoldData, FoldOutcome, FoldTask, run_fold
from tahona.ports import Lost

if TYPE_CHECKING:
    from tahona.core.schema import Schema
    from tahona.learn.columns import Columns
    from tahona.ports import Executor
    from tahona.project.model import Range

Progress = Callable[[str, Mapping[str, Any]], None]

MEMBERS = 4
"""Trials of which a family with boosting rounds may be mixed."""
MIX_GAIN = 5e-4
"""How much better than its best trial a family's mixture must be: it costs one more fit on all rows per member. Where
a time limit pays for these, any gain will do."""
_IDLE = 30
"""Trials without a better one after which a family with few parameters leaves the rest of a time limit to others."""
_TRIALS = 20
"""Trials of a study for which neither the project file nor a portfolio says how many."""
_MOST_TRIALS = 10_000
"""Trials of a study that ends in time, where the project file does not say how many."""
_GRID_BATCH = 16
"""Grid points under way at a time: bounds the out-of-fold scores held in memory. No result depends on it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the search space. ``value`` is the mean over the folds, NaN if a fold failed.

    A ``dropped`` trial was clearly behind after some of the folds: its value is what they let expect. ``rounds`` is the
    mean of what early stopping found on each part, None where the parameters or the family leave nothing open.
    """

    number: int
    params: Mapping[str, Any]
    value: float
    fold_values: tuple[float, ...]
    state: Literal["done", "dropped", "failed"]
    cpu_seconds: float
    rounds: int | None = None
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
    members: tuple[tuple[int, float], ...]
    """Numbers of the trials that the model is made of, with their weights: the best one, or a mixture."""
    metric: str
    fold_values: tuple[float, ...]
    oof: Scores
    oof_decided: Codes
    trials: tuple[Trial, ...]
    seconds: float
    cpu_seconds: float
    model: FittedModel
    rows_used: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search settled on: trials and their weights, and what they said out of fold."""

    members: tuple[tuple[Trial, float], ...]
    fold_values: tuple[float, ...]
    oof: Scores
    decided: Codes


def search_family(
    name: str,
    columns: Columns,
    y: NDArray[np.int64],
    schema: Schema,
    folds: Sequence[Fold],
    *,
    metric: str,
    space: Mapping[str, Range] | None,
    trials: int | None,
    batch: int,
    seed: int,
    executor: Executor,
    notes: Path,
    progress: Progress,
    cost: Mapping[str, float] | None = None,
    limit: Limit | None = None,
) -> FamilyResult:
    """Find the family's best parameters and fit them on all training rows.

    Lists only make a grid, tried whole in scikit-learn's order; a range makes an Optuna study of ``trials`` trials,
    proposed ``batch`` at a time, that begins with the family's portfolio. ``trials`` None is the portfolio alone in the
    family's own space, 20 in another. The best mean over the folds wins, of equals the first. What is finished is kept
    in ``notes``: an interrupted search goes on, and ends as if nothing had happened. The result does not depend on the
    executor, unless there is a ``limit`` of time: a study then goes on as long as another trial fits, up to ``trials``.
    Raise InputError if the space is wrong or no trial succeeds.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    family = _known(name, FAMILIES, "train.models", "family")
    _known(metric, METRICS, "train.metric", "metric")
    ranges = family.space if space is None else space
    check_space(family, ranges)
    search = _Search(family, TrainingRows(columns, schema, folds), y, metric, seed, cost, executor, progress)
    search.open_journal(notes, {"space": repr(sorted(ranges.items())), "trials": trials, "batch": batch})
    if limit is not None:
        search.bound(limit)
    if is_grid(ranges):
        tried = search.walk_grid(ranges)
    else:
        first = family.portfolio if space is None else ()
        most = (len(first) or _TRIALS) if limit is None else _MOST_TRIALS
        tried = search.walk_study(ranges, first or ({},), trials or most, batch)
    found = search.finish(tried)
    model = search.fit(found.members)
    # Trials ran here, in workers, or before an interruption: their notes have the time of all; the rest was spent here.
    spent = time.process_time() - cpu - search.in_trials + sum(trial.cpu_seconds for trial in tried)
    return FamilyResult(
        family=name,
        params=model.params,
        members=tuple((trial.number, weight) for trial, weight in found.members),
        metric=metric,
        fold_values=found.fold_values,
        oof=found.oof,
        oof_decided=found.decided,
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
        self.y_digest = fold_digest(self.y)
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
        self.members = 1 if family.rounds is None else MEMBERS
        self.tops: list[Trial] = []
        """The best trials so far, the best first; of equals the earlier."""
        self.held: dict[int, list[FoldOutcome]] = {}
        """Their outcomes by number, unless they were read from the journal."""
        self.most_rows = family.most_rows
        self.allowance: Allowance | None = None

    def open_journal(self, notes: Path, facts: Mapping[str, Any]) -> None:
        key = {
            **facts,
            "family": self.family.name,
            "metric": self.metric,
            "seed": self.seed,
            "cost": self.cost,
            "rows": self.rows.digest,
            "parts": [part.digest for part in self.rows.parts],
            "y": self.y_digest,
        }
        self.journal = Journal(notes, key)

    def bound(self, limit: Limit) -> None:
        """Let the search end in time; where even the first trial would take too long, learn from fewer rows."""
        rows = [len(part.fit) for part in self.rows.parts]
        share = sum(rows) / len(self.y)
        self.allowance = Allowance(limit.clock, limit.seconds, share, len(rows))
        if self.family.rounds is None and not self.family.blind:
            self.most_rows = rows_in_time(self.allowance, self.probe, len(self.y), self.most_rows)

    def probe(self, rows: int) -> None:
        """Fit the family's default on so many rows, to see what it costs."""
        matrix, y = self.sampled(self.encoded(None).fit, self.y, rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_estimator(self.family, {}, matrix, y, seed=self.seed)

    def walk_grid(self, space: Mapping[str, Range]) -> list[Trial]:
        points = grid(space)
        tried: list[Trial] = []
        size = _GRID_BATCH if self.allowance is None else self.executor.workers
        for start in range(0, len(points), size):
            if tried and not self.in_time(tried):
                break
            tried += self.run(points[start : start + size], start, len(points))
        return tried

    def walk_study(
        self, space: Mapping[str, Range], first: Sequence[Mapping[str, Any]], trials: int, batch: int
    ) -> list[Trial]:
        """Try what is proposed; once three trials are known, leave those behind that are clearly worse."""
        if self.allowance is not None:
            batch = min(batch, self.executor.workers)
        study = Study(space, first=first, defaults=self.family.defaults, seed=self.seed, trials=trials)
        tried: list[Trial] = []
        while len(tried) < trials and (not tried or self.in_time(tried)):
            proposals = study.ask(min(batch, trials - len(tried)))
            done = self.run(proposals, len(tried), trials, rivals=tried if len(self.rows.parts) > 1 else ())
            study.tell([self.sign * trial.value for trial in done])
            tried += done
        return tried

    def in_time(self, tried: Sequence[Trial]) -> bool:
        """Tell whether there is time for another trial, and hope."""
        if self.allowance is None:
            return True
        boosted = self.family.rounds is not None
        idle = bool(self.tops) and not boosted and len(tried) - self.tops[0].number > _IDLE
        return not idle and self.allowance.fits(self.last_fit(), short=boosted)

    def last_fit(self) -> float:
        """Return what the trials cost for whose fit on all rows time is kept."""
        return sum(trial.cpu_seconds for trial in self.tops)

    def run(
        self, points: Sequence[Mapping[str, Any]], first: int, of: int, rivals: Sequence[Trial] = ()
    ) -> list[Trial]:
        """Try these points on every part; what is noted in the journal is not run again.

        With enough ``rivals`` the parts come one after the other, and only points not clearly behind stay in the race.
        """
        left = self.allowance.left if self.allowance else 0.0
        race = Race([trial.fold_values for trial in rivals if trial.state == "done"], self.sign)
        parts = range(len(self.rows.parts))
        fresh: dict[int, list[FoldOutcome]] = {first + place: [] for place in range(len(points))}
        running = {first + place: params for place, params in enumerate(points)}
        for stage in [(part,) for part in parts] if race.on else [tuple(parts)]:
            self.run_stage(running, stage, fresh)
            running = {
                number: params
                for number, params in running.items()
                if not race.lost([value for note in self.notes_of(number) for value in note.values])
            }
        trials = []
        for place, params in enumerate(points):
            trial = self.sum_up(first + place, params, race)
            self.hold(trial, fresh[trial.number])
            trials.append(trial)
            self.progress("trial", self.event(trial, of))
        if self.allowance is not None and any(fresh.values()):
            at_once = min(self.executor.workers, len(points))
            self.allowance.tell(left - self.allowance.left, [trial.cpu_seconds for trial in trials], at_once)
        return trials

    def run_stage(
        self, points: Mapping[int, Mapping[str, Any]], parts: Sequence[int], fresh: dict[int, list[FoldOutcome]]
    ) -> None:
        """Run these trials on these parts, and note how each went as soon as it is known."""
        missing = [(number, part) for number in points for part in parts if (number, part) not in self.journal.notes]
        tasks = (self.task(number, points[number], part) for number, part in missing)
        for (number, part), found in zip(missing, self.executor.map(run_fold, tasks), strict=True):
            outcome = found
            if isinstance(outcome, Lost):
                outcome = FoldOutcome(FoldNote(number, part, (), 0.0, outcome.reason), process=0)
            self.journal.add(outcome.note)
            here = outcome.process == os.getpid()
            self.in_trials += outcome.note.cpu_seconds if here else 0.0
            if self.allowance is not None and not here:
                self.allowance.elsewhere += outcome.note.cpu_seconds
            fresh[number].append(outcome)

    def settled(self, trial: Trial) -> dict[str, Any]:
        """Return the trial's parameters with the rounds that early stopping found."""
        found = {} if self.family.rounds is None or trial.rounds is None else {self.family.rounds: trial.rounds}
        return {**trial.params, **found}

    def notes_of(self, number: int) -> list[FoldNote]:
        """Return what is noted of a trial, part by part, up to the first that was not run."""
        found = (self.journal.notes.get((number, part)) for part in range(len(self.rows.parts)))
        return list(takewhile(lambda note: note is not None, found))  # type: ignore[arg-type]

    def event(self, trial: Trial, of: int) -> dict[str, Any]:
        return {
            "family": self.family.name,
            "number": trial.number,
            "of": of,
            "value": None if np.isnan(trial.value) else trial.value,
            "best": self.tops[0].value if self.tops else None,
            "state": trial.state,
        }

    def encoded(self, part: int | None) -> Encoded:
        encode = self.rows.unread if self.family.blind else self.rows.encode
        return encode(self.family.wants, part)

    def task(self, number: int, params: Mapping[str, Any], part: int) -> FoldTask:
        return FoldTask(
            family=self.family.name,
            number=number,
            part=part,
            params=params,
            data=self.executor.share(self.data_key(part), lambda: self.data(part)),
            classes=self.classes,
            seed=self.seed,
            metric=self.metric,
            cost=self.cost,
            limit=self.allowance.limit(self.last_fit()) if self.allowance else None,
        )

    def data(self, number: int) -> FoldData:
        encoded, part = self.encoded(number), self.rows.parts[number]
        matrix, y_fit = self.sampled(encoded.fit, self.y[part.fit], self.most_rows)
        assert encoded.judge is not None
        return FoldData(matrix, y_fit, encoded.judge, self.y[part.judged], encoded.encoding.categorical, part.sizes)

    def sampled(self, matrix: Matrix, y: NDArray[np.int64], most: int | None) -> tuple[Matrix, NDArray[np.int64]]:
        """Return at most so many of these rows, always the same ones."""
        sample = sample_rows(y, most, self.seed)
        return (matrix, y) if sample is None else (matrix[sample], y[sample])

    def data_key(self, part: int) -> str:
        """Name what `data` gives: other families that read the rows in the same way find it under this name."""
        family = self.family
        wants = "nothing" if family.blind else family.wants
        sample = "all" if self.most_rows is None else f"{self.most_rows}.{self.seed}"
        return f"{self.rows.digest}-{wants}-{sample}-{self.rows.parts[part].digest}-{self.y_digest}"

    def sum_up(self, number: int, params: Mapping[str, Any], race: Race) -> Trial:
        notes = self.notes_of(number)
        values = tuple(
            value
            for note, part in zip(notes, self.rows.parts, strict=False)
            for value in note.values or (np.nan,) * len(part.sizes)
        )
        error = next((note.error for note in notes if note.error), "")
        # A fold that lacks a class has no AUC; the mean is then that of the other folds.
        known = [value for value in values if not np.isnan(value)]
        failed = bool(error) or not known
        whole = len(notes) == len(self.rows.parts)
        rounds = [note.rounds for note in notes if note.rounds is not None]
        return Trial(
            number=number,
            params=params,
            value=np.nan if failed else float(np.mean(known)) if whole else race.expected(values),
            fold_values=values,
            state="failed" if failed else "done" if whole else "dropped",
            cpu_seconds=sum(note.cpu_seconds for note in notes),
            rounds=max(1, round(sum(rounds) / len(rounds))) if rounds else None,
            error=error,
            warnings=tuple(sorted({name for note in notes for name in note.warnings})),
        )

    def hold(self, trial: Trial, outcomes: list[FoldOutcome]) -> None:
        """Keep the predictions of the best trials, those that were not read from the journal."""
        if trial.state != "done":
            return
        self.tops = sorted([*self.tops, trial], key=lambda each: -self.sign * each.value)[: self.members]
        if len(outcomes) == len(self.rows.parts):
            self.held[trial.number] = outcomes
        kept = {each.number for each in self.tops}
        self.held = {number: outcomes for number, outcomes in self.held.items() if number in kept}

    def finish(self, trials: Sequence[Trial]) -> Found:
        """Take the best trial, or a mixture of the best few where that is clearly better and the family allows it."""
        if not self.tops:
            reasons = sorted({trial.error or "the metric does not exist on any fold" for trial in trials})
            raise InputError(
                f"No trial of {self.family.name} succeeded: {'; '.join(reasons)}.",
                where=f"train.search.{self.family.name}",
                fix="Change the family's search space, or leave the family out of [train] models.",
            )
        if self.allowance is not None:
            self.tops = self.tops[: self.allowance.affordable([trial.cpu_seconds for trial in self.tops])]
        best, *others = self.tops
        oof, decided = self.out_of_fold(best)
        alone = Found(((best, 1.0),), best.fold_values, oof, decided)
        if not others:
            return alone
        scores = {str(best.number): oof} | {str(trial.number): self.out_of_fold(trial)[0] for trial in others}
        folds = [
            (part.fit, block) for part in self.rows.parts for block in np.split(part.judged, np.cumsum(part.sizes)[:-1])
        ]
        rule = DecisionRule(cost=self.cost)
        gain = (
            MIX_GAIN if self.allowance is None else 0.0
        )  # time for the last fits is kept then: they cost nothing more
        mixture = greedy_weights(scores, self.y, folds, self.metric, rule=rule, gain=gain)
        if not mixture.weights:
            return alone
        mixed = mix(scores, mixture.weights)
        known = ~np.isnan(mixed[:, 0])
        members = tuple((trial, mixture.weights.get(str(trial.number), 0.0)) for trial in self.tops)
        return Found(
            tuple(member for member in members if member[1]),
            mixture.fold_values,
            mixed,
            np.where(known, np.argmax(np.nan_to_num(mixed), axis=1), -1),
        )

    def out_of_fold(self, trial: Trial) -> tuple[Scores, Codes]:
        """Return a trial's scores and decisions for every training row that a fold judges."""
        outcomes: Iterable[FoldOutcome | Lost]
        if trial.number in self.held:
            outcomes = self.held[trial.number]
        else:
            parts = range(len(self.rows.parts))
            outcomes = self.executor.map(run_fold, (self.task(trial.number, trial.params, part) for part in parts))
        flat = self.family.gives == "margin" and self.classes == 2
        oof = np.full(len(self.y) if flat else (len(self.y), self.classes), np.nan)
        decided = np.full(len(self.y), -1, dtype=np.int64)
        for outcome, part in zip(outcomes, self.rows.parts, strict=True):
            if isinstance(outcome, Lost):
                raise SetupError(
                    f"The best trial of {self.family.name} succeeded once and failed now: {outcome.reason}.",
                    where="run.executor",
                    fix="Take fewer [run] workers, or a machine with more memory, and run again.",
                )
            assert outcome.scores is not None
            assert outcome.decided is not None
            oof[part.judged] = outcome.scores
            decided[part.judged] = outcome.decided
        return oof, decided

    def fit(self, members: Sequence[tuple[Trial, float]]) -> FittedModel:
        """Fit the chosen parameters on all training rows."""
        encoded = self.encoded(None)
        matrix, y = self.sampled(encoded.fit, self.y, self.most_rows)
        estimators = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for trial, _ in members:
                estimator, seen, _ = fit_estimator(
                    self.family,
                    self.settled(trial),
                    matrix,
                    y,
                    seed=self.seed,
                    categorical=encoded.encoding.categorical,
                )
                estimators.append(estimator)
        return FittedModel(
            family=self.family.name,
            params=self.settled(members[0][0]),
            encoding=encoded.encoding,
            estimators=tuple(estimators),
            classes=self.classes,
            seen=seen,
            rows_used=len(y),
            weights=tuple(weight for _, weight in members),
            warnings=tuple(sorted({warning.category.__name__ for warning in caught})),
        )
