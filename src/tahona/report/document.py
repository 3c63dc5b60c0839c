"""A document before it has a form: sections of paragraphs, tables, lists and figures, in the reader's language.

The HTML page, its Markdown twin and the model card are all written from such documents, so they cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval drawn on an axis; places run from 0 to 1. ``baseline`` is where the dummy stands."""

    low: float
    value: float
    high: float
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """The values from ``low`` to ``high`` that bars are drawn on."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float | None]) -> Axis:
        """Return an axis that holds all values, with a little air."""
        known = [value for value in values if value is not None and math.isfinite(value)] or [0.0, 1.0]
        low, high = min(known), max(known)
        air = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
        whole = low >= 0.0 and high <= 1.0  # most metrics lie between 0 and 1, and so does their axis
        return cls(max(0.0, low - air), min(1.0, high + air)) if whole else cls(low - air, high + air)

    def place(self, value: float) -> float:
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def bar(
        self, value: float | None, low: float | None, high: float | None, baseline: float | None = None
    ) -> Bar | None:
        """Return the bar of an interval; None where there is no number, or where it lies off the axis."""
        ends = [x for x in (value, low, high) if x is not None and math.isfinite(x)]
        if value is None or len(ends) < 3 or not self.low <= value <= self.high:
            return None
        mark = self.place(baseline) if baseline is not None and self.low <= baseline <= self.high else None
        return Bar(self.place(ends[1]), self.place(value), self.place(ends[2]), mark)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. ``note`` stands small beside it, ``code`` is a name or a setting, ``share`` (0 to 1) tints it."""

    text: str
    note: str = ""
    code: bool = False
    strong: bool = False
    number: bool = False
    tone: str = ""
    bar: Bar | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; the first cell of a row names it. Heads of ``numbers`` (places) stand right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()
    marked: int | None = None
    """The row that the document is about."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Points:
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A term and what it is; ``code`` as in a cell."""

    term: str
    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Pairs:
    items: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class Names:
    """Names of columns, one after another."""

    items: tuple[str, ...]
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    file: Path
    text: str


@dataclass(frozen=True, slots=True)
class Figures:
    items: tuple[Figure, ...]


Block = Text | Points | Pairs | Code | Names | Table | Figures


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The card at the top: one number, its interval, and what it means."""

    label: str
    value: str
    interval: str
    bar: Bar | None
    bar_text: str
    scale: tuple[str, str]
    baseline: str
    sentences: tuple[str, ...]
    status: str
    good: bool
    """Whether the status is one to be glad about."""
    heed_title: str = ""
    heed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    language: str
    title: str
    heading: str
    subtitle: str
    eyebrow: str
    contents: str
    summary: Summary | None
    sections: tuple[Section, ...]
    footer: Sequence[str] = field(default_factory=tuple)
