"""The search: honest numbers, the same result however it is run or interrupted, plain words when it cannot be."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tahona.errors import InputError
from tahona.executors.inline import InlineExecutor
from tahona.executors.processes import ProcessExecutor
from tahona.learn.columns import Columns, infer_schema, to_columns, to_labels
from tahona.learn.families import FAMILIES
from tahona.learn.folds import EncodedFolds, TrainingRows, shared_folds
from tahona.learn.journal import FoldNote, Journal
from tahona.learn.search import FamilyResult, search_family
from tahona.learn.space import Study, check_space, grid, is_grid
from tahona.project.model import FloatRange, IntRange

S0_GRIDS = {
    "tree": {
        "criterion": ("gini", "entropy"),
        "max_depth": ("none", 10, 20, 30),
        "min_samples_split": (2, 5, 10),
        "min_samples_leaf": (1, 2, 5),
    },
    "svc": {"C": (0.1, 1, 10), "kernel": ("linear", "rbf"), "gamma": ("scale", "auto")},
    "knn": {"n_neighbors": (3, 5, 7), "weights": ("uniform", "distance"), "metric": ("euclidean", "manhattan")},
    "logistic_regression": {"C": (0.1, 1, 10), "penalty": ("l2",), "solver": ("lbfgs",), "max_iter": (10_000,)},
}
HONEST = {
    "tree": (72, {"criterion": "entropy", "max_depth": None, "min_samples_leaf": 2, "min_samples_split": 10}),
    "svc": (12, {"C": 0.1, "kernel": "linear", "gamma": "scale"}),
    "knn": (12, {"n_neighbors": 3, "metric": "manhattan", "weights": "uniform"}),
    "logistic_regression": (3, {"C": 1, "penalty": "l2", "solver": "lbfgs", "max_iter": 10_000}),
}
HONEST_TEST = {
    "tree": (0.9667, 0.9206, 0.9431, 0.9496),
    "svc": (0.9839, 0.9683, 0.9760, 0.9979),
    "knn": (0.9677, 0.9524, 0.9600, 0.9815),
    "logistic_regression": (0.9688, 0.9841, 0.9764, 0.9979),
}
"""Precision, recall and F1 of malignant, and the AUC, on the 171 test rows."""
PARITY = {
    "tree": (
        {"criterion": "entropy", "max_depth": None, "min_samples_leaf": 2, "min_samples_split": 10},
        (0.9667, 0.9206, 0.9431, 0.9496),
        [[58, 5], [2, 106]],
    ),
    "svc": ({"C": 1, "kernel": "linear"}, (0.9683, 0.9683, 0.9683, 0.9965), [[61, 2], [2, 106]]),
    "knn": (
        {"n_neighbors": 3, "weights": "uniform", "metric": "euclidean"},
        (0.9516, 0.9365, 0.9440, 0.9763),
        [[59, 4], [3, 105]],
    ),
    "logistic_regression": (
        {"C": 1, "penalty": "l2", "solver": "lbfgs", "max_iter": 10_000},
        (0.9688, 0.9841, 0.9764, 0.9979),
        [[62, 1], [2, 106]],
    ),
}


class Cancer:
    """Breast cancer as the first system split it: 398 rows train, 171 test, five unshuffled folds."""

    def __init__(self) -> None:
        data = load_breast_cancer(as_frame=True)
        frame = data.data.assign(diagnosis=data.target.map({0: "malignant", 1: "benign"}))
        self.schema, _ = infer_schema(frame, target="diagnosis", positive="malignant")
        train, test = train_test_split(frame, test_size=0.3, random_state=42)
        self.train, self.test = train.reset_index(drop=True), test.reset_index(drop=True)
        self.columns, self.y = to_columns(self.train, self.schema), to_labels(self.train["diagnosis"], self.schema)
        self.test_columns = to_columns(self.test, self.schema)
        self.y_test = to_labels(self.test["diagnosis"], self.schema)
        self.folds = tuple(StratifiedKFold(5).split(np.zeros(len(self.y)), self.y))

    def search(self, name: str, notes: Path, **changes: object) -> FamilyResult:
        settings: dict = {
            "metric": "f1",
            "space": {},
            "trials": 6,
            "batch": 2,
            "seed": 42,
            "executor": InlineExecutor(),
            "notes": notes,
            "progress": lambda event, facts: None,
        }
        return search_family(name, self.columns, self.y, self.schema, self.folds, **{**settings, **changes})


@pytest.fixture(scope="module")
def cancer() -> Cancer:
    return Cancer()


def scores_on_test(cancer: Cancer, result: FamilyResult) -> tuple[float, ...]:
    scores, decided = result.model.predict(cancer.test_columns)
    rank = scores if scores.ndim == 1 else scores[:, 1]
    y = cancer.y_test
    parts = (precision_score(y, decided), recall_score(y, decided), f1_score(y, decided), roc_auc_score(y, rank))
    return tuple(round(float(value), 4) for value in parts)


@pytest.mark.parametrize("name", S0_GRIDS)
def test_the_first_systems_grids_give_the_honest_winners_and_numbers(name, cancer, tmp_path):
    result = cancer.search(name, tmp_path, space=S0_GRIDS[name])
    assert (len(result.trials), dict(result.params)) == HONEST[name]
    assert scores_on_test(cancer, result) == HONEST_TEST[name]


@pytest.mark.parametrize("name", PARITY)
def test_the_first_systems_own_parameters_give_its_own_numbers_and_confusion(name, cancer, tmp_path):
    params, numbers, confusion = PARITY[name]
    result = cancer.search(name, tmp_path, space={key: (value,) for key, value in params.items()})
    assert scores_on_test(cancer, result) == numbers
    benign, decided_benign = 1 - cancer.y_test, 1 - result.model.decide(cancer.test_columns)
    assert confusion_matrix(benign, decided_benign).tolist() == confusion


def test_a_grid_is_what_grid_search_of_scikit_learn_finds_fold_by_fold(cancer, tmp_path):
    from sklearn.svm import SVC

    result = cancer.search("svc", tmp_path, space=S0_GRIDS["svc"])
    peer = GridSearchCV(
        make_pipeline(StandardScaler(), SVC()),
        {f"svc__{key}": list(values) for key, values in S0_GRIDS["svc"].items()},
        scoring="f1",
        cv=StratifiedKFold(5),
    ).fit(cancer.train.drop(columns="diagnosis"), cancer.y)
    assert [{f"svc__{key}": value for key, value in trial.params.items()} for trial in result.trials] == (
        peer.cv_results_["params"]
    )
    np.testing.assert_allclose([trial.value for trial in result.trials], peer.cv_results_["mean_test_score"])
    assert result.trials.index(next(t for t in result.trials if t.params == result.params)) == peer.best_index_


def test_no_space_is_one_trial_of_the_defaults_and_out_of_fold_scores_cover_the_folds(cancer, tmp_path):
    result = cancer.search("logistic_regression", tmp_path, metric="roc_auc")
    assert [dict(trial.params) for trial in result.trials] == [{}]
    assert result.oof.shape == (len(cancer.y), 2)
    assert not np.isnan(result.oof).any()
    by_fold = [roc_auc_score(cancer.y[judge], result.oof[judge, 1]) for _, judge in cancer.folds]
    np.testing.assert_allclose(result.fold_values, by_fold)
    assert set(np.unique(result.oof_decided)) == {0, 1}


def test_rows_that_no_fold_judges_have_no_out_of_fold_score(cancer, tmp_path):
    """With folds in time order the first rows are never judged."""
    rows = np.arange(len(cancer.y))
    folds = tuple((rows[: 100 * i], rows[100 * i : 100 * i + 90]) for i in (1, 2, 3))
    result = search_family(
        "svc",
        cancer.columns,
        cancer.y,
        cancer.schema,
        folds,
        metric="roc_auc",
        space={},
        trials=1,
        batch=1,
        seed=0,
        executor=InlineExecutor(),
        notes=tmp_path,
        progress=lambda event, facts: None,
    )
    judged = np.concatenate([judge for _, judge in folds])
    assert result.oof.shape == (len(cancer.y),)
    assert np.flatnonzero(~np.isnan(result.oof)).tolist() == judged.tolist()
    assert (result.oof_decided[np.setdiff1d(rows, judged)] == -1).all()
    assert result.rows_used == len(cancer.y)


RANGES = {
    "max_depth": IntRange(int=(2, 12)),
    "min_samples_leaf": IntRange(int=(1, 30), log=True),
    "criterion": ("gini", "entropy"),
    "class_weight": ("none", "balanced"),
    "ccp_alpha": FloatRange(float=(1e-5, 1e-2), log=True),
}


def same(one: FamilyResult, other: FamilyResult, columns: Columns) -> bool:
    tried = [[(t.number, dict(t.params), t.value, t.fold_values) for t in result.trials] for result in (one, other)]
    return (
        tried[0] == tried[1]
        and one.params == other.params
        and one.oof.tobytes() == other.oof.tobytes()
        and one.oof_decided.tobytes() == other.oof_decided.tobytes()
        and one.model.scores(columns).tobytes() == other.model.scores(columns).tobytes()
    )


def test_a_study_starts_with_the_defaults_stays_in_its_ranges_and_depends_on_the_seed(cancer, tmp_path):
    first = cancer.search("tree", tmp_path / "a", space=RANGES, trials=13, batch=4)
    again = cancer.search("tree", tmp_path / "b", space=RANGES, trials=13, batch=4)
    other = cancer.search("tree", tmp_path / "c", space=RANGES, trials=13, batch=4, seed=7)
    assert same(first, again, cancer.columns)
    assert [t.params for t in first.trials] != [t.params for t in other.trials]
    assert len(first.trials) == 13
    assert all(
        2 <= t.params["max_depth"] <= 12 and t.params["class_weight"] in (None, "balanced") for t in first.trials
    )
    lgbm = FAMILIES["lightgbm"]
    study = Study(lgbm.space, defaults=lgbm.defaults, seed=1, trials=8, first=lgbm.portfolio)
    assert study.ask(len(lgbm.portfolio)) == list(lgbm.portfolio)


@pytest.mark.parametrize("name", ["tree", "svc", "lightgbm"])
def test_one_worker_two_workers_or_none_find_the_same(name, cancer, tmp_path):
    space = {
        "tree": RANGES,
        "svc": {"C": FloatRange(float=(0.01, 10.0), log=True), "kernel": ("linear", "rbf")},
        "lightgbm": {"num_leaves": IntRange(int=(4, 20)), "n_estimators": (10,)},
    }[name]
    results = [cancer.search(name, tmp_path / "inline", space=space)]
    for workers in (1, 2) if name == "tree" else (2,):
        executor = ProcessExecutor(workers)
        results.append(cancer.search(name, tmp_path / str(workers), space=space, executor=executor))
        executor.close()
    assert all(same(results[0], result, cancer.columns) for result in results[1:])


def test_two_workers_find_the_same_in_text(tmp_path):
    """Sparse matrices reach the workers as read-only memory maps."""
    draw = np.random.default_rng(0)
    words = np.array([f"palabra{i}" for i in range(1000)])
    y = draw.integers(0, 2, 1600)
    notes = [" ".join(draw.choice(words[code * 40 :], 200)) for code in y]
    frame = pd.DataFrame({"note": notes, "age": draw.normal(50, 9, len(y)), "sick": y})
    schema, _ = infer_schema(frame, target="sick", positive=1, types={"note": "text"})
    columns, labels = to_columns(frame, schema), to_labels(frame["sick"], schema)
    folds = tuple(StratifiedKFold(2).split(notes, labels))
    assert TrainingRows(columns, schema, folds).encode("scaled", 0).fit.data.nbytes > 2**20, "joblib maps from 1 MB on"
    executor = ProcessExecutor(2)
    small = {
        "tree": {"max_depth": (3,)},
        "svc": {"max_iter": (20,)},
        "knn": {},
        "logistic_regression": {},
        "lightgbm": {"n_estimators": (2,), "max_bin": (15,)},
        "naive_bayes": {},
        "linear_svc": {},
    }
    for name, space in small.items():
        results = [
            search_family(
                name,
                columns,
                labels,
                schema,
                folds,
                metric="roc_auc",
                space=space,
                trials=1,
                batch=1,
                seed=0,
                executor=where,
                notes=tmp_path / f"{name}{place}",
                progress=lambda event, facts: None,
            )
            for place, where in enumerate((InlineExecutor(), executor))
        ]
        assert same(*results, columns), name
    executor.close()


INTERRUPTED = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_search import RANGES, Cancer
def progress(event, facts):
    print(facts["number"], flush=True)
Cancer().search("tree", Path(sys.argv[1]), space=RANGES, trials=60, batch=3, progress=progress)
"""


