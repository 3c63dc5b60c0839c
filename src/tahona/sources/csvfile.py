"""Separated text: rows with their line numbers, and the separator they agree on.

One parser, the standard library's, because it knows the line of every row; the cells go to Arrow a slice at a time.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.cells import read_cells, sniff_decimal, without_nulls
from tahona.sources.headers import normalise_headers, shown
from tahona.sources.limits import check_cells, check_columns

if TYPE_CHECKING:
    from _csv import Reader as Records

    import pyarrow as pa

    from tahona.sources.reading import Reading, RowPlace

__all__ = [
    "SAMPLE_CHARACTERS",
    "csv_reader",
    "described",
    "numbered_rows",
    "ragged",
    "read_csv",
    "sniff_separator",
    "text_cells",
]

_SEPARATORS = (",", ";", "\t", "|")
SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_ROWS = 200
SLICE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class _Records:
    """The header, the columns' cells as text, the line of each row, and how many blank lines were passed over."""

    header: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    lines: array[int]
    blank: int


def read_csv(text: str, encoding: str, reading: Reading) -> FetchedTable:
    r"""Return the table that stands in the text, whose line ends are ``\n``.

    Raises DataError with the line for a row longer or shorter than the header and for a quote that never closes.
    """
    import pandas as pd

    separator = reading.separator or sniff_separator(text)
    records = _parse(text, separator, reading)
    names, findings = normalise_headers(records.header, where=reading.where, limits=reading.limits)
    if not records.lines:
        raise DataError("the table has a header and 0 rows", where=reading.where, fix="Add rows below the header.")

    def place(row: int) -> str:
        return f"{reading.where}:{records.lines[row]}"

    columns = {name: without_nulls(cells, reading.nulls) for name, cells in zip(names, records.columns, strict=True)}
    decimal, unclear = sniff_decimal(columns, reading)
    told = [described(encoding, separator, decimal), *findings, *unclear]
    if records.blank:
        told.append(Finding("blank_lines", "", {"count": records.blank}))
    values: dict[str, Any] = {}
    for name in names:
        values[name], notes = read_cells(name, columns.pop(name), decimal, reading, place)
        told += (
            note for note in notes if note.kind != "mixed_types" or Finding("unclear_decimal", name) not in unclear
        )
    return FetchedTable(pd.DataFrame(values, copy=False), tuple(told))


def sniff_separator(text: str) -> str:
    """Return the separator with which the header has several columns and most rows of a sample as many.

    One column makes any separator right; a comma is returned then.
    """
    sample = text[:SAMPLE_CHARACTERS]
    best = (0.0, 0, ",")
    for separator in _SEPARATORS:
        rows = _sample_rows(sample, separator)
        if len(sample) < len(text) and len(rows) > 2:
            rows.pop()  # cut off in the middle
        width = len(rows[0]) if rows else 0
        if width < 2:
            continue
        body = rows[1:]
        agreeing = sum(len(row) == width for row in body) / len(body) if body else 0.5
        if (agreeing, width) > best[:2]:
            best = (agreeing, width, separator)
    return best[2]


def _sample_rows(sample: str, separator: str) -> list[list[str]]:
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(sample, newline="\n"), delimiter=separator)
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:  # a cell beyond the parser's limit: the sample ends before it
        return rows
    return rows


def _parse(text: str, separator: str, reading: Reading) -> _Records:
    rows = numbered_rows(csv_reader(io.StringIO(text, newline="\n"), separator, reading), reading)
    _, header = next(rows, (0, ()))
    if not header:
        raise DataError("the file is empty", where=reading.where, fix="Give a file with a header and rows.")
    check_columns(len(header), where=reading.where, limits=reading.limits)
    slices: list[list[pa.Array]] = [[] for _ in header]
    lines = array("q")
    blank = 0
    held: list[Sequence[str]] = []
    for line, row in rows:
        if not row:
            blank += 1
            continue
        if len(row) != len(header):
            raise ragged(row, header, line, separator, reading)
        lines.append(line)
        held.append(row)
        if len(held) == SLICE_ROWS:
            _keep(held, header, lines, slices, reading)
            held = []
    if held:
        _keep(held, header, lines, slices, reading)
    return _Records(tuple(header), tuple(_chunked(parts) for parts in slices), lines, blank)


