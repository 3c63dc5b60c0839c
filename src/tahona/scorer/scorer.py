"""A bundle's answer for one raw row, by a function written for that bundle.

The function has no loop over columns and asks nothing about the bundle: its text is made once, when the bundle is
loaded, from the plain tables that are in the file. It gives the bits that `Bundle.predict` gives; whether that is so
was tried when the bundle was written, row by row, and a bundle where it was not so has no scorer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from tahona.core.schema import Column, Schema
from tahona.errors import DataError
from tahona.scorer.gathering import Gathered, Together
from tahona.scorer.members import Member, write_decision, write_member, write_mixture
from tahona.scorer.parts import Files, Parts
from tahona.scorer.reading import write_reading
from tahona.scorer.source import Source

Answer = tuple[int, tuple[float, ...], tuple[str, ...]]
"""Class code, probability of every class, warnings."""
Score = Callable[[Any], Answer]
ScoreAll = Callable[[Sequence[Any]], list[Answer]]
FEW = 40
"""Rows below which one after the other is quicker."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a bundle says of itself, as far as scoring needs it."""

    schema: Schema
    members: tuple[Member, ...]
    threshold: float | None
    rule: str


class Scorer:
    """What a bundle says about raw rows.

    A row is any object whose attributes `f0`, `f1`, … hold the cells of ``columns``, in their order (a `msgspec.Struct`
    of the reader's own is the quickest; `row` makes one of a mapping). Cells mean what they mean in a table: numbers
    and null for numbers, any plain value for categories and texts, ISO 8601 (or the column's format) for dates.
    Anything else raises DataError that names the column.

    ``score`` answers for one row, ``score_some`` for several; they belong to one thread at a time. ``score_many`` may
    be called from any thread, beside them.
    """

    def __init__(self, recipe: Recipe, files: Files) -> None:
        schema = recipe.schema
        self.columns: tuple[Column, ...] = schema.features
        self.labels = schema.labels
        self.positive = schema.positive
        self.threshold = recipe.threshold if recipe.rule == "threshold" else None
        self._recipe, self._parts = recipe, Parts(files)
        self.score: Score = _write(recipe, self._parts)
        self._some: ScoreAll | None = None
        self._many: ScoreAll | None = None
        self._lock = Lock()
        self._fields = [f"f{place}" for place in range(len(self.columns))]
        self._row = type("Row", (), {"__slots__": self._fields})

    def score_some(self, rows: Sequence[Any]) -> list[Answer]:
        """Return what `score` returns, for each row in order."""
        if len(rows) < FEW:
            score = self.score
            return [score(row) for row in rows]
        if self._some is None:
            self._some = _write_together(self._recipe, self._parts)
        return self._some(rows)

    def score_many(self, rows: Iterable[Any]) -> list[Answer]:
        """Return what `score` returns, for each row in order."""
        with self._lock:
            if self._many is None:
                self._many = _write_together(self._recipe, self._parts)
            return self._many(list(rows))

    def row(self, cells: Mapping[str, object]) -> Any:  # noqa: ANN401 - a class made at run time
        """Return a row that `score` reads. Raises DataError naming columns that are missing; others are ignored."""
        missing = [column.name for column in self.columns if column.name not in cells]
        if missing:
            shown = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
            raise DataError(f"missing column(s): {shown}", fix="Give every column, null where it is unknown.")
        made = self._row()
        for field, column in zip(self._fields, self.columns, strict=True):
            setattr(made, field, cells[column.name])
        return made


def _write_together(recipe: Recipe, parts: Parts) -> ScoreAll:
    """Return what answers for many rows: all at once where there is something to ask so."""
    gathered: list[Gathered] = []
    score = _write(recipe, parts, gathered)
    return Together(score, gathered) if gathered else lambda rows: [score(row) for row in rows]


def _write(recipe: Recipe, parts: Parts, gathered: list[Gathered] | None = None) -> Callable[[Any], Any]:
    """Write the function of a row: `Score`, or `Steps` where it has gathered something."""
    source = Source(gathered)
    columns: Sequence[Column] = recipe.schema.features
    write_reading(source, columns)
    written = {member.family: write_member(source, member, columns, parts) for member in recipe.members}
    mixed = write_mixture(
        source,
        {family: probabilities for family, (probabilities, _) in written.items()},
        {member.family: member.weight for member in recipe.members},
    )
    if recipe.rule == "estimator":
        code = written[recipe.members[0].family][1]
    else:
        code = write_decision(source, mixed, recipe.threshold)
    source.add(f"{'yield' if gathered else 'return'} int({code}), ({', '.join(mixed)},), said")
    return source.function("score(row)")
