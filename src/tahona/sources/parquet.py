"""Parquet: types as the file declares them, sizes checked before and while it unfolds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.cells import as_boolean, as_text, as_whole
from tahona.sources.headers import normalise_headers, shown
from tahona.sources.limits import check_cells
from tahona.sources.numbers import EXACT, LARGEST, infinite, too_large

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tahona.sources.cells import Values
    from tahona.sources.reading import Reading, RowPlace

__all__ = ["check_types", "damaged", "is_text", "plain_type", "read_parquet", "text_bytes", "typed_column"]


def read_parquet(file: Path, reading: Reading) -> FetchedTable:
    """Return the table of a Parquet file.

    Raises DataError for a file that is damaged or cut off, that would unfold beyond the limits, or that holds nested
    or binary columns. Text columns stay dictionary-encoded until their true size is known: a file of a few bytes can
    repeat one long cell a million times.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as probe:
            schema = probe.schema_arrow
            names, findings = normalise_headers(schema.names, where=reading.where, limits=reading.limits)
            check_types(names, schema, reading)
            _check_sizes(probe.metadata, len(names), reading)
        texts = [field.name for field in schema if is_text(plain_type(field.type))]
        with pq.ParquetFile(file, read_dictionary=texts) as parquet:
            table = _read_groups(parquet, names, reading)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        raise damaged(reading) from error
    told = [
        Finding("read_as", "", {"format": "Parquet", "details": f"{table.num_columns} × {table.num_rows}"}),
        *findings,
    ]
    values: dict[str, Any] = {}
    for name, cells in zip(names, table.columns, strict=True):
        values[name], notes = typed_column(name, cells, reading, reading.row)
        told += notes
    return FetchedTable(pd.DataFrame(values, copy=False), tuple(told))


def damaged(reading: Reading) -> DataError:
    return DataError("the Parquet file is damaged or cut off", where=reading.where, fix="Write or get the file again.")


def check_types(names: tuple[str, ...], schema: pa.Schema, reading: Reading) -> None:
    """Refuse a column that is read and holds what no cell can."""
    for name, field in zip(names, schema, strict=True):
        if reading.wants(name) and not _is_readable(plain_type(field.type)):
            raise DataError(
                f"column {shown(name)} holds nested, binary or other values that no cell of a table has",
                where=reading.where,
                fix="Flatten it, or write the table without it.",
            )


def _check_sizes(metadata: pq.FileMetaData, columns: int, reading: Reading) -> None:
    rows = metadata.num_rows
    if not rows or not columns:
        raise DataError(f"the table has {rows:,} rows", where=reading.where, fix="Give a table with rows.")
    stated = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    check_cells(rows, columns, reading.limits.cells, where=reading.where)
    _check_unfolded(stated, reading)


def _check_unfolded(size: int, reading: Reading) -> None:
    limit = reading.limits.table_bytes
    if size > limit:
        raise DataError(
            f"the file unfolds to {size:,} bytes in memory; the limit is {limit:,}",
            where=reading.where,
            fix="Use fewer rows or columns.",
        )


def _read_groups(parquet: pq.ParquetFile, names: tuple[str, ...], reading: Reading) -> pa.Table:
    import pyarrow as pa

    parts: list[pa.Table] = []
    size = 0
    for group in range(parquet.metadata.num_row_groups):
        part = parquet.read_row_group(group, use_threads=False)
        part.validate(full=True)  # indices beyond the dictionary, text that is not UTF-8
        size += sum(text_bytes(name, cells, reading) for name, cells in zip(names, part.columns, strict=True))
        _check_unfolded(size, reading)
        parts.append(part)
    return pa.concat_tables(parts, promote_options="permissive")


def text_bytes(name: str, cells: pa.ChunkedArray, reading: Reading) -> int:
    """Return how many bytes a dictionary-encoded text column has once it is written out, its longest cell checked."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for chunk in cells.chunks:
        if not pa.types.is_dictionary(chunk.type) or not len(chunk.dictionary):
            continue
        lengths = pc.fill_null(pc.binary_length(chunk.dictionary), 0).to_numpy(zero_copy_only=False)
        uses = np.bincount(chunk.indices.drop_null().to_numpy(zero_copy_only=False), minlength=len(lengths))
        if lengths[uses > 0].max(initial=0) > reading.limits.cell_characters:
            raise DataError(
                f"a cell in column {shown(name)} is larger than the limit of {reading.limits.cell_characters:,} bytes",
                where=reading.where,
                fix="Shorten it.",
            )
        total += int(lengths.astype(np.int64) @ uses)
    return total


def typed_column(
    name: str, cells: pa.ChunkedArray, reading: Reading, place: RowPlace
) -> tuple[Values, tuple[Finding, ...]]:
    """Return a column in one of the few types that the other steps know."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(cells.type):
        cells = pc.cast(cells, cells.type.value_type)
    kind = cells.type
    if is_text(kind) or pa.types.is_null(kind):
        return as_text(pc.cast(cells, pa.large_string())), ()
    if pa.types.is_boolean(kind):
        return as_boolean(cells), ()
    if pa.types.is_integer(kind):
        return _whole(name, cells, reading, place)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        reals = pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        endless = np.flatnonzero(np.isinf(reals))
        if endless.size and not reading.is_text(name):
            raise infinite(name, place(int(endless[0])))
        return reals, ()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        moments = pc.cast(cells, pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
        return moments.astype("datetime64[us]"), (Finding("to_utc", name),) if zoned else ()
    return as_text(pc.cast(cells, pa.large_string())), ()  # times of day


def _whole(name: str, cells: pa.ChunkedArray, reading: Reading, place: RowPlace) -> tuple[Values, tuple[Finding, ...]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    bounds = pc.min_max(cells).as_py()
    if bounds["max"] is not None and bounds["max"] > LARGEST:
        if reading.is_text(name):
            return as_text(pc.cast(cells, pa.large_string())), ()
        first = pc.index(pc.greater(cells, pa.scalar(LARGEST, pa.uint64())), True).as_py()
        raise too_large(name, place(first))
    wide = bounds["max"] is not None and (bounds["max"] > EXACT or bounds["min"] < -EXACT)
    column = as_whole(pc.cast(cells, pa.int64()))
    return column, (Finding("wide_integers", name),) if wide and not reading.is_text(name) else ()


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values behind a dictionary type."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_readable(kind: pa.DataType) -> bool:
    import pyarrow as pa

    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    moments = pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind)
    return bool(numbers or moments or is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
