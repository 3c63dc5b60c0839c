"""One member of the mixture: encoded, asked, its classes put in their places, calibrated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tahona.core.schema import Column
from tahona.scorer.calibrating import write_calibrating
from tahona.scorer.encoding import write_encoding
from tahona.scorer.heads import write_head
from tahona.scorer.links import Scores
from tahona.scorer.parts import Parts
from tahona.scorer.source import Source, summed


@dataclass(frozen=True, slots=True)
class Member:
    """A member's plain files, and what stands for its estimators."""

    family: str
    weight: float
    model: Mapping[str, Any]
    encoding: Mapping[str, Any]
    calibrator: Mapping[str, Any]
    heads: Sequence[Mapping[str, Any]]


def write_member(source: Source, member: Member, columns: Sequence[Column], parts: Parts) -> tuple[Scores, str]:
    """Write the lines of one member; return the names of its probabilities, and the code it decides by itself."""
    row = write_encoding(source, member.encoding, columns)
    seen, classes = member.model["seen"], member.model["classes"]
    asked = [write_head(source, head, row, parts) for head in member.heads]
    placed = [_spread(source, scores, seen, classes, member.calibrator["gives"]) for scores in asked]
    if len(placed) == 1:
        scores, decided = placed[0], f"{source.bind(tuple(seen))}[{_greatest(source, asked[0])}]"
    else:
        weights = member.model["weights"]
        scores = tuple(
            source.let(summed(f"{part} * {weight!r}" for part, weight in zip(each, weights, strict=True)))
            for each in zip(*placed, strict=True)
        )
        decided = _greatest(source, scores)
    return write_calibrating(source, member.calibrator, scores), decided


def _spread(source: Source, scores: Scores, seen: Sequence[int], classes: int, gives: str) -> Scores:
    """Give classes that the training rows did not show their place: probability 0, or the least margin."""
    if len(seen) == classes:
        return scores
    if gives == "margin" and len(scores) == 1:
        scores = (source.let(f"-{scores[0]}"), scores[0])
    absent = source.let("0.0" if gives == "probability" else f"min({', '.join(scores)})")
    places = dict(zip(seen, scores, strict=True))
    return tuple(places.get(code, absent) for code in range(classes))


def _greatest(source: Source, scores: Scores) -> str:
    """Return the expression of the place of the greatest score, the first of equals; of one margin: its side."""
    if len(scores) == 1:
        return f"({scores[0]} > 0.0)"
    if len(scores) == 2:
        return f"({scores[0]} < {scores[1]})"
    together = source.let(f"({', '.join(scores)})")
    return f"{together}.index(max({together}))"


def write_mixture(source: Source, probabilities: Mapping[str, Scores], weights: Mapping[str, float]) -> Scores:
    """Write the weighted mean, added in the order of names, as `tahona.learn.ensemble.mix` does."""
    names = sorted(name for name, weight in weights.items() if weight > 0)
    if len(names) == 1 and math.isclose(weights[names[0]], 1.0, rel_tol=0.0):
        return probabilities[names[0]]
    classes = zip(*(probabilities[name] for name in names), strict=True)
    terms = ([f"{part} * {weights[name]!r}" for part, name in zip(each, names, strict=True)] for each in classes)
    return tuple(source.let(summed(each)) for each in terms)


def write_decision(source: Source, probabilities: Scores, threshold: float | None) -> str:
    """Return the expression of the class code, by `tahona.core.decision.decide`'s rule."""
    if threshold is not None and len(probabilities) == 2:
        return f"({probabilities[1]} >= {threshold!r})"
    return _greatest(source, probabilities)
