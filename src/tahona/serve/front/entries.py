"""The JSON that a worker writes: answers to clients, and lines for the prediction log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Answered(msgspec.Struct, gc=False):
    """What one row gets."""

    id: str
    label: str
    probabilities: dict[str, float]
    warnings: Sequence[str]


class Answers(msgspec.Struct, gc=False):
    """What a request for predictions gets; ``decision`` says how labels follow from probabilities."""

    model: str
    version: int
    decision: msgspec.Raw
    predictions: list[Answered]


class Entry(msgspec.Struct, gc=False):
    """One line of the spool: `tahona.core.records.Prediction` without what is told later."""

    id: str
    name: str
    version: int
    when: str
    label: str
    probabilities: dict[str, float]
    key: str
    features: Any
    warnings: Sequence[str]


encode = msgspec.json.Encoder().encode
