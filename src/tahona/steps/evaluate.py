"""evaluate: read the test labels, once, and measure everything that the report will say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tahona.core.records import Interval
from tahona.core.schema import ROW, Schema
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import read_arrays, read_json, read_table, write_json, write_table
from tahona.steps.select import fitted_model, trained

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from tahona.bundle.bundle import Bundle
    from tahona.core.plan import Step
    from tahona.learn.columns import Columns
    from tahona.learn.evaluation import Prediction
    from tahona.project.model import Project

NEEDS = {
    "ingest": ("ingest.json",),
    "split": ("test.parquet", "test_labels.npz", "schema.json"),
    "train": ("model/*",),
    "select": ("leaderboard.json", "selection.json", "bundle.zip"),
}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("numpy", "scikit-learn", "lightgbm", "xgboost-cpu", "skops")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    return project.part("decision", "split") | {"metric": project.train.metric, "slices": project.audit.slices}


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `evaluation.json` and `predictions.parquet` (row, true and decided class, probabilities)."""
    from tahona.bundle.bundle import load_bundle
    from tahona.bundle.predict import score
    from tahona.learn.columns import to_columns
    from tahona.learn.evaluation import HeldOut, Prediction, evaluate_predictions
    from tahona.learn.importance import permutation_importance

    project, files = context.project, inputs["split"]
    schema = Schema.from_dict(read_json(files["schema.json"]))
    frame = read_table(files["test.parquet"])
    columns, y = to_columns(frame, schema), read_arrays(files["test_labels.npz"])["y"]
    board = read_json(inputs["select"]["leaderboard.json"])
    bundle = load_bundle(inputs["select"]["bundle.zip"])
    proba, decided = score(bundle, columns)
    predictions = _others(project, inputs, columns, board["chosen"]) | {board["chosen"]: Prediction(proba, decided)}
    expected = next(row for row in board["rows"] if row["model"] == board["chosen"])
    evaluation = evaluate_predictions(
        HeldOut(schema, columns, y, _groups(project, frame)),
        predictions,
        chosen=board["chosen"],
        metric=project.train.metric,
        threshold=bundle.threshold,
        cost=project.decision.prices,
        slices=project.audit.slices,
        importance=permutation_importance(
            lambda rows: score(bundle, rows)[0],
            columns,
            y,
            metric=project.train.metric,
            threshold=bundle.threshold,
            cost=project.decision.prices,
            seed=project.split.seed,
        ),
        expected=_interval(expected),
        seed=project.split.seed,
    )
    digest = read_json(inputs["ingest"]["ingest.json"])["digest"]
    write_json(context.output("evaluation.json"), evaluation | {"data_digest": digest})
    write_table(context.output("predictions.parquet"), _predicted(bundle, frame, y, proba, decided))


def _others(project: Project, inputs: Inputs, columns: Columns, chosen: str) -> dict[str, Prediction]:
    """Let every other family, the dummy too, judge the test rows, each by its own calibrator and threshold."""
    from tahona.core.decision import decide
    from tahona.learn.calibration import Calibrator
    from tahona.learn.evaluation import Prediction

    selection: Mapping[str, Any] = read_json(inputs["select"]["selection.json"])
    found = {}
    for family, files in trained(inputs).items():
        if family == chosen:
            continue
        model = fitted_model(files)
        proba = Calibrator.from_dict(selection[family]["calibrator"]).apply(model.scores(columns))
        own = project.decision.rule == "estimator"
        found[family] = Prediction(
            proba, model.decide(columns) if own else decide(proba, selection[family]["threshold"])
        )
    return found


def _groups(project: Project, frame: pd.DataFrame) -> NDArray[Any] | None:
    """Return each test row's group in a group split: a bootstrap then draws whole groups."""
    if project.split.kind != "group" or project.split.by is None:
        return None
    import numpy as np

    return np.unique(frame[project.split.by].astype("str").fillna(""), return_inverse=True)[1]


def _interval(row: Mapping[str, Any]) -> Interval | None:
    if row["low"] is None or row["high"] is None:
        return None
    return Interval(row["value"], row["low"], row["high"])


def _predicted(
    bundle: Bundle,
    frame: pd.DataFrame,
    y: NDArray[np.int64],
    proba: NDArray[np.float64],
    decided: NDArray[np.int64],
) -> pd.DataFrame:
    import pandas as pd

    labels = bundle.schema.labels
    columns = {f"probability_{label}": proba[:, code] for code, label in enumerate(labels)}
    return pd.DataFrame({ROW: frame[ROW], "y": y, "decided": decided, **columns})
