"""A file to a table: what it is is told by its content, never by its name alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.csvfile import read_csv
from tahona.sources.encoding import decode
from tahona.sources.excel import read_excel
from tahona.sources.jsonfile import looks_like_json, read_json
from tahona.sources.parquet import read_parquet
from tahona.sources.unpack import HEAD_BYTES, check_size, recognise, unpack_gzip, unpack_zip

if TYPE_CHECKING:
    from tahona.sources.reading import Reading

__all__ = ["read_table"]


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
        raise DataError(
            "the archive holds no text table", where=reading.where, fix="Pack a CSV or JSON file, or none at all."
        )
    text, encoding = decode(data, declared=reading.encoding, where=reading.where)
    del data
    if not text.strip():
        raise DataError("the file is empty", where=reading.where, fix="Give a file with a header and rows.")
    return read_json(text, encoding, reading) if looks_like_json(text) else read_csv(text, encoding, reading)
