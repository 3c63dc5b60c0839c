"""split: decide once which rows train, which test, and how training rows are cut into folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tahona.core.schema import Schema
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import read_json, read_table, write_arrays, write_findings, write_json, write_table

if TYPE_CHECKING:
    from tahona.core.plan import Step
    from tahona.project.model import Project

NEEDS = {"clean": ("interim.parquet", "schema.json")}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("pandas", "numpy", "scikit-learn")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    return project.part("split")


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `train.parquet`, `test.parquet` (no labels in either), the labels, `folds.npz` and the refined schema."""
    import numpy as np

    from tahona.learn.columns import to_columns, to_labels, with_ranges
    from tahona.learn.split import split_rows

    part = context.project.split
    frame = read_table(inputs["clean"]["interim.parquet"])
    schema = Schema.from_dict(read_json(inputs["clean"]["schema.json"]))
    y = to_labels(frame[schema.target], schema)
    result = split_rows(frame, y, schema, part)
    features = frame.drop(columns=[schema.target]) if schema.target not in schema.names else frame
    train, test = features.iloc[result.train], features.iloc[result.test]
    write_table(context.output("train.parquet"), train)
    write_table(context.output("test.parquet"), test)
    write_arrays(context.output("train_labels.npz"), y=y[result.train])
    write_arrays(context.output("test_labels.npz"), y=y[result.test])
    folds: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    for index, (fit, validate) in enumerate(result.folds):
        folds |= {f"fit_{index}": np.asarray(fit), f"validate_{index}": np.asarray(validate)}
    write_arrays(context.output("folds.npz"), **folds)
    write_json(context.output("schema.json"), with_ranges(schema, to_columns(train, schema)).to_dict())
    write_findings(
        context.output("split.json"),
        result.findings,
        kind=part.kind,
        by=part.by,
        seed=part.seed,
        train=len(train),
        test=len(test),
        folds=len(result.folds),
    )
