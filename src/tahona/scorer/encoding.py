"""From cells to a matrix row: the tables of `tahona.learn.encoding`, read for one row at a time.

A table's part of the row is one or more `Cell`s: a matrix column and the expression of its value. A one-hot table is a
`Hot`: the expression of the column that is 1 (-1 for none). A text column's is a `Words`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tahona.core.schema import Column
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.source import Source
from tahona.scorer.text import weigher
from tahona.scorer.times import PARTS, parts

FORMAT = 2
"""Of encodings (`tahona.learn.encoding`)."""
FARTHEST = 1e9
_LARGE = 1e29


@dataclass(frozen=True, slots=True)
class Cell:
    column: int
    value: str


@dataclass(frozen=True, slots=True)
class Hot:
    """One of ``width`` matrix columns is 1: that at ``place`` of the whole row, or none for -1."""

    width: int
    place: str


@dataclass(frozen=True, slots=True)
class Words:
    """The names of two lists: matrix columns, rising, and the value in each."""

    columns: str
    values: str


Piece = Cell | Hot | Words


@dataclass(frozen=True, slots=True)
class Row:
    """A matrix row in the making."""

    width: int
    plain: int
    """Columns before those of words."""
    pieces: tuple[Piece, ...]
    sparse: bool
    """Whether the bundle writes it as CSR."""


def write_encoding(source: Source, data: Mapping[str, Any], columns: Sequence[Column]) -> Row:
    """Write the lines that encode the cells `v0`, `v1`, … and return the row's pieces."""
    if data["format"] > FORMAT:
        raise NotCompiledError(f"the encoding has format {data['format']}")
    places = {column.name: place for place, column in enumerate(columns)}
    pieces: list[Piece] = []
    width = 0
    for table in data["tables"]:
        written = list(_WRITERS[table["table"]](source, table, f"v{places[table['source']]}", width))
        pieces += written
        width += sum(piece.width if isinstance(piece, Hot) else 1 for piece in written)
    plain = width
    for table in data["texts"]:
        words = Words(source.fresh(), source.fresh())
        weigh = source.bind(weigher(table, width))
        source.add(f"{words.columns}, {words.values} = {weigh}(v{places[table['source']]})")
        pieces.append(words)
        width += len(table["terms"])
    return Row(width, plain, tuple(pieces), bool(data["texts"]) or data.get("wide", False))


def _numeric(source: Source, table: Mapping[str, Any], cell: str, first: int) -> Iterator[Cell | Hot]:
    scaling = table["scaling"]
    yield Cell(first, _scaled(source, cell, cell, scaling) if scaling else cell)
    if table["indicator"]:
        yield Cell(first + 1, _indicator(cell))


def _dates(source: Source, table: Mapping[str, Any], cell: str, first: int) -> Iterator[Cell | Hot]:
    names = [source.fresh() for _ in PARTS]
    source.add(f"{', '.join(names)} = {source.bind(parts)}({cell})")
    for place, part in enumerate(table["parts"]):
        name = names[PARTS.index(part)]
        yield Cell(first + place, _scaled(source, name, cell, table["scalings"][place]) if table["scalings"] else name)
    if table["indicator"]:
        yield Cell(first + len(table["parts"]), _indicator(cell))


def _one_hot(source: Source, table: Mapping[str, Any], cell: str, first: int) -> Iterator[Cell | Hot]:
    levels = table["levels"]
    width = len(levels) + table["other"] + table["null"]
    index: dict[str | None, int] = {level: first + place for place, level in enumerate(levels)}
    index[None] = first + len(levels) + table["other"] if table["null"] else -1
    unseen = first + len(levels) if table["other"] else -1
    yield Hot(width, source.let(f"{source.bind(index.get)}({cell}, {unseen})"))


def _codes(source: Source, table: Mapping[str, Any], cell: str, first: int) -> Iterator[Cell | Hot]:
    index: dict[str | None, float] = {level: float(place) for place, level in enumerate(table["levels"])}
    index[None] = float("nan") if table["null"] is None else float(table["null"])
    yield Cell(first, f"{source.bind(index.get)}({cell}, {float(len(table['levels']))!r})")


_WRITERS = {"numeric": _numeric, "dates": _dates, "one_hot": _one_hot, "codes": _codes}


def _indicator(cell: str) -> str:
    return f"(0.0 if {cell} == {cell} else 1.0)"


def _scaled(source: Source, value: str, cell: str, scaling: Sequence[float]) -> str:
    """Return the name of the filled and standardised value, with `tahona.learn.tables.Scaling`'s operations."""
    fill, mean, scale = scaling
    if mean == 0.0 and scale == 1.0:
        return source.let(f"{value} if {cell} == {cell} else {fill!r}")
    if abs(mean) > _LARGE or scale > _LARGE:  # a number is cut off before it is scaled, which must make no difference
        raise NotCompiledError("numbers of a column go beyond float32")
    filled = min(max((fill - mean) / scale, -FARTHEST), FARTHEST)
    name = source.let(f"({value} - {mean!r}) / {scale!r} if {cell} == {cell} else {filled!r}")
    source.add(f"if not -{FARTHEST} <= {name} <= {FARTHEST}: {name} = {FARTHEST} if {name} > 0.0 else -{FARTHEST}")
    return name
