"""Early stopping: how many boosting rounds a model has is found on rows that were not fitted, or said by the user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss
from tables import Rows, noisy_rows, same

from tahona.executors.processes import ProcessExecutor
from tahona.learn.families import FAMILIES
from tahona.learn.folds import TrainingRows
from tahona.learn.model import ask, fit_estimator
from tahona.learn.trial import FoldData, FoldTask, run_fold
from tahona.project.model import IntRange

BOOSTED = pytest.mark.parametrize("family", ["lightgbm", "xgboost"])
SLOW = {"learning_rate": 0.1}
"""A rate at which a few hundred rows are learnt by heart long before the last round."""


@pytest.fixture(scope="module")
def rows() -> Rows:
    return noisy_rows()


def trees(estimator: object) -> int:
    """Return the boosting rounds of a LightGBM or XGBoost booster."""
    count = getattr(estimator, "num_boosted_rounds", None) or estimator.current_iteration  # type: ignore[attr-defined]
    return int(count())


def noted(journal: Path) -> list[int]:
    """Return the rounds in a journal, in its order."""
    return [json.loads(line)["rounds"] for line in journal.read_text("utf-8").splitlines()]


@BOOSTED
def test_a_fold_stops_where_its_judged_rows_are_told_best(family: str, rows: Rows) -> None:
    """The peer is one fit per number of rounds, without early stopping: the log loss says which was best."""
    row, training = FAMILIES[family], TrainingRows(rows.columns, rows.schema, rows.folds)
    encoded, part = training.encode(row.wants, 0), training.parts[0]
    assert encoded.judge is not None
    y_fit, y_judge = rows.y[part.fit], rows.y[part.judged]
    data = FoldData(encoded.fit, y_fit, encoded.judge, y_judge, encoded.encoding.categorical, part.sizes)
    outcome = run_fold(FoldTask(family, 0, 0, SLOW, data, 2, 1, "roc_auc", None))
    found = outcome.note.rounds
    assert found is not None
    assert outcome.scores is not None
    losses = {}
    for count in range(max(1, found - 15), found + 16):
        params = {**SLOW, "n_estimators": count}
        estimator, seen, none = fit_estimator(
            row, params, encoded.fit, y_fit, seed=1, categorical=encoded.encoding.categorical
        )
        assert none is None
        scores, _ = ask(row, estimator, encoded.judge, seen, 2)
        losses[count] = log_loss(y_judge, scores)
        if count == found:
            assert scores.tobytes() == outcome.scores.tobytes()
    assert losses[found] == pytest.approx(min(losses.values()), abs=1e-6)


@BOOSTED
def test_the_fit_on_all_rows_takes_the_mean_of_what_the_folds_found(family: str, rows: Rows, tmp_path: Path) -> None:
    result = rows.search(family, tmp_path, space={"learning_rate": (0.1,)})
    (trial,), (journal,) = result.trials, tmp_path.iterdir()
    found = noted(journal)
    assert len(found) == len(rows.folds)
    assert trial.rounds == round(np.mean(found)) < 200
    assert result.params == {"learning_rate": 0.1, "n_estimators": trial.rounds}
    assert [trees(estimator) for estimator in result.model.estimators] == [trial.rounds]


@BOOSTED
def test_rounds_that_the_user_names_are_taken_as_they_stand(family: str, rows: Rows, tmp_path: Path) -> None:
    result = rows.search(family, tmp_path, space={"n_estimators": (7, 150)})
    assert [trial.rounds for trial in result.trials] == [None, None]
    assert sorted(trees(estimator) for estimator in result.model.estimators) == sorted(
        result.trials[number].params["n_estimators"] for number, _ in result.members
    )
    searched = rows.search(family, tmp_path, space={"n_estimators": IntRange(int=(5, 30))}, trials=3)
    assert [trial.rounds for trial in searched.trials] == [None] * 3
    assert all(5 <= trial.params["n_estimators"] <= 30 for trial in searched.trials)


@BOOSTED
def test_a_class_that_was_not_fitted_does_not_stop_the_watching(family: str, tmp_path: Path) -> None:
    """The first fold fits two of the three classes and judges all; a class it never saw has probability zero."""
    rows = noisy_rows(classes=3)
    fit, judged = rows.folds[0]
    folds = ((fit[rows.y[fit] != 1], judged), *rows.folds[1:])
    result = rows._replace(folds=folds).search(family, tmp_path, metric="accuracy", space={"learning_rate": (0.1,)})
    assert result.trials[0].state == "done"
    assert len(noted(next(tmp_path.iterdir()))) == 3
    assert set(result.oof[judged, 1]) == {0.0}
    assert not np.isnan(result.oof).any()
    assert (result.oof[rows.folds[1][1], 1] > 0).all()


def test_one_worker_or_two_stop_at_the_same_rounds(tmp_path: Path) -> None:
    """And mix the same trials, to the last bit."""
    rows, metric = noisy_rows(rows=900, seed=1), "log_loss"
    alone = {family: rows.search(family, tmp_path / "alone", metric=metric) for family in ("lightgbm", "xgboost")}
    assert all(len(result.members) > 1 for result in alone.values())
    for workers in (1, 2):
        executor = ProcessExecutor(workers)
        for family, result in alone.items():
            together = rows.search(family, tmp_path / str(workers), metric=metric, executor=executor)
            assert same(result, together, rows.columns), (family, workers)
        executor.close()


@BOOSTED
def test_an_interrupted_search_goes_on_to_the_same_rounds(family: str, rows: Rows, tmp_path: Path) -> None:
    """What a kill leaves is the head of the journal, perhaps with half a line."""
    whole = rows.search(family, tmp_path / "whole", trials=6, batch=2)
    (journal,) = (tmp_path / "whole").iterdir()
    lines = journal.read_bytes().splitlines(keepends=True)
    for place, kept in enumerate((1, len(lines) // 2, len(lines) - 1, len(lines))):
        notes = tmp_path / str(place)
        notes.mkdir()
        torn = lines[kept][:20] if kept < len(lines) else b""
        (notes / journal.name).write_bytes(b"".join(lines[:kept]) + torn)
        assert same(whole, rows.search(family, notes, trials=6, batch=2), rows.columns), kept
        again = (notes / journal.name).read_bytes()
        assert again.startswith(b"".join(lines[:kept]))
        assert again.count(b"\n") == len(lines)
