"""A Parquet file of any length, piece by piece, each column of one type throughout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding
from tahona.errors import DataError
from tahona.sources.cells import as_text
from tahona.sources.forms import read_form
from tahona.sources.headers import normalise_headers
from tahona.sources.parquet import check_types, damaged, is_text, plain_type, text_bytes, typed_column

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tahona.sources.reading import Reading, Tell

__all__ = ["stream_parquet"]

_BUFFER = 1 << 20
"""Bytes of a column read at a time; without it the reader takes a whole row group, which may be the whole file."""
_PIECE_BYTES = 64_000_000
"""Text of a piece; where rows hold more, the piece has fewer rows than were asked for."""
_COUNTED_ROWS = 65_536


def stream_parquet(file: Path, reading: Reading, rows: int, tell: Tell) -> Iterator[pd.DataFrame]:
    """Give the columns that ``reading`` wants, at most so many rows at a time. Raises DataError as `read_parquet`."""
    import pandas as pd
    import pyarrow as pa

    try:
        names, findings, size = _look(file, reading)
        told = Finding("read_as", "", {"format": "Parquet", "details": f"{len(names)} × {size}"})
        for finding in (told, *findings):
            tell(finding)
        wanted = {given: name for given, name in names.items() if reading.wants(name)}
        if not wanted:  # the caller finds out what is missing
            yield pd.DataFrame(index=pd.RangeIndex(min(rows, size)))
            return
        nullable = _nullable(file, wanted)
        start = 0
        for batch in _batches(file, wanted, rows, reading):
            yield _frame(batch, wanted, nullable, start, reading)
            start += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        raise damaged(reading) from error


def _look(file: Path, reading: Reading) -> tuple[dict[str, str], tuple[Finding, ...], int]:
    """Return name in the file → name in the table, what was changed, and the number of rows."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    names, findings = normalise_headers(schema.names, where=reading.where, limits=reading.limits)
    check_types(names, schema, reading)
    if not rows or not names:
        raise DataError(f"the table has {rows:,} rows", where=reading.where, fix="Give a table with rows.")
    return dict(zip(schema.names, names, strict=True)), findings, rows


def _open(file: Path, wanted: Mapping[str, str]) -> pq.ParquetFile:
    """Open the file for reading bit by bit; text stays dictionary-encoded until its true size is known."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as probe:
        texts = [field.name for field in probe.schema_arrow if field.name in wanted and is_text(plain_type(field.type))]
    return pq.ParquetFile(file, read_dictionary=texts, pre_buffer=False, buffer_size=_BUFFER)


def _batches(file: Path, wanted: Mapping[str, str], rows: int, reading: Reading) -> Iterator[pa.RecordBatch]:
    with _open(file, wanted) as parquet:
        for batch in parquet.iter_batches(batch_size=rows, columns=list(wanted), use_threads=False):
            batch.validate(full=True)  # indices beyond the dictionary, text that is not UTF-8
            if batch.num_rows:
                yield from _bounded(batch, reading)


def _bounded(batch: pa.RecordBatch, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Give the batch in halves of halves, until each holds no more text than a piece may, or is one row."""
    import pyarrow as pa

    size = sum(
        text_bytes(name, pa.chunked_array([cells]), reading)
        for name, cells in zip(batch.schema.names, batch.columns, strict=True)
    )
    if size <= _PIECE_BYTES or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _bounded(batch.slice(0, half), reading)
    yield from _bounded(batch.slice(half), reading)


def _nullable(file: Path, wanted: Mapping[str, str]) -> frozenset[str]:
    """Return the whole-number and boolean columns that hold a null anywhere: their type depends on it.

    The file's own statistics tell; a column that has none is read once to know.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: set[str] = set()
    unknown: list[str] = []
    with pq.ParquetFile(file) as parquet:
        metadata = parquet.metadata
        for field in parquet.schema_arrow:
            if field.name not in wanted or not (pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)):
                continue
            counts = _null_counts(metadata, field.name)
            if any(counts):
                found.add(field.name)
            elif None in counts:
                unknown.append(field.name)
    if unknown:
        with _open(file, {}) as parquet:
            for batch in parquet.iter_batches(batch_size=_COUNTED_ROWS, columns=unknown, use_threads=False):
                found.update(name for name in unknown if batch.column(name).null_count)
    return frozenset(found)


def _null_counts(metadata: pq.FileMetaData, name: str) -> list[int | None]:
    counts: list[int | None] = []
    for group in range(metadata.num_row_groups):
        parts = metadata.row_group(group)
        for position in range(parts.num_columns):
            part = parts.column(position)
            if part.path_in_schema == name:
                told = part.statistics
                counts.append(told.null_count if told is not None and told.has_null_count else None)
    return counts


def _distinct(column: pa.Array) -> pd.Index | None:
    """Return the column's texts if they are fewer than its cells, each there once and none of them null."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type) or not is_text(column.type.value_type):
        return None
    if len(column.dictionary) > len(column) or column.dictionary.null_count:
        return None
    texts = column.dictionary.cast(pa.large_string())
    return pd.Index(as_text(pa.chunked_array([texts]))) if pc.count_distinct(texts).as_py() == len(texts) else None


def _frame(
    batch: pa.RecordBatch, wanted: Mapping[str, str], nullable: frozenset[str], start: int, reading: Reading
) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    def place(row: int) -> str:
        return reading.row(start + row)

    forms = reading.forms or {}
    values: dict[str, Any] = {}
    for given, part in zip(batch.schema.names, batch.columns, strict=True):
        if given not in wanted:
            continue
        name, cells = wanted[given], pa.chunked_array([part])
        if forms.get(name) == "code" and is_text(plain_type(part.type)):
            written = pc.cast(cells, pa.large_string())
            values[name] = read_form(name, written, "code", ".", place)
            continue
        texts = _distinct(part) if name in reading.coded else None
        if texts is not None:
            codes = part.indices.cast(pa.int64()).fill_null(-1).to_numpy()  # others write codes without a sign
            values[name] = pd.Categorical.from_codes(codes, categories=texts, validate=False)
            continue
        column, _ = typed_column(name, cells, reading, place)
        if given in nullable and str(column.dtype) in {"int64", "bool"}:
            column = pd.Series(column).astype("Int64" if str(column.dtype) == "int64" else "boolean").array
        values[name] = column
    return pd.DataFrame(values, index=pd.RangeIndex(start, start + batch.num_rows), copy=False)
