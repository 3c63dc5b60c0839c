"""A CSV file of any length whose columns are known: read piece by piece, by the rules of `csvfile`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding
from tahona.errors import DataError
from tahona.sources.cells import sniff_decimal, without_nulls
from tahona.sources.csvfile import (
    SAMPLE_CHARACTERS,
    csv_reader,
    described,
    numbered_rows,
    ragged,
    sniff_separator,
    text_cells,
)
from tahona.sources.forms import read_form
from tahona.sources.headers import normalise_headers

if TYPE_CHECKING:
    import pandas as pd

    from tahona.sources.cells import Decimal
    from tahona.sources.reading import Reading, Tell
    from tahona.sources.textstream import TextStream

__all__ = ["csv_names", "stream_csv"]

_PIECE_CHARACTERS = 32_000_000
"""A piece ends here even if it has fewer rows than were asked for: long texts take no more memory than others."""
_HEAD_ROWS = 10_000
_HEAD_CHARACTERS = 4_000_000
"""How much is looked at for the decimal mark."""
_NUMERIC = {"real", "whole", "code"}


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows as cells of text, the line of each, and the place of the first in the table."""

    rows: list[Sequence[str]]
    lines: array[int]
    start: int


def stream_csv(stream: TextStream, reading: Reading, rows: int, tell: Tell) -> Iterator[pd.DataFrame]:
    """Give the columns of ``reading.forms`` that the file has, at most so many rows at a time, all of one type.

    Separator and decimal mark are found in the first rows and told. Raises DataError as `read_csv`, with the line.
    """
    import pandas as pd

    assert reading.forms is not None
    separator, records, header = _begin(stream, reading)
    names, findings = normalise_headers(header, where=reading.where, limits=reading.limits)
    wanted = {index: name for index, name in enumerate(names) if reading.wants(name)}
    late: list[Finding] = []
    pieces = _pieces(_full(records, header, separator, stream, reading, late.append), rows, stream)
    head = _head(pieces, rows)
    if not head:
        raise DataError("the table has a header and 0 rows", where=reading.where, fix="Add rows below the header.")
    decimal, unclear = _decimal(head, wanted, reading)
    for finding in (described(stream.encoding, separator, decimal), *findings, *unclear):
        tell(finding)
    for piece in chain(_drained(head), pieces):
        index = pd.RangeIndex(piece.start, piece.start + len(piece.rows))
        yield pd.DataFrame(_columns(piece, wanted, decimal, reading), index=index, copy=False)
    for finding in late:
        tell(finding)


def csv_names(stream: TextStream, reading: Reading) -> tuple[str, ...]:
    """Return what `stream_csv` calls the columns, those too that it passes over."""
    _, _, header = _begin(stream, reading)
    return normalise_headers(header, where=reading.where, limits=reading.limits)[0]


def _begin(stream: TextStream, reading: Reading) -> tuple[str, Iterator[tuple[int, Sequence[str]]], Sequence[str]]:
    """Return the separator, the rows behind the header with their lines, and the header."""
    separator = reading.separator or sniff_separator(stream.head(SAMPLE_CHARACTERS + 1))
    records = numbered_rows(csv_reader(stream.lines(), separator, reading), reading)
    _, header = next(records, (0, ()))
    if not header:
        raise DataError("the file is empty", where=reading.where, fix="Give a file with a header and rows.")
    return separator, records, header


def _full(
    records: Iterator[tuple[int, Sequence[str]]],
    header: Sequence[str],
    separator: str,
    stream: TextStream,
    reading: Reading,
    tell: Tell,
) -> Iterator[tuple[int, Sequence[str]]]:
    """Give the rows that are not blank, refuse a ragged one, and tell of blank lines at the end."""
    width, blank = len(header), 0
    for line, row in records:
        stream.record = stream.consumed
        if len(row) == width:
            yield line, row
        elif not row:
            blank += 1
        else:
            raise ragged(row, header, line, separator, reading)
    if blank:
        tell(Finding("blank_lines", "", {"count": blank}))


def _pieces(records: Iterator[tuple[int, Sequence[str]]], rows: int, stream: TextStream) -> Iterator[_Piece]:
    held: list[Sequence[str]] = []
    lines = array("q")
    start, begun = 0, stream.consumed
    for line, row in records:
        held.append(row)
        lines.append(line)
        if len(held) == rows or stream.consumed - begun > _PIECE_CHARACTERS:
            yield _Piece(held, lines, start)
            start += len(held)
            held, lines, begun = [], array("q"), stream.consumed
    if held:
        yield _Piece(held, lines, start)


def _head(pieces: Iterator[_Piece], rows: int) -> list[_Piece]:
    """Return the first pieces, up to what a look at the decimal mark needs; at least one if there is any."""
    head: list[_Piece] = []
    characters = 0
    while characters < _HEAD_CHARACTERS and len(head) * rows < _HEAD_ROWS and (piece := next(pieces, None)) is not None:
        head.append(piece)
        characters += sum(len(cell) for row in piece.rows for cell in row)
    return head


def _drained(head: list[_Piece]) -> Iterator[_Piece]:
    while head:
        yield head.pop(0)


def _decimal(head: list[_Piece], wanted: dict[int, str], reading: Reading) -> tuple[Decimal, tuple[Finding, ...]]:
    assert reading.forms is not None
    import pyarrow as pa

    columns = {}
    for index, name in wanted.items():
        if reading.forms[name] in _NUMERIC:
            cells = pa.chunked_array([[row[index] for piece in head for row in piece.rows]], pa.large_string())
            columns[name] = without_nulls(cells, reading.nulls)
    return sniff_decimal(columns, reading)


def _columns(piece: _Piece, wanted: dict[int, str], decimal: Decimal, reading: Reading) -> dict[str, Any]:
    import pyarrow as pa

    assert reading.forms is not None

    def place(row: int) -> str:
        return f"{reading.where}:{piece.lines[row]}"

    columns = tuple(zip(*piece.rows, strict=True))
    values: dict[str, Any] = {}
    for index, name in wanted.items():
        cells = pa.chunked_array([text_cells(name, columns[index], place, reading)])
        values[name] = read_form(name, without_nulls(cells, reading.nulls), reading.forms[name], decimal, place)
    return values