def test_a_killed_study_goes_on_to_the_same_end(cancer, tmp_path):
    """A real process is killed in the middle, twice; what it had noted is not run again."""
    whole = cancer.search("tree", tmp_path / "whole", space=RANGES, trials=60, batch=3)
    notes = tmp_path / "notes"
    for stop in (7, 20):
        code = INTERRUPTED.format(folder=str(Path(__file__).parent))
        process = subprocess.Popen([sys.executable, "-c", code, str(notes)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= stop:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    (journal,) = notes.iterdir()
    kept = journal.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    assert 20 * 5 <= kept.count(b"\n") < 60 * 5
    went_on = cancer.search("tree", notes, space=RANGES, trials=60, batch=3)
    assert same(whole, went_on, cancer.columns)
    assert journal.read_bytes().startswith(kept)
    assert journal.read_bytes().count(b"\n") == sum(len(trial.fold_values) for trial in whole.trials)


def test_a_finished_search_run_again_fits_no_trial_again(cancer, tmp_path):
    first = cancer.search("tree", tmp_path, space=S0_GRIDS["tree"])
    started = time.process_time()
    again = cancer.search("tree", tmp_path, space=S0_GRIDS["tree"])
    assert time.process_time() - started < first.cpu_seconds / 3
    assert same(first, again, cancer.columns)
    assert [t.cpu_seconds for t in again.trials] == [t.cpu_seconds for t in first.trials]


def test_other_rows_labels_folds_or_settings_do_not_read_these_notes(cancer, tmp_path):
    cancer.search("tree", tmp_path, space=RANGES, trials=2)
    cancer.search("tree", tmp_path, space=RANGES, trials=2, seed=1)
    cancer.search("tree", tmp_path, space=RANGES, trials=2, metric="accuracy")
    other = Cancer()
    other.y = 1 - other.y
    other.search("tree", tmp_path, space=RANGES, trials=2)
    other = Cancer()
    other.folds = other.folds[::-1]
    other.search("tree", tmp_path, space=RANGES, trials=2)
    other = Cancer()
    other.columns = {**other.columns, "mean radius": other.columns["mean radius"] + 1}
    other.search("tree", tmp_path, space=RANGES, trials=2)
    assert len(list(tmp_path.iterdir())) == 6


def test_a_torn_last_line_of_the_notes_is_dropped(tmp_path):
    journal = Journal(tmp_path, {"a": 1})
    journal.add(FoldNote(0, 0, (0.1 + 0.2, float("inf")), 1.5, "", ("ConvergenceWarning",)))
    journal.add(FoldNote(0, 1, (), 0.5, "ValueError", rounds=7))
    with journal.path.open("ab") as file:
        file.write(b'{"number": 1, "fo')
    again = Journal(tmp_path, {"a": 1})
    assert again.notes == journal.notes
    again.add(FoldNote(1, 0, (0.5,), 0.1))
    assert [json.loads(line)["number"] for line in journal.path.read_text().splitlines()] == [0, 0, 1]


def test_a_trial_that_fails_is_noted_and_the_others_go_on(cancer, tmp_path):
    result = cancer.search("logistic_regression", tmp_path, space={"C": (-1, 1.0, float("inf"), "much")})
    assert [trial.state for trial in result.trials] == ["failed", "done", "done", "failed"]
    assert result.trials[0].error.startswith("InvalidParameterError")
    assert np.isnan(result.trials[0].value)
    assert result.params["C"] in (1.0, float("inf"))


def test_a_failed_trial_of_a_study_does_not_stop_it(cancer, tmp_path):
    space = {"C": FloatRange(float=(-1.0, 2.0))}
    result = cancer.search("svc", tmp_path, space=space, trials=8)
    assert {trial.state for trial in result.trials} == {"failed", "done"}
    assert result.params["C"] > 0


def test_when_every_trial_fails_the_family_is_named_and_no_cell_is_shown(cancer, tmp_path):
    with pytest.raises(InputError, match="No trial of svc succeeded: InvalidParameterError") as caught:
        cancer.search("svc", tmp_path, space={"C": (-1.0, -2.0)})
    assert caught.value.where == "train.search.svc"
    one_class = Cancer()
    one_class.y = np.zeros_like(one_class.y)
    with pytest.raises(InputError, match="No trial of svc succeeded: ValueError"):
        one_class.search("svc", tmp_path)


def test_a_search_that_does_not_converge_says_so_in_its_trials(cancer, tmp_path):
    result = cancer.search("logistic_regression", tmp_path, space={"max_iter": (1,)})
    assert result.trials[0].warnings == ("ConvergenceWarning",)
    assert result.model.warnings == ("ConvergenceWarning",)


def test_every_metric_can_steer_every_kind_of_score(cancer, tmp_path):
    for name in ("svc", "naive_bayes"):
        for metric in ("f1", "roc_auc", "pr_auc", "log_loss", "brier", "mcc"):
            result = cancer.search(name, tmp_path, metric=metric, space={} if name == "svc" else {"alpha": (1.0,)})
            assert 0 < result.trials[0].value <= 1, (name, metric)
    cost = {"false_positive": 1.0, "false_negative": 5.0}
    result = cancer.search("svc", tmp_path, metric="expected_cost", cost=cost, space={"C": (0.001, 0.1)})
    assert result.trials[0].value > result.trials[1].value
    assert result.params["C"] == 0.1


def test_less_is_better_where_less_is_better(cancer, tmp_path):
    result = cancer.search(
        "tree", tmp_path, metric="log_loss", space={"max_depth": (1, 4), "min_samples_leaf": (1, 20)}
    )
    values = [trial.value for trial in result.trials]
    assert result.params == result.trials[int(np.argmin(values))].params


def test_many_classes_with_margins_have_all_metrics(tmp_path):
    frame = load_iris(as_frame=True).frame
    schema, _ = infer_schema(frame, target="target")
    columns, y = to_columns(frame, schema), to_labels(frame["target"], schema)
    for name in ("svc", "linear_svc"):
        for metric in ("f1_macro", "roc_auc", "log_loss"):
            result = search_family(
                name,
                columns,
                y,
                schema,
                tuple(StratifiedKFold(3).split(frame, y)),
                metric=metric,
                space={},
                trials=1,
                batch=1,
                seed=0,
                executor=InlineExecutor(),
                notes=tmp_path,
                progress=lambda event, facts: None,
            )
            assert result.oof.shape == (150, 3)
            assert result.trials[0].value > 0.9 if metric != "log_loss" else result.trials[0].value < 0.5


def test_a_family_that_compares_rows_learns_from_a_bounded_sample(tmp_path):
    draw = np.random.default_rng(0)
    y = (draw.random(26_000) < 0.2).astype(int)
    frame = pd.DataFrame({"x": draw.normal(0, 1, 26_000) + y, "z": draw.normal(0, 1, 26_000), "y": y})
    schema, _ = infer_schema(frame, target="y", positive=1)
    columns, labels = to_columns(frame, schema), to_labels(frame["y"], schema)
    result = search_family(
        "knn",
        columns,
        labels,
        schema,
        tuple(StratifiedKFold(2).split(frame, labels)),
        metric="roc_auc",
        space={"n_neighbors": (25,)},
        trials=1,
        batch=1,
        seed=0,
        executor=InlineExecutor(),
        notes=tmp_path,
        progress=lambda event, facts: None,
    )
    assert 19_990 <= result.rows_used <= 20_000
    assert not np.isnan(result.oof).any()


def test_progress_tells_number_total_value_and_best(cancer, tmp_path):
    told: list = []
    cancer.search(
        "tree",
        tmp_path,
        space={"max_depth": (1, 4, 2)},
        progress=lambda event, facts: told.append((event, dict(facts))),
    )
    assert [event for event, _ in told] == ["trial"] * 3
    assert [(facts["number"], facts["of"], facts["family"]) for _, facts in told] == [(i, 3, "tree") for i in range(3)]
    best = [facts["best"] for _, facts in told]
    assert best == list(np.maximum.accumulate([facts["value"] for _, facts in told]))


def test_encodings_are_fitted_once_per_fold_and_shared_by_families(cancer, tmp_path):
    kept = shared_folds().kept
    kept.clear()
    cancer.search("svc", tmp_path, space=S0_GRIDS["svc"])
    keys = list(kept)
    assert len(keys) == len(cancer.folds) + 1
    first = {key: kept[key].fit for key in keys}
    cancer.search("logistic_regression", tmp_path)
    assert all(kept[key].fit is first[key] for key in keys)
    cancer.search("tree", tmp_path, space={"max_depth": (2,)})
    assert len(kept) == 2 * len(keys)


def test_encoded_folds_stay_within_their_bytes(cancer):
    rows = TrainingRows(cancer.columns, cancer.schema, cancer.folds)
    one = rows.encode("codes", 0)
    store = EncodedFolds(2 * one.size + 1)
    for place in range(5):
        store.keep(str(place), one)
    assert list(store.kept) == ["3", "4"]
    assert store.find("3") is one
    store.keep("5", one)
    assert list(store.kept) == ["3", "5"]
    EncodedFolds(one.size - 1).keep("too large", one)


def test_validation_rows_change_nothing_that_was_fitted_on_the_others(cancer, tmp_path):
    """The canary: the encoding of a fold and the model's scores do not know the fold's own rows."""
    _, judge = cancer.folds[0]
    changed = {name: values.copy() for name, values in cancer.columns.items()}
    for values in changed.values():
        values[judge] = values[judge] * 3 + 1
    before = TrainingRows(cancer.columns, cancer.schema, cancer.folds).encode("scaled", 0)
    after = TrainingRows(changed, cancer.schema, cancer.folds).encode("scaled", 0)
    assert before.encoding.to_dict() == after.encoding.to_dict()
    assert np.asarray(before.fit).tobytes() == np.asarray(after.fit).tobytes()


@pytest.mark.parametrize(
    ("space", "what", "fix"),
    [
        ({"max_dept": (3,)}, "tree has no parameter 'max_dept'", "Did you mean 'max_depth'"),
        ({"max_depth": IntRange(int=(5, 2))}, "above the highest", "[low, high]"),
        ({"ccp_alpha": FloatRange(float=(0.0, 1.0), log=True)}, "above zero", "lowest"),
        ({"max_depth": IntRange(int=(1, 8), log=True, step=2)}, "no step", "`step` or `log`"),
    ],
)
def test_a_wrong_space_is_refused_with_its_key(space, what, fix):
    with pytest.raises(InputError) as caught:
        check_space(FAMILIES["tree"], space)
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where.startswith("train.search.tree.")


def test_an_unknown_family_or_metric_lists_what_there_is(cancer, tmp_path):
    with pytest.raises(InputError, match="no family 'ligthgbm'") as caught:
        cancer.search("ligthgbm", tmp_path)
    assert "Did you mean 'lightgbm'" in caught.value.fix
    with pytest.raises(InputError, match="no metric 'rocauc'") as caught:
        cancer.search("tree", tmp_path, metric="rocauc")
    assert "Did you mean 'roc_auc'" in caught.value.fix


def test_lists_make_a_grid_a_range_makes_a_study_and_none_is_a_word():
    assert is_grid({"a": (1, 2), "b": ("x",)})
    assert is_grid({})
    assert not is_grid({"a": (1, 2), "b": IntRange(int=(1, 2))})
    assert grid({}) == [{}]
    assert grid({"b": (1, 2), "a": ("none", "x")}) == [
        {"a": None, "b": 1},
        {"a": None, "b": 2},
        {"a": "x", "b": 1},
        {"a": "x", "b": 2},
    ]


def test_defaults_outside_the_users_range_are_moved_to_its_edge():
    study = Study({"n_estimators": IntRange(int=(10, 55), step=20)}, defaults={"n_estimators": 200}, seed=0, trials=4)
    asked = study.ask(4)
    assert asked[0] == {"n_estimators": 50}
    assert {params["n_estimators"] for params in asked} <= {10, 30, 50}
