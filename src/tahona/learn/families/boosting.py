"""Boosted trees: scikit-learn's histograms, LightGBM and XGBoost.

What is kept of a LightGBM or XGBoost fit is its booster, read back from its own format at once: the model in memory
and the model on disk are then the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import numpy as np

from tahona.errors import InputError, SetupError
from tahona.learn.families.family import (
    Codes,
    Estimator,
    Family,
    Limit,
    Matrix,
    Scores,
    Setting,
    is_sparse,
    plainly,
    sigmoid,
    softmax,
    two_columns,
)
from tahona.project.model import FloatRange, IntRange
from tahona.scorer.leaf_tables import tables_for

_MOST_CELLS = 50_000_000
_TEXT_BINS = 64
"""Bins of a column beside text, whose thousands of columns are mostly zero: 255 take 1.7 times the CPU and judge no
better (measured on the medical abstracts)."""


def _dense(matrix: Matrix) -> Matrix:
    """Write a sparse matrix out; raise InputError where that would take more than 50 million cells (400 MB)."""
    if not is_sparse(matrix):
        return matrix
    rows, width = matrix.shape
    if rows * width > _MOST_CELLS:
        raise InputError(
            f"hist_gradient_boosting needs a dense matrix, and {rows} rows of {width} columns are too many for it.",
            where="train.models",
            fix="Leave hist_gradient_boosting out, or take lightgbm, which reads text columns as they are.",
        )
    return np.ascontiguousarray(matrix.toarray())


def _make_histograms(params: Mapping[str, Any], setting: Setting) -> Estimator:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        random_state=setting.seed,
        categorical_features=list(setting.categorical) or None,
        early_stopping=False,
        **({"max_bins": _TEXT_BINS} if setting.sparse else {}) | dict(params),
    )


def _fit_histograms(estimator: Estimator, matrix: Matrix, codes: Codes, setting: Setting) -> int | None:
    """Fit, with at least one bin for every level of a category."""
    if setting.sparse:
        cells = np.asarray(matrix)
        levels = max((int(np.nanmax(cells[:, place], initial=0.0)) + 1 for place in setting.categorical), default=0)
        estimator.set_params(max_bins=max(estimator.max_bins, levels))
    return plainly(estimator, matrix, codes, setting)


def _histogram_scores(estimator: Estimator, matrix: Matrix) -> Scores:
    margins = estimator.decision_function(matrix)
    return sigmoid(margins) if margins.ndim == 1 else softmax(margins)


def _make_lightgbm(params: Mapping[str, Any], setting: Setting) -> Estimator:
    from lightgbm import LGBMClassifier

    chosen = dict(params)
    if chosen.get("subsample", 1.0) < 1.0:
        chosen.setdefault("subsample_freq", 1)  # without it LightGBM ignores `subsample`
    return LGBMClassifier(
        random_state=setting.seed,
        n_jobs=setting.threads,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
        **chosen,
    )


def _fit_lightgbm(estimator: Estimator, matrix: Matrix, codes: Codes, setting: Setting) -> int | None:
    from lightgbm.basic import LightGBMError

    watch: dict[str, Any] = {}
    if setting.watched is not None:
        rate = float(estimator.learning_rate)
        estimator.set_params(n_estimators=_most_rounds(rate))
        watch = {"eval_set": [setting.watched], "callbacks": _lightgbm_watch(rate, setting.limit)}
    try:
        estimator.fit(matrix, codes, categorical_feature=list(setting.categorical) or "auto", **watch)
    except LightGBMError as error:
        raise ValueError("LightGBM refuses these rows or parameters") from error  # as the other libraries do
    return int(estimator.best_iteration_) if watch else None


def _lightgbm_watch(rate: float, limit: Limit | None) -> list[Callable[[Any], None]]:
    """Return the callbacks that end a fit: no gain on the watched rows for a while, or the time is over."""
    from lightgbm.callback import EarlyStopException, early_stopping

    watch: list[Callable[[Any], None]] = [early_stopping(_patience(rate), verbose=False)]
    if limit is not None:
        over = limit.end()

        def end_in_time(env: Any) -> None:  # noqa: ANN401 - LightGBM's CallbackEnv
            if over():
                raise EarlyStopException(env.iteration, env.evaluation_result_list)

        watch.append(end_in_time)
    return watch


def _lightgbm(*, rate: float, leaves: int, least: int, columns: float, group: int) -> dict[str, Any]:
    """Return one row of LightGBM's portfolio."""
    return {
        "learning_rate": rate,
        "num_leaves": leaves,
        "min_child_samples": least,
        "colsample_bytree": columns,
        "min_data_per_group": group,
        "reg_lambda": 0.001,
    }


