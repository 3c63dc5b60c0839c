"""train: search one family on folds of the training rows, then fit the best on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tahona.core.schema import Schema
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import give_back, read_arrays, read_folds, read_json, read_table, write_arrays, write_json

if TYPE_CHECKING:
    from tahona.core.plan import Step
    from tahona.project.model import Project

NEEDS = {"split": ("train.parquet", "train_labels.npz", "folds.npz", "schema.json")}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("numpy", "scipy", "scikit-learn", "lightgbm", "xgboost-cpu", "optuna", "simplemma")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads: another family's search space is not among it."""
    train = project.part("train")["train"]
    return {
        "family": step.family,
        "space": train["search"].get(step.family),
        "seed": project.split.seed,
        "cost": project.decision.prices,
        **{key: train[key] for key in ("metric", "trials", "batch", "budget")},
    }


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `search.json` (parameters, fold values, trials), `oof.npz`, the fitted `model/`, and `timing.json`."""
    import numpy as np

    from tahona.learn.columns import to_columns
    from tahona.learn.model import save_model
    from tahona.learn.search import search_family

    files, part = inputs["split"], context.project.train
    schema = Schema.from_dict(read_json(files["schema.json"]))
    columns = to_columns(read_table(files["train.parquet"]), schema)
    give_back()
    result = search_family(
        context.step.family,
        columns,
        read_arrays(files["train_labels.npz"])["y"],
        schema,
        read_folds(files["folds.npz"]),
        metric=part.metric,
        space=part.search.get(context.step.family),
        trials=part.trials,
        batch=part.batch,
        seed=context.project.split.seed,
        executor=context.executor,
        notes=context.notes,
        cost=context.project.decision.prices,
        progress=context.progress,
        limit=context.limit,
    )
    write_json(
        context.output("search.json"),
        {
            "family": result.family,
            "params": dict(result.params),
            "metric": result.metric,
            "fold_values": list(result.fold_values),
            "rows_used": result.rows_used,
            "members": [{"number": number, "weight": weight} for number, weight in result.members],
            "trials": [
                {
                    "number": trial.number,
                    "params": dict(trial.params),
                    "value": trial.value,
                    "rounds": trial.rounds,
                    "state": trial.state,
                    "error": trial.error,
                    "warnings": list(trial.warnings),
                }
                for trial in result.trials
            ],
        },
    )
    write_arrays(context.output("oof.npz"), scores=result.oof, decided=np.asarray(result.oof_decided))
    save_model(result.model, context.output("model/encoding.json").parent)
    write_json(context.output("timing.json"), {"seconds": result.seconds, "cpu_seconds": result.cpu_seconds})
