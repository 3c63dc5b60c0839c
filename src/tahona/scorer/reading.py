"""From a raw row to cells: what each column's value means, refused where it means nothing, and the row's warnings.

The lines written here give local variables `v0`, `v1`, … (a number with NaN for null, or a canonical text or None) and
`said`, a tuple of warnings. They say the same as `tahona.learn.reading` and `tahona.bundle.predict.row_warnings`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from tahona.core.schema import Column
from tahona.errors import DataError
from tahona.scorer.cells import LONGEST_KEPT, canonical, number
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.source import Source
from tahona.scorer.times import NULL, from_text, microseconds

LARGEST = 3.4028234663852886e38
"""The largest number of float32: beyond it numbers are cut off (`tahona.learn.tables`)."""
MOST_LEVELS = 1000
"""A schema lists at most so many levels of a category: a full list does not tell what is unseen."""
_DAYS_KEPT = 4096
"""Distinct texts of dates that are remembered."""

Read = Callable[[object], object]


def write_reading(source: Source, columns: Sequence[Column]) -> None:
    """Write the lines that read a row's attributes `f0`, `f1`, … ."""
    readers = tuple(_reader(column) for column in columns)
    source.add("said = ()", "try:")
    for place, (column, read) in enumerate(zip(columns, readers, strict=True)):
        for line in _lines(source, f"v{place}", f"row.f{place}", column, source.bind(read)):
            source.add(f"    {line}")
    source.add("except TypeError:", f"    {source.bind(_refuser(readers))}(row)", "    raise")


def _lines(source: Source, cell: str, raw: str, column: Column, read: str) -> list[str]:
    """Return the lines for one column; the slow reader is called for what is not plainly right."""
    if column.kind in ("numeric", "datetime"):
        lines = [f"{cell} = {raw}", f"if {cell}.__class__ is not float: {cell} = {read}({cell})"]
        if column.kind == "datetime":
            lines = [f"{cell} = {read}({raw})"]
        return lines + _range(source, cell, column)
    if column.kind == "text":
        return [f"{cell} = {raw}", f"if {cell}.__class__ is not str or not {cell}.isascii(): {cell} = {read}({cell})"]
    known = source.bind(frozenset((*column.levels, None)))
    lines = [f"{cell} = {raw}", f"if {cell} not in {known}:", f"    {cell} = {read}({cell})"]
    if column.levels and len(column.levels) < MOST_LEVELS:
        warning = source.bind(f"unseen category in {column.name}")
        lines.append(f"    if {cell} not in {known}: said = (*said, {warning})")
    return lines


def _range(source: Source, cell: str, column: Column) -> list[str]:
    low, high = column.low, column.high
    if low is None or high is None:
        low, high = -LARGEST, LARGEST
    elif not -LARGEST <= low <= high <= LARGEST:
        raise NotCompiledError(f"the numbers of column '{column.name}' go beyond float32")
    lines = [f"if {cell} < {low!r} or {cell} > {high!r}:", f"    {cell} = {source.bind(_cutter(column))}({cell})"]
    if column.low is not None and column.high is not None:
        warning = source.bind(f"{column.name} outside the training range")
        lines.append(f"    said = (*said, {warning})")
    return lines


def _cutter(column: Column) -> Callable[[float], float]:
    def cut(value: float) -> float:
        if math.isinf(value):
            raise DataError(
                "1 infinite value(s)",
                where=f"column '{column.name}'",
                fix="Replace them by null or by a number in a cleaning function; look for a division by zero.",
            )
        return min(max(value, -LARGEST), LARGEST)

    return cut


def _reader(column: Column) -> Read:
    """Return what reads a cell of this column, whatever it is; its DataError names the column."""
    if column.kind == "numeric":
        return _named(lambda value: float(number(value)), column.name)
    if column.kind == "datetime":
        return _named(_seconds(column.format), column.name)
    return _named(canonical, column.name)


def _seconds(form: str) -> Read:
    remembered = lru_cache(_DAYS_KEPT)(from_text)

    def seconds(value: object) -> float:
        if isinstance(value, str):
            text = value.strip()
            stamp = remembered(text, form) if len(text) <= LONGEST_KEPT else from_text(text, form)
        else:
            stamp = microseconds(value, form)
        return math.nan if stamp == NULL else stamp / 1e6

    return seconds


def _named(read: Read, name: str) -> Read:
    def read_cell(value: object) -> object:
        try:
            return read(value)
        except DataError as error:
            raise DataError(error.what, where=f"column '{name}'", fix=error.fix) from None

    return read_cell


def _refuser(readers: Sequence[Read]) -> Callable[[object], None]:
    """Return what raises the DataError of the first cell that is no value (a list, say, which no table looks up)."""

    def refuse(row: object) -> None:
        for place, read in enumerate(readers):
            read(getattr(row, f"f{place}"))

    return refuse
