"""The test rows leave no trace in a model, and nothing but the seed decides what a model is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import QUICK, Command, all_outputs, edit, output, outputs, quick_table, write_project

WORDS = ("grain", "flour", "stone", "water", "wheel", "sack", "rye", "barley")
RICH = QUICK.partition("[train.search.tree]")[0].replace('"tree", "logistic_regression"', '"lightgbm", "linear_svc"')
FOREIGN = "violet"


def rich_table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    table = quick_table(300)
    table["note"] = [" ".join(rng.choice(WORDS, 9)) for _ in range(len(table))]
    table["day"] = rng.permutation(len(table))
    return table


def with_other_rows(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Change everything in these rows but the day: numbers, categories, texts, nulls, labels."""
    changed = table.copy()
    changed.loc[rows, "size"] = table.loc[rows, "size"] * -30 + 500
    changed.loc[rows[::3], "weight"] = np.nan
    changed.loc[rows, "colour"] = FOREIGN
    changed.loc[rows, "note"] = "nothing of this stands in any training row"
    changed.loc[rows, "label"] = table.loc[rows, "label"].map({"yes": "no", "no": "yes"})
    return changed


def run(command: Command, folder: Path, *words: str) -> None:
    answer = command("run", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr


@pytest.mark.parametrize("split", ["stratify = false", 'kind = "time"\nby = "day"'])
def test_changing_the_test_rows_changes_nothing_that_was_fitted(tmp_path: Path, here: Command, split: str) -> None:
    """Encodings, models, search values, out-of-fold scores, calibrators, threshold, leaderboard, the bundle's bytes."""
    text = RICH.replace("[split]", f'types = {{ note = "text" }}\n\n[split]\n{split}').replace(
        "[train]", '[decision]\nmaximize = "f1"\n\n[train]\ntrials = 3'
    )
    first = write_project(tmp_path / "first", text, rich_table())
    run(here, first)
    rows = pd.read_parquet(output(first, "split", "test.parquet"))["_row"].to_numpy()
    assert len(rows) == 60
    second = write_project(tmp_path / "second", text, with_other_rows(rich_table(), rows))
    run(here, second)
    assert outputs(first, "split")["test.parquet"] != outputs(second, "split")["test.parquet"]
    for step in ("train@dummy", "train@lightgbm", "train@linear_svc", "select"):
        ours, theirs = outputs(first, step), outputs(second, step)
        assert set(ours) == set(theirs)
        assert [name for name in ours if ours[name] != theirs[name]] in (["timing.json"], [])
    before = pd.read_parquet(output(first, "evaluate", "predictions.parquet"))
    after = pd.read_parquet(output(second, "evaluate", "predictions.parquet"))
    assert not before.equals(after)


@pytest.mark.slow
def test_workers_and_threads_decide_nothing(tmp_path: Path, here: Command, tahona: Command) -> None:
    """The same seed here, and elsewhere with two workers and two threads, over an Optuna study and a grid."""
    text = RICH.replace('"linear_svc"', '"random_forest"').replace("[train]", "[train]\ntrials = 3\nbatch = 2")
    text += "\n[train.search.random_forest]\nn_estimators = [10, 20]\n"
    folders = [write_project(tmp_path / name, text) for name in ("here", "there")]
    for folder in folders:
        edit(folder, 'metric = "roc_auc"', 'metric = "log_loss"')
    run(here, folders[0])
    answer = tahona(
        "run",
        "-C",
        folders[1],
        "--json",
        "--set",
        "run.executor=processes",
        "--set",
        "run.workers=2",
        env={"OMP_NUM_THREADS": "2"},
    )
    assert answer.code == 0, answer.stderr
    here_said, there_said = (output(folder, "evaluate", "predictions.parquet").read_bytes() for folder in folders)
    assert here_said == there_said
    assert all_outputs(folders[0]) == all_outputs(folders[1])


def test_another_seed_is_another_model(tmp_path: Path, here: Command) -> None:
    folders = [write_project(tmp_path / name) for name in ("one", "two")]
    run(here, folders[0])
    run(here, folders[1], "--set", "split.seed=43")
    assert outputs(folders[0], "select")["bundle.zip"] != outputs(folders[1], "select")["bundle.zip"]