def csv_reader(lines: Iterable[str], separator: str, reading: Reading) -> Records:
    """Return the parser of the lines, which refuses what is no CSV and cells beyond the limit."""
    limit = reading.limits.cell_characters
    # The parser's limit belongs to the process; it is only ever raised, so two readers cannot disturb each other.
    if csv.field_size_limit() < limit:
        csv.field_size_limit(limit)
    return csv.reader(lines, delimiter=separator, strict=True)


def described(encoding: str, separator: str, decimal: str) -> Finding:
    """Say how a CSV file was read."""
    details = f"encoding={encoding}, separator={'tab' if separator == chr(9) else separator!r}, decimal={decimal!r}"
    return Finding("read_as", "", {"format": "CSV", "details": details})


def numbered_rows(reader: Records, reading: Reading) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield every record with the line it begins on; blank lines before the header are passed over."""
    begun = False
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _malformed(error, line, reading) from None
        if row is None:
            return
        if row or begun:
            begun = True
            yield line, row


def _keep(
    rows: list[Sequence[str]],
    header: Sequence[str],
    lines: array[int],
    slices: list[list[pa.Array]],
    reading: Reading,
) -> None:
    check_cells(len(lines), len(header), reading.limits.cells, where=reading.where)
    start = len(lines) - len(rows)
    for name, part, cells in zip(header, slices, zip(*rows, strict=True), strict=True):
        part.append(text_cells(name, cells, lambda row: f"{reading.where}:{lines[start + row]}", reading))


def text_cells(name: str, cells: Sequence[str], place: RowPlace, reading: Reading) -> pa.Array:
    """Return a column's cells for Arrow. Raises DataError for one beyond the limit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    limit = reading.limits.cell_characters
    part = pa.array(cells, pa.large_string())
    if pc.max(pc.binary_length(part)).as_py() > limit:
        first = pc.index(pc.greater(pc.utf8_length(part), limit), True).as_py()
        if first >= 0:
            raise _oversized(place(first), f" in column {shown(name)}", limit)
    return part


def _chunked(parts: list[pa.Array]) -> pa.ChunkedArray:
    import pyarrow as pa

    return pa.chunked_array(parts, pa.large_string())


def ragged(row: Sequence[str], header: Sequence[str], line: int, separator: str, reading: Reading) -> DataError:
    longer = len(row) > len(header)
    fix = "Correct that line; a cell that holds the separator must stand in double quotes."
    if len(header) == 1:
        fix = f"Declare `separator` in [data] if {separator!r} is not the separator."
    elif longer and line == 2:
        fix = "Give every column a name in the header, the first (row names) too."
    verdict = "long" if longer else "short"
    return DataError(
        f"the row has {len(row):,} cells, but the header has {len(header):,}: it is too {verdict}",
        where=f"{reading.where}:{line}",
        fix=fix,
    )


def _malformed(error: csv.Error, line: int, reading: Reading) -> DataError:
    where = f"{reading.where}:{line}"
    message = str(error)
    if "field limit" in message:
        return _oversized(where, "", reading.limits.cell_characters)
    if "unexpected end" in message:
        return DataError(
            "a double quote opens in this row and never closes",
            where=where,
            fix='Close it, or write a quote inside a quoted cell twice ("").',
        )
    return DataError(
        "a quoted cell of this row goes on after its closing quote",
        where=where,
        fix='Write a quote inside a quoted cell twice (""), and put the separator right after the closing one.',
    )


def _oversized(where: str, column: str, limit: int) -> DataError:
    return DataError(
        f"a cell{column} is larger than the limit of {limit:,} characters",
        where=where,
        fix="Shorten it; if the file holds no such cell, a double quote may never close.",
    )
