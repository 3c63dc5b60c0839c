"""A file of answers, CSV or Parquet, that grows piece by piece and appears whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from tahona.errors import InputError, SetupError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq

__all__ = ["SUFFIXES", "answer_file", "check_output", "csv_lines", "escaped"]

SUFFIXES = (".csv", ".parquet")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so is run by spreadsheet programs (CWE-1236) …"""
_NEGATIVE = re.compile(r"-\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
"""… unless it is only a negative number."""


class _Writer(Protocol):
    def write(self, frame: pd.DataFrame) -> None: ...
    def close(self) -> None: ...


def check_output(output: Path) -> None:
    """Raise InputError for a place where no file of answers can be written."""
    if output.suffix not in SUFFIXES:
        raise InputError("the output is neither .csv nor .parquet", where=str(output), fix="name it so with -o")
    if output.is_dir():
        raise InputError("the output is a folder", where=str(output), fix="name a file with -o")
    if not output.absolute().parent.is_dir():
        raise InputError("the output's folder does not exist", where=str(output), fix="make it first")


@contextmanager
def answer_file(output: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that writes a piece; the output is there when the block has ended well, else nothing is.

    The bytes lie in a file without a name until then (Linux), so that even a killed process leaves nothing. Text in CSV
    is escaped where a spreadsheet would run it. Raises SetupError where the system refuses to write.
    """
    output = output.absolute()
    with _reported(output):
        stream, fresh = _open(output)
    try:
        writer: _Writer = _Csv(stream) if output.suffix == ".csv" else _Parquet(stream)

        def write(frame: pd.DataFrame) -> None:
            with _reported(output):
                writer.write(frame)

        try:
            yield write
        except BaseException:
            with suppress(OSError):
                writer.close()
            raise
        with _reported(output):
            writer.close()
            stream.flush()
            os.fsync(stream.fileno())
            _publish(stream, fresh, output)
    finally:
        with suppress(OSError):  # what could not be flushed was reported above
            stream.close()
        if fresh is not None:
            fresh.unlink(missing_ok=True)


def escaped(value: object) -> object:
    """Return the cell with a quote before it if it is text that a spreadsheet program would run as a formula."""
    if isinstance(value, str) and value.startswith(FORMULA) and not _NEGATIVE.fullmatch(value):
        return f"'{value}"
    return value


def csv_lines(frame: pd.DataFrame, *, header: bool) -> bytes:
    """Return the rows as lines of CSV in UTF-8, with every text escaped that a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow([escaped(str(name)) for name in frame.columns])
    writer.writerows(zip(*(_cells(frame[name]) for name in frame.columns), strict=True))
    return text.getvalue().encode("utf-8")


class _Csv:
    """Rows as lines of text; the header comes with the first piece."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._begun = False

    def write(self, frame: pd.DataFrame) -> None:
        self._stream.write(csv_lines(frame, header=not self._begun))
        self._begun = True

    def close(self) -> None:
        """Do nothing: a line is whole when it is written."""


class _Parquet:
    """Row groups, one per piece; the types are those of the first."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writer: pq.ParquetWriter | None = None

    def write(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            schema = pa.Schema.from_pandas(frame, preserve_index=False)
            texts = [field.name for field in schema if pa.types.is_large_string(field.type)]
            self._writer = pq.ParquetWriter(
                self._stream, schema, compression="zstd", use_dictionary=[*texts, "version"]
            )
        self._writer.write_table(pa.Table.from_pandas(frame, schema=self._writer.schema, preserve_index=False))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _cells(column: pd.Series[Any]) -> list[Any]:
    values = column.tolist()
    if column.dtype.kind not in "biuf":
        values = [escaped(value) for value in values]
    absent = column.isna()
    return ["" if none else value for value, none in zip(values, absent, strict=True)] if absent.any() else values


def _open(output: Path) -> tuple[BinaryIO, Path | None]:
    """Open a file beside the output: without a name where the system has such files, else under a hidden one."""
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir():
        with suppress(OSError):  # not every file system has them; the open below tells what else is wrong
            return os.fdopen(os.open(output.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b"), None
    fresh = _hidden(output)
    return fresh.open("xb"), fresh


def _publish(stream: BinaryIO, fresh: Path | None, output: Path) -> None:
    """Give the finished bytes the output's name, in place of whatever had it."""
    if os.name != "posix":
        stream.close()  # an open file cannot be moved elsewhere
        assert fresh is not None
        fresh.replace(output)
        return
    folder = os.open(output.parent, os.O_RDONLY)
    try:
        if fresh is None:
            hidden = _hidden(output)  # a link cannot replace a file, a move can
            os.link(f"/proc/self/fd/{stream.fileno()}", hidden.name, src_dir_fd=folder, dst_dir_fd=folder)
            hidden.replace(output)
        else:
            fresh.replace(output)
        os.fsync(folder)
    finally:
        os.close(folder)


def _hidden(output: Path) -> Path:
    return output.with_name(f".{output.name}.{secrets.token_hex(4)}.new")


@contextmanager
def _reported(output: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a SetupError that names the output."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SetupError(
            f"the output cannot be written: {reason}", where=str(output), fix="make room or give write access there"
        ) from error
