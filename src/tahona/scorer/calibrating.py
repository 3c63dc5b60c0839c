"""From scores to probabilities: `tahona.learn.calibration.Calibrator`, for one row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tahona.scorer.errors import NotCompiledError
from tahona.scorer.source import Source, summed

FORMAT = 1
"""Of calibrators (`tahona.learn.calibration`)."""
_EDGE = 1e-3


def write_calibrating(source: Source, data: Mapping[str, Any], scores: Sequence[str]) -> tuple[str, ...]:
    """Write the lines that calibrate, and return the names of the probabilities, one per class.

    ``scores`` are names: one margin of class 1, or one score per class.
    """
    if data["format"] > FORMAT:
        raise NotCompiledError(f"the calibrator has format {data['format']}")
    if not data["curves"]:
        return tuple(scores)
    given = (scores[-1],) if data["classes"] == 2 else tuple(scores)
    risen = [_rise(source, curve, data, score) for curve, score in zip(data["curves"], given, strict=True)]
    if len(risen) == 1:
        return source.let(f"1.0 - {risen[0]}"), risen[0]
    total = source.let(summed(risen))
    return tuple(source.let(f"{each} / {total}") for each in risen)


def _rise(source: Source, curve: Mapping[str, Any], data: Mapping[str, Any], score: str) -> str:
    if data["gives"] == "probability" and data["kind"] == "sigmoid":
        drawn = source.let(f"{_EDGE!r} + {1 - 2 * _EDGE!r} * {score}")
        score = source.let(f"float({source.bind(np.log)}({drawn} / (1.0 - {drawn})))")
    if "slope" not in curve:
        return source.let(f"{source.bind(steps(curve['x'], curve['y']))}({score})")
    power = source.let(f"{curve['slope']!r} * {score} + {curve['offset']!r}")
    source.add(f"if not -700.0 <= {power} <= 700.0: {power} = 700.0 if {power} > 0.0 else -700.0")
    # NumPy's exp, not the C library's: the last bit may differ
    return source.let(f"1.0 / (1.0 + float({source.bind(np.exp)}(-{power})))")


def steps(x: Sequence[float], y: Sequence[float]) -> Callable[[float], float]:
    """Return `tahona.learn.calibration.Steps` for one score."""
    if len(x) == 1:
        level = y[0]
        return lambda _score: level
    first, final, last = x[0], x[-1], len(x) - 2

    def rise(score: float) -> float:
        place = min(max(bisect_right(x, score) - 1, 0), last)
        inside = min(max(score, first), final)
        share = (inside - x[place]) / (x[place + 1] - x[place])
        return y[place] + share * (y[place + 1] - y[place])

    return rise
