"""Predict a file of any length, piece by piece."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.errors import InputError
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.registry import find_version, open_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from tahona.bundle.bundle import Bundle
    from tahona.ports import Source

PIECE = 20_000
"""Rows that are in memory at a time."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run by spreadsheet programs (CWE-1236)."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """How many rows were predicted by what, and how many carry a warning."""

    rows: int
    warned: int
    model: str
    version: int


def predict_file(
    opened: OpenProject,
    table: Callable[[Bundle], Source],
    output: Path,
    *,
    reference: str = "champion",
    row_id: str | None = None,
) -> Predicted:
    """Write row id, label, probabilities, version and warnings for every row; the file appears whole or not at all.

    ``table`` opens the raw rows for a bundle (which says how its columns are to be read). Memory does not grow with the
    file. Raises InputError for an output that is neither .csv nor .parquet, and what reading and predicting raise.
    """
    if output.suffix not in {".csv", ".parquet"}:
        raise InputError("the output is neither .csv nor .parquet", where=str(output), fix="name it so with -o")
    if not output.absolute().parent.is_dir():
        raise InputError("the output's folder does not exist", where=str(output), fix="make it first")
    version = find_version(opened, reference)
    bundle = open_bundle(opened, version)
    rows = warned = 0
    with _whole_file(output) as fresh, _writer(output.suffix, fresh) as write:
        for piece in table(bundle).batches(PIECE):
            answer = _answer(bundle, piece, rows, row_id)
            write(answer)
            rows += len(answer)
            warned += int((answer["warnings"] != "").sum())
    if rows == 0:
        output.unlink(missing_ok=True)
        raise InputError("the file has 0 rows", where="INPUT", fix="name a file that holds rows")
    return Predicted(rows, warned, version.name, version.number)


def _answer(bundle: Bundle, piece: pd.DataFrame, start: int, row_id: str | None) -> pd.DataFrame:
    if row_id is not None and row_id not in piece.columns:
        raise InputError(f"the input has no column '{row_id}'", where="--id", fix="name a column of the input")
    answer = bundle.predict(piece)
    name, ids = ("row", range(start, start + len(piece))) if row_id is None else (row_id, list(piece[row_id]))
    answer.insert(0, name, ids)
    return answer


@contextmanager
def _whole_file(output: Path) -> Iterator[Path]:
    """Give a temporary path beside the output that becomes the output on success and is removed on failure."""
    fresh = output.with_name(f".{output.name}.new")
    try:
        yield fresh
        fresh.replace(output)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _writer(suffix: str, file: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    if suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            header: list[str] = []

            def write_csv(frame: pd.DataFrame) -> None:
                if not header:
                    header.extend(map(str, frame.columns))
                    writer.writerow([escaped(name) for name in header])
                writer.writerows(_cells(frame))

            yield write_csv
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts: list[pq.ParquetWriter] = []

    def write_parquet(frame: pd.DataFrame) -> None:
        if not parts:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            parts.append(pq.ParquetWriter(file, table.schema))
        parts[0].write_table(pa.Table.from_pandas(frame, schema=parts[0].schema, preserve_index=False))

    try:
        yield write_parquet
    finally:
        for part in parts:
            part.close()


def _cells(frame: pd.DataFrame) -> Iterable[list[Any]]:
    columns = [_column(frame[name].tolist()) for name in frame.columns]
    return (list(row) for row in zip(*columns, strict=True))


def _column(values: list[Any]) -> list[Any]:
    return ["" if value is None or value != value else escaped(value) for value in values]  # noqa: PLR0124 - NaN


def escaped(value: object) -> object:
    """Return the cell with a quote before it if a spreadsheet program would run it as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
