"""A file to a table: what it is is told by its content, never by its name alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.csvfile import SAMPLE_CHARACTERS, read_csv
from tahona.sources.csvstream import stream_csv
from tahona.sources.encoding import decode
from tahona.sources.excel import read_excel
from tahona.sources.jsonfile import looks_like_json, read_json
from tahona.sources.parquet import read_parquet
from tahona.sources.parquetstream import stream_parquet
from tahona.sources.pieces import sliced
from tahona.sources.textstream import TextStream, packed_head
from tahona.sources.unpack import HEAD_BYTES, check_size, recognise, unpack_gzip, unpack_zip

if TYPE_CHECKING:
    import pandas as pd

    from tahona.sources.reading import Reading, Tell

__all__ = ["read_batches", "read_table"]


def read_batches(file: Path, reading: Reading, rows: int, tell: Tell = lambda _: None) -> Iterator[pd.DataFrame]:
    """Give the file's table in pieces of at most so many rows, and tell how it is read.

    Parquet, and CSV whose columns' forms are declared (plain or packed with gzip), take no more memory for more rows.
    Everything else is read whole: a column's type is then that of all its cells.
    """
    with file.open("rb") as head:
        content = recognise(head.read(HEAD_BYTES), where=reading.where)
    if content == "parquet":
        yield from stream_parquet(file, reading, rows, tell)
        return
    if reading.forms is not None and content in {"text", "gzip"}:
        stream = _text_stream(file, reading, packed=content == "gzip")
        if not looks_like_json(stream.head(SAMPLE_CHARACTERS)):
            yield from stream_csv(stream, reading, rows, tell)
            return
    table = read_table(file, reading)
    for finding in table.findings:
        tell(finding)
    yield from sliced(table.frame, rows)


def _text_stream(file: Path, reading: Reading, *, packed: bool) -> TextStream:
    if packed and recognise(packed_head(file, HEAD_BYTES, where=reading.where), where=reading.where) != "text":
        raise _no_text(reading)
    return TextStream(file, packed=packed, declared=reading.encoding, where=reading.where, limits=reading.limits)


def _no_text(reading: Reading) -> DataError:
    return DataError(
        "the archive holds no text table", where=reading.where, fix="Pack a CSV or JSON file, or none at all."
    )


def read_table(file: Path, reading: Reading) -> FetchedTable:
    """Return the table in a CSV, Parquet, JSON, JSON Lines or Excel file, or in a gzip or zip of one text file.

    Raises DataError for anything else, and for whatever the format's own reader refuses.
    """
    size = file.stat().st_size
    check_size(size, size, where=reading.where, limits=reading.limits)
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    content = recognise(head, where=reading.where)
    if content == "parquet":
        return read_parquet(file, reading)
    data = file.read_bytes()
    if content == "gzip":
        data = unpack_gzip(data, where=reading.where, limits=reading.limits)
    elif content == "zip":
        inside = unpack_zip(data, where=reading.where, limits=reading.limits)
        if inside is None:
            return read_excel(data, reading)
        data = inside
    if content != "text" and recognise(data[:HEAD_BYTES], where=reading.where) != "text":
        raise _no_text(reading)
    text, encoding = decode(data, declared=reading.encoding, where=reading.where)
    del data
    if not text.strip():
        raise DataError("the file is empty", where=reading.where, fix="Give a file with a header and rows.")
    return read_json(text, encoding, reading) if looks_like_json(text) else read_csv(text, encoding, reading)
