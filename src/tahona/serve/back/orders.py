"""From what a client orders to what is laid over the project file; the project's own rules judge it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tahona.core.spelling import did_you_mean
from tahona.errors import ProjectError
from tahona.project.load import load_project
from tahona.project.model import Project
from tahona.serve.back.datasets import Dataset
from tahona.serve.back.refusing import Refused

Name = Annotated[str, Field(min_length=1, max_length=1_000)]

KEYS = {
    "target": "project.target",
    "positive": "project.positive",
    "metric": "train.metric",
    "families": "train.models",
    "trials": "train.trials",
    "exclude": "data.drop",
}
"""Field of an order → key of the project file."""


class Changes(BaseModel):
    """What this training does otherwise than the project file says."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    target: Annotated[Name | None, Field(description="The column that holds the label.", examples=["diagnosis"])] = None
    positive: Annotated[
        str | bool | int | float | None, Field(description="The class that matters, for two classes.")
    ] = None
    metric: Annotated[Name | None, Field(description="What the search maximises.", examples=["roc_auc"])] = None
    families: Annotated[
        list[Name] | None, Field(min_length=1, max_length=32, examples=[["lightgbm", "logistic_regression"]])
    ] = None
    trials: Annotated[int | None, Field(ge=1, le=100_000, description="Trials per family.", examples=[20])] = None
    exclude: Annotated[
        list[Name] | None, Field(max_length=5_000, description="Columns that are no features, besides the project's.")
    ] = None


class TrainOrder(BaseModel):
    """Which data set to learn from, and what is to be otherwise than in the project file."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"dataset": "9c56cc51b374c3ba", "overrides": {"trials": 20}}]},
    )
    dataset: Annotated[str, Field(min_length=1, max_length=80, description="An id that /upload gave.")]
    overrides: Changes = Changes()


@dataclass(frozen=True, slots=True)
class Served:
    """How the project that is served was loaded; jobs load it the same way."""

    place: Path
    env: str | None = None
    overrides: tuple[str, ...] = ()


def lay_over(served: Served, changes: Changes, dataset: Dataset) -> tuple[str, ...]:
    """Return everything that is laid over the project file for this training.

    Raises Refused (422) naming the field that the project's rules, or the data set's columns, do not allow.
    """
    base = _loaded(served, ())
    asked = {name: value for name, value in changes.model_dump().items() if value is not None}
    if changes.exclude is not None:
        asked["exclude"] = list(dict.fromkeys((*base.data.drop, *changes.exclude)))
    source = dataset.path(dataset.train).resolve().relative_to(base.root.resolve())
    laid = {KEYS[name]: value for name, value in asked.items()}
    laid |= {"data.source": source.as_posix(), "data.sha256": dataset.train.sha256}
    overrides = tuple(f"{key}={_toml(value)}" for key, value in laid.items())
    project = _loaded(served, overrides)
    _check_columns(project, dataset)
    return (*served.overrides, *overrides)


def _loaded(served: Served, overrides: Sequence[str]) -> Project:
    try:
        return load_project(served.place, env=served.env, overrides=(*served.overrides, *overrides)).project
    except ProjectError as error:
        field = next((name for name, key in KEYS.items() if f"--set {key}" in error.where), None)
        if overrides and field is not None:
            raise Refused(422, error.what, where=f"overrides.{field}", fix=error.fix) from None
        raise Refused(
            503, "the project file cannot be read as it stands", fix="whoever keeps it sees why with tahona check"
        ) from None


def _check_columns(project: Project, dataset: Dataset) -> None:
    """Find names that no column has, unless the project's functions make columns of their own."""
    if project.data.clean:
        return
    wanted = {"overrides.target": (project.project.target,), "overrides.exclude": project.data.drop}
    for where, names in wanted.items():
        for name in names:
            if name not in dataset.columns:
                hint = did_you_mean(name, dataset.columns) or "name one of its columns"
                raise Refused(422, "the data set has no column of this name", where=where, fix=hint)


def _toml(value: Any) -> str:  # noqa: ANN401 - what a field may hold
    """Write a value as TOML; text stays the text that it is and reads no variable of the environment."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value.replace("${", "$${"), ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
