"""From an estimator's margins to its scores, with the operations of `tahona.learn.families.family`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tahona.scorer.source import Source, summed

Scores = tuple[str, ...]
"""Names of an estimator's scores within the function."""


def write_logistic(source: Source, margins: Sequence[str]) -> Scores:
    """Write both probabilities from the margin of class 1."""
    positive = source.let(f"{source.bind(expit)}({margins[0]})")
    return source.let(f"1.0 - {positive}"), positive


def write_softmax(source: Source, margins: Sequence[str]) -> Scores:
    """Write probabilities from a margin per class."""
    top = source.let(f"max({', '.join(margins)})")
    exp = source.bind(np.exp)
    return _shares(source, [source.let(f"float({exp}({margin} - {top}))") for margin in margins])


def _each_against_rest(source: Source, margins: Sequence[str]) -> Scores:
    return _shares(source, [source.let(f"{source.bind(expit)}({margin})") for margin in margins])


def _margins(_source: Source, margins: Sequence[str]) -> Scores:
    return tuple(margins)


def _shares(source: Source, weights: Sequence[str]) -> Scores:
    total = source.let(summed(weights))
    return tuple(source.let(f"{weight} / {total}") for weight in weights)


def expit(margin: float) -> float:
    """Return 1 / (1 + exp(-margin)) by the C library, which SciPy asks as well."""
    try:
        return 1.0 / (1.0 + math.exp(-margin))
    except OverflowError:
        return 0.0


LINKS: Mapping[str, Callable[[Source, Sequence[str]], Scores]] = {
    "logistic": write_logistic,
    "softmax": write_softmax,
    "one against rest": _each_against_rest,
    "margin": _margins,
}
