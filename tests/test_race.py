"""The race: a trial clearly behind after some folds is dropped, and what wins is what would have won without."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tables import Rows, noisy_rows, same

from tahona.executors.processes import ProcessExecutor
from tahona.learn.race import Race
from tahona.project.model import FloatRange, IntRange

WHOLE = [(0.80, 0.84, 0.78, 0.82), (0.79, 0.84, 0.76, 0.82), (0.70, 0.75, 0.68, 0.73), (0.78, 0.83, 0.77, 0.80)]
"""Trials that ran on four folds, the best first. Against it the others differ by about as much on every fold."""


def test_nothing_is_dropped_before_three_trials_are_known() -> None:
    assert not Race(WHOLE[:2], 1).lost((0.1, 0.1))
    assert Race(WHOLE[:3], 1).lost((0.1, 0.1))
    unknown = [*WHOLE[:2], (0.7, math.nan, 0.7, 0.7)]
    assert not Race(unknown, 1).lost((0.1, 0.1)), "a fold without a value makes no rival"
    assert not Race([(0.8,), (0.7,), (0.6,)], 1).lost((0.1,)), "a single fold has nothing to spare"


def test_a_trial_is_behind_by_fold_not_by_its_mean() -> None:
    """The third fold is hard for all: a low value there is no reason."""
    race = Race(WHOLE, 1)
    assert not race.lost((0.80, 0.84, 0.78))
    assert not race.lost((0.80, 0.83, 0.78))
    assert race.lost((0.74, 0.78, 0.78))
    assert not race.lost((0.74, math.nan)), "nothing is known of a fold without a value"
    assert not race.lost(())


def test_more_folds_make_smaller_differences_certain() -> None:
    race = Race(WHOLE, 1)
    behind = 1.5 * race.noise
    found = [race.lost([value - behind for value in WHOLE[0][:folds]]) for folds in (1, 2, 3)]
    assert found == [False, True, True]


def test_where_less_is_better_more_is_behind() -> None:
    losses = [tuple(1 - value for value in values) for values in WHOLE]
    race = Race(losses, -1)
    assert race.best == losses[0]
    assert race.lost((0.5, 0.5))
    assert not race.lost((0.1, 0.1))
    for values in ((0.74, 0.78), (0.79, 0.83), (0.9, 0.9)):
        assert race.lost([1 - value for value in values]) == Race(WHOLE, 1).lost(values)


def test_a_dropped_trial_is_told_as_its_folds_let_expect() -> None:
    """Behind by .06 and .04 on two folds: .05 below the best one's mean over all four."""
    assert Race(WHOLE, 1).expected((0.74, 0.80)) == pytest.approx(np.mean(WHOLE[0]) - 0.05)
    assert Race(WHOLE, 1).expected(WHOLE[3]) == pytest.approx(np.mean(WHOLE[3]))


DEPTHS = range(1, 13)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return noisy_rows(rows=400, folds=5)


def test_the_winner_is_that_of_the_whole_grid_and_whoever_was_dropped_is_no_better(rows: Rows, tmp_path: Path) -> None:
    """A grid has no race: it tells what each dropped trial would have had."""
    grid = rows.search("tree", tmp_path / "grid", space={"max_depth": tuple(DEPTHS)})
    assert {trial.state for trial in grid.trials} == {"done"}
    truth = {trial.params["max_depth"]: trial for trial in grid.trials}
    study = rows.search("tree", tmp_path / "study", space={"max_depth": IntRange(int=(1, 12))}, trials=30)
    assert study.params == grid.params
    assert study.fold_values == grid.fold_values
    dropped = [trial for trial in study.trials if trial.state == "dropped"]
    assert len(dropped) >= 5
    for trial in study.trials:
        whole = truth[trial.params["max_depth"]]
        assert trial.fold_values == whole.fold_values[: len(trial.fold_values)]
        assert trial.state == "dropped" or trial.value == whole.value
    for trial in dropped:
        assert len(trial.fold_values) < len(rows.folds)
        assert truth[trial.params["max_depth"]].value < np.mean(grid.fold_values)
        assert trial.value < np.mean(grid.fold_values)
    (journal,) = (tmp_path / "study").iterdir()
    noted = journal.read_text("utf-8").count("\n")
    assert noted == sum(len(trial.fold_values) for trial in study.trials) < 30 * len(rows.folds)


def test_two_workers_and_an_interruption_drop_the_same(rows: Rows, tmp_path: Path) -> None:
    space = {"max_depth": IntRange(int=(1, 12)), "min_samples_leaf": IntRange(int=(1, 60), log=True)}
    alone = rows.search("tree", tmp_path / "alone", space=space, trials=16)
    assert "dropped" in {trial.state for trial in alone.trials}
    executor = ProcessExecutor(2)
    together = rows.search("tree", tmp_path / "two", space=space, trials=16, executor=executor)
    executor.close()
    assert same(alone, together, rows.columns)
    (journal,) = (tmp_path / "alone").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    for kept in range(30, len(lines), 7):
        notes = tmp_path / str(kept)
        notes.mkdir()
        (notes / journal.name).write_bytes(b"".join(lines[:kept]) + lines[kept][:9])
        assert same(alone, rows.search("tree", notes, space=space, trials=16), rows.columns), kept
        assert (notes / journal.name).read_bytes().count(b"\n") == len(lines)


def test_a_trial_that_fails_is_failed_not_dropped(rows: Rows, tmp_path: Path) -> None:
    """And it is no rival: the others are told against those that ended well."""
    result = rows.search("svc", tmp_path, space={"C": FloatRange(float=(-0.5, 1.0))}, trials=16)
    states = [trial.state for trial in result.trials]
    assert states.count("failed") >= 2
    assert all(math.isnan(trial.value) for trial in result.trials if trial.state == "failed")
    assert all(trial.params["C"] <= 0 for trial in result.trials if trial.state == "failed")
    assert result.params["C"] > 0