def _most_rounds(rate: float) -> int:
    """Return the most boosting rounds at a learning rate: 200 at .1, 400 at .05."""
    return ceil(20 / rate)


def _patience(rate: float) -> int:
    """Return how many rounds without gain end a fit: 20 at a learning rate of .1, 40 at .05."""
    return ceil(2 / rate)


def _freeze_lightgbm(estimator: Estimator) -> Estimator:
    """Return the booster, which LightGBM itself has written out and read back at the end of the fit."""
    return estimator.booster_


def read_lightgbm(text: str) -> Estimator:
    """Return the booster that LightGBM's own text describes; raise its LightGBMError if it describes none."""
    from lightgbm import Booster

    return Booster(model_str=text)


def _lightgbm_scores(estimator: Estimator, matrix: Matrix) -> Scores:
    if not is_sparse(matrix):
        dense = np.asarray(matrix)
        tables = tables_for(estimator, dense)
        if tables is not None:
            return sigmoid(tables.raw(dense))
    scores = np.asarray(estimator.predict(matrix, num_threads=1))
    return two_columns(scores) if scores.ndim == 1 else scores


def _make_xgboost(params: Mapping[str, Any], setting: Setting) -> Estimator:
    try:
        from xgboost import XGBClassifier
    except ImportError as error:
        raise SetupError(
            "The family xgboost needs a package that is not installed.",
            where="train.models",
            fix="pip install 'tahona[xgboost]'",
        ) from error
    kinds = ["c" if column in setting.categorical else "q" for column in range(setting.width)]
    return XGBClassifier(
        random_state=setting.seed,
        n_jobs=setting.threads,
        tree_method="hist",
        enable_categorical=bool(setting.categorical),
        feature_types=kinds if setting.categorical else None,
        **params,
    )


def _fit_xgboost(estimator: Estimator, matrix: Matrix, codes: Codes, setting: Setting) -> int | None:
    if setting.watched is None:
        return plainly(estimator, matrix, codes, setting)
    rate = float(estimator.learning_rate)
    estimator.set_params(n_estimators=_most_rounds(rate), callbacks=_xgboost_watch(rate, setting.limit))
    estimator.fit(matrix, codes, eval_set=[setting.watched], verbose=False)
    return int(estimator.get_booster().num_boosted_rounds())


def _xgboost_watch(rate: float, limit: Limit | None) -> list[Any]:
    """Return the callbacks that end a fit, the time first: what is best is kept by the other."""
    from xgboost.callback import EarlyStopping, TrainingCallback

    stopping = EarlyStopping(rounds=_patience(rate), save_best=True)
    if limit is None:
        return [stopping]
    over = limit.end()

    class EndInTime(TrainingCallback):  # type: ignore[misc, unused-ignore]
        def after_iteration(self, _model: Any, _epoch: int, _evals_log: Any) -> bool:  # noqa: ANN401
            return over()

    return [EndInTime(), stopping]


def _xgboost(*, rate: float, depth: int, rows: float, columns: float) -> dict[str, Any]:
    """Return one row of XGBoost's portfolio."""
    return {
        "learning_rate": rate,
        "max_depth": depth,
        "min_child_weight": 1.0,
        "subsample": rows,
        "colsample_bytree": columns,
        "reg_lambda": 1.0,
    }


def _freeze_xgboost(estimator: Estimator) -> Estimator:
    return read_xgboost(estimator.get_booster().save_raw("ubj"))


def read_xgboost(data: bytearray) -> Estimator:
    """Return the booster in these UBJSON bytes; raise XGBoostError if there is none, SetupError without XGBoost."""
    try:
        from xgboost import Booster
    except ImportError as error:
        raise SetupError(
            "This model was made by XGBoost, which is not installed.", fix="pip install 'tahona[xgboost]'"
        ) from error
    booster = Booster()
    booster.load_model(data)
    booster.set_param({"nthread": 1})
    return booster


def _xgboost_scores(estimator: Estimator, matrix: Matrix) -> Scores:
    scores = np.asarray(estimator.inplace_predict(matrix, validate_features=False))
    return two_columns(scores) if scores.ndim == 1 else scores.astype(np.float64)


