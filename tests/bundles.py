"""Bundles made in a moment, without a project: a family or a mixture fitted on a table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tahona.bundle.bundle import Bundle, Member
from tahona.core.schema import Schema
from tahona.learn.calibration import fit_calibrator
from tahona.learn.columns import Columns, infer_schema, to_columns, to_labels, with_ranges
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.model import FittedModel, fit_estimator


@dataclass(frozen=True)
class Part:
    """A member of a mixture; with ``rounds`` of 2 it is two fits, whose scores are averaged."""

    family: str
    params: Mapping[str, Any]
    calibrate: str = "isotonic"
    weight: float = 1.0
    fits: int = 1


def fitted_model(
    family: str, params: Mapping[str, Any], columns: Columns, y: np.ndarray, schema: Schema
) -> FittedModel:
    """Return a family's model, fitted once, as it is before calibration."""
    kind = FAMILIES[family]
    encoding = fit_encoding(columns, schema, kind.wants)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator, seen, _ = fit_estimator(
            kind, params, encoding.apply(columns), y, seed=1, categorical=encoding.categorical
        )
    return FittedModel(family, params, encoding, (estimator,), len(schema.labels), seen, len(y))


def fitted(frame: pd.DataFrame, parts: Sequence[Part], *, target: str, rule: str = "threshold", **says: Any) -> Bundle:
    """Return the bundle of these parts; ``says`` goes to the inference of the schema."""
    schema, _ = infer_schema(frame, target=target, **says)
    y, columns = to_labels(frame[target], schema), to_columns(frame, schema)
    schema = with_ranges(schema, columns)
    members = []
    for part in parts:
        family = FAMILIES[part.family]
        encoding = fit_encoding(columns, schema, family.wants)
        matrix = encoding.apply(columns)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits = [
                fit_estimator(family, part.params, matrix, y, seed=seed, categorical=encoding.categorical)
                for seed in range(part.fits)
            ]
        estimators = tuple(fit[0] for fit in fits)
        shares = tuple(1.0 / part.fits for _ in fits)
        model = FittedModel(part.family, part.params, encoding, estimators, len(schema.labels), fits[0][1], 0, shares)
        calibrator = fit_calibrator(
            model.scores(columns), y, classes=len(schema.labels), kind=part.calibrate, gives=family.gives
        )
        members.append(Member(model, calibrator, part.weight))
    threshold = 0.4 if rule == "threshold" and schema.binary else None
    return Bundle("made", schema, tuple(members), threshold, rule)
