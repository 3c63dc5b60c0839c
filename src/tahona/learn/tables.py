"""How one raw column becomes numbers: plain tables that a column-wise and a row-wise reader can both read.

Every operation is exact element by element (no sum over rows), so a row gives the same bits alone and in any batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.learn.coded import Coded

Floats = NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)
"""Numbers are cut off here: trees and boosters compare in float32 and refuse what does not fit."""
FARTHEST = 1e9
"""Standardised numbers are cut off here, so that no linear model overflows."""
SECONDS_A_DAY = 86_400.0

Part = Literal["year", "month", "day", "weekday", "hour", "elapsed"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """(value, or ``fill`` where null, minus ``mean``) / ``scale``."""

    fill: float
    mean: float = 0.0
    scale: float = 1.0

    def apply(self, values: Floats) -> Floats:
        filled = np.where(np.isnan(values), self.fill, values)
        if self.mean == 0.0 and self.scale == 1.0:
            return np.clip(filled, -LARGEST, LARGEST)
        with np.errstate(over="ignore"):
            return np.clip((filled - self.mean) / self.scale, -FARTHEST, FARTHEST)


def fit_scaling(values: Floats, *, standardise: bool) -> Scaling:
    """Return the median as fill, and mean and population deviation of the filled values (StandardScaler's formula).

    A column that is constant up to rounding gets scale 1, as there. Values beyond 1e150, whose squares overflow, are
    measured in units of the largest.
    """
    null = np.isnan(values)
    if null.all():
        return Scaling(0.0)
    fill = float(np.median(values[~null]))
    if not standardise:
        return Scaling(fill)
    filled = np.where(null, fill, values)
    largest = float(np.abs(filled).max())
    unit = largest if largest > 1e150 else 1.0
    mean, variance = float(np.mean(filled / unit)), float(np.var(filled / unit))
    epsilon = float(np.finfo(np.float64).eps)
    constant = variance <= filled.size * epsilon * variance + (filled.size * mean * epsilon) ** 2
    return Scaling(fill, mean * unit, 1.0 if constant else math.sqrt(variance) * unit)


@dataclass(frozen=True)
class Numeric:
    """A number: as it is with NaN for null (no ``scaling``), or scaled; ``indicator`` adds a column "is null"."""

    source: str
    scaling: Scaling | None = None
    indicator: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.source, f"{self.source}=(null)") if self.indicator else (self.source,)

    def write(self, values: NDArray[Any], out: Floats) -> None:
        """Fill this table's matrix columns ``out`` (n, len(names))."""
        out[:, 0] = np.clip(values, -LARGEST, LARGEST) if self.scaling is None else self.scaling.apply(values)
        if self.indicator:
            out[:, 1] = np.isnan(values)

    def to_dict(self) -> dict[str, Any]:
        scaling = _numbers(self.scaling) if self.scaling else None
        return {"table": "numeric", "source": self.source, "scaling": scaling, "indicator": self.indicator}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Numeric:
        return cls(data["source"], Scaling(*data["scaling"]) if data["scaling"] else None, data["indicator"])


@dataclass(frozen=True)
class Dates:
    """A date's parts, each as it is or scaled. Weekday 0 is Monday; ``elapsed`` are days since 1970."""

    source: str
    parts: tuple[Part, ...]
    scalings: tuple[Scaling, ...] = ()
    indicator: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        parts = tuple(f"{self.source}.{part}" for part in self.parts)
        return (*parts, f"{self.source}=(null)") if self.indicator else parts

    def write(self, values: NDArray[Any], out: Floats) -> None:
        """Fill this table's matrix columns ``out`` (n, len(names))."""
        for place, part in enumerate(date_parts(values, self.parts).values()):
            out[:, place] = self.scalings[place].apply(part) if self.scalings else part
        if self.indicator:
            out[:, -1] = np.isnan(values)

    def to_dict(self) -> dict[str, Any]:
        return {
            "table": "dates",
            "source": self.source,
            "parts": list(self.parts),
            "scalings": [_numbers(scaling) for scaling in self.scalings],
            "indicator": self.indicator,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Dates:
        scalings = tuple(Scaling(*numbers) for numbers in data["scalings"])
        return cls(data["source"], tuple(data["parts"]), scalings, data["indicator"])


def date_parts(seconds: Floats, parts: Sequence[Part]) -> dict[Part, Floats]:
    """Return these parts of the times (seconds since 1970 UTC), NaN for null."""
    null = np.isnan(seconds)
    known = np.where(null, 0.0, seconds)
    whole = np.floor(known / SECONDS_A_DAY).astype(np.int64)
    days = whole.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    found: dict[Part, NDArray[Any]] = {
        "year": months.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "weekday": (whole + 3) % 7,
        "hour": np.floor((known - whole * SECONDS_A_DAY) / 3_600),
        "elapsed": known / SECONDS_A_DAY,
    }
    return {part: np.where(null, np.nan, found[part]) for part in parts}


def parts_of(seconds: Floats) -> tuple[Part, ...]:
    """Return the parts worth looking at: the hour only where some time is not midnight."""
    known = seconds[~np.isnan(seconds)]
    hours: tuple[Part, ...] = ("hour",) if np.any(known % SECONDS_A_DAY) else ()
    return ("year", "month", "day", "weekday", *hours, "elapsed")


@dataclass(frozen=True)
class OneHot:
    """One column of 0 and 1 per level, ``other`` one more for rare and unseen levels, ``null`` one for null.

    Without those two columns an unseen level, or a null, is a row of zeros.
    """

    source: str
    levels: tuple[str, ...]
    other: bool = False
    null: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        levels = [f"{self.source}={level}" for level in self.levels]
        extra = [f"{self.source}=({name})" for name, there in (("other", self.other), ("null", self.null)) if there]
        return (*levels, *extra)

    @cached_property
    def _index(self) -> dict[str | None, int]:
        index: dict[str | None, int] = {level: place for place, level in enumerate(self.levels)}
        index[None] = len(self.levels) + self.other if self.null else -1
        return index

    def write(self, values: NDArray[Any], out: Floats) -> None:
        """Fill this table's matrix columns ``out`` (n, len(names)), which hold zeros."""
        places = self.places(values)
        rows = np.flatnonzero(places >= 0)
        out[rows, places[rows]] = 1.0

    def places(self, values: NDArray[Any] | Coded) -> NDArray[np.int64]:
        """Return which of this table's columns is 1, -1 where none is."""
        return _look_up(values, self._index, len(self.levels) if self.other else -1, np.int64)

    def to_dict(self) -> dict[str, Any]:
        levels = list(self.levels)
        return {"table": "one_hot", "source": self.source, "levels": levels, "other": self.other, "null": self.null}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OneHot:
        return cls(data["source"], tuple(data["levels"]), data["other"], data["null"])


@dataclass(frozen=True)
class Codes:
    """A level's place in the table, the table's length for rare and unseen levels, ``null`` (None: NaN) for null."""

    source: str
    levels: tuple[str, ...]
    null: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.source,)

    @cached_property
    def _index(self) -> dict[str | None, float]:
        index: dict[str | None, float] = {level: float(place) for place, level in enumerate(self.levels)}
        index[None] = np.nan if self.null is None else float(self.null)
        return index

    def write(self, values: NDArray[Any], out: Floats) -> None:
        """Fill this table's matrix column ``out`` (n, 1)."""
        out[:, 0] = _look_up(values, self._index, float(len(self.levels)), np.float64)

    def to_dict(self) -> dict[str, Any]:
        return {"table": "codes", "source": self.source, "levels": list(self.levels), "null": self.null}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Codes:
        return cls(data["source"], tuple(data["levels"]), data["null"])


def frequent_levels(values: NDArray[Any], *, most: int) -> tuple[tuple[str, ...], int]:
    """Return the levels to tell apart, the most frequent first (ties by text), and how many are left out as rare.

    A level counts from one row in a thousand on, and from five rows at the latest.
    """
    counts = Counter(values.tolist())
    counts.pop(None, None)
    least = min(5, math.ceil(len(values) / 1_000))
    ordered = sorted(counts, key=lambda level: (-counts[level], level))
    kept = [level for level in ordered if counts[level] >= least][:most]
    return tuple(kept), len(ordered) - len(kept)


def _look_up(values: NDArray[Any] | Coded, index: Mapping[Any, Any], unseen: float, kind: type) -> NDArray[Any]:
    if isinstance(values, Coded):
        return values.each(lambda text: index.get(text, unseen), kind)
    return np.fromiter(map(index.get, values.tolist(), repeat(unseen)), dtype=kind, count=len(values))


def _numbers(scaling: Scaling) -> list[float]:
    return [scaling.fill, scaling.mean, scaling.scale]