FAMILIES = (
    Family(
        name="hist_gradient_boosting",
        short="hgb",
        title="Histogram gradient boosting",
        wants="native",
        gives="probability",
        cost=20.0,
        make=_make_histograms,
        scores=_histogram_scores,
        fit=_fit_histograms,
        space={
            "max_iter": IntRange(int=(50, 400), step=10),
            "learning_rate": FloatRange(float=(0.02, 0.3), log=True),
            "max_leaf_nodes": IntRange(int=(8, 128), log=True),
            "min_samples_leaf": IntRange(int=(5, 100), log=True),
            "l2_regularization": FloatRange(float=(1e-3, 10.0), log=True),
        },
        defaults={"max_iter": 200},
        portfolio=tuple(
            {
                "max_iter": 200,
                "learning_rate": rate,
                "max_leaf_nodes": leaves,
                "min_samples_leaf": 20,
                "l2_regularization": 0.001,
            }
            for rate, leaves in ((0.1, 31), (0.05, 63))
        ),
        accepts=(
            "max_iter",
            "learning_rate",
            "max_leaf_nodes",
            "max_depth",
            "min_samples_leaf",
            "l2_regularization",
            "max_features",
            "max_bins",
            "class_weight",
        ),
        prepare=_dense,
    ),
    Family(
        name="lightgbm",
        short="lgbm",
        title="LightGBM",
        wants="native",
        gives="probability",
        cost=15.0,
        make=_make_lightgbm,
        scores=_lightgbm_scores,
        fit=_fit_lightgbm,
        freeze=_freeze_lightgbm,
        file="lightgbm",
        space={
            "learning_rate": FloatRange(float=(0.02, 0.1), log=True),
            "num_leaves": IntRange(int=(8, 1000), log=True),
            "min_child_samples": IntRange(int=(2, 100), log=True),
            "colsample_bytree": FloatRange(float=(0.3, 1.0)),
            "min_data_per_group": IntRange(int=(5, 200), log=True),
            "reg_lambda": FloatRange(float=(1e-3, 10.0), log=True),
        },
        defaults={"n_estimators": 200},
        rounds="n_estimators",
        portfolio=(
            _lightgbm(rate=0.1, leaves=31, least=20, columns=1.0, group=100),
            _lightgbm(rate=0.1, leaves=127, least=20, columns=0.6, group=100),
            _lightgbm(rate=0.06, leaves=511, least=5, columns=0.5, group=20),
        ),
        accepts=(
            "n_estimators",
            "learning_rate",
            "num_leaves",
            "max_depth",
            "min_child_samples",
            "min_child_weight",
            "min_split_gain",
            "subsample",
            "subsample_freq",
            "colsample_bytree",
            "reg_alpha",
            "reg_lambda",
            "max_bin",
            "cat_smooth",
            "cat_l2",
            "min_data_per_group",
            "class_weight",
            "scale_pos_weight",
        ),
    ),
    Family(
        name="xgboost",
        short="xgb",
        title="XGBoost",
        wants="native",
        gives="probability",
        cost=20.0,
        make=_make_xgboost,
        scores=_xgboost_scores,
        fit=_fit_xgboost,
        freeze=_freeze_xgboost,
        file="xgboost",
        extra="xgboost",
        space={
            "learning_rate": FloatRange(float=(0.02, 0.2), log=True),
            "max_depth": IntRange(int=(3, 12)),
            "min_child_weight": FloatRange(float=(0.5, 20.0), log=True),
            "subsample": FloatRange(float=(0.5, 1.0)),
            "colsample_bytree": FloatRange(float=(0.4, 1.0)),
            "reg_lambda": FloatRange(float=(1e-3, 10.0), log=True),
        },
        defaults={"n_estimators": 200, "learning_rate": 0.1},
        rounds="n_estimators",
        portfolio=(
            _xgboost(rate=0.1, depth=6, rows=1.0, columns=1.0),
            _xgboost(rate=0.05, depth=10, rows=0.9, columns=0.6),
        ),
        accepts=(
            "n_estimators",
            "learning_rate",
            "max_depth",
            "max_leaves",
            "min_child_weight",
            "gamma",
            "subsample",
            "colsample_bytree",
            "colsample_bylevel",
            "reg_alpha",
            "reg_lambda",
            "max_bin",
            "scale_pos_weight",
        ),
    ),
)
