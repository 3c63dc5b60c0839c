"""A table in a local file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.checksum import checked_digest
from tahona.sources.csvstream import csv_names
from tahona.sources.limits import LIMITS, Limits
from tahona.sources.reading import Reading, Tell
from tahona.sources.table import read_batches, read_table
from tahona.sources.textstream import TextStream

if TYPE_CHECKING:
    import pandas as pd

    from tahona.core.findings import Finding
    from tahona.core.schema import Form
    from tahona.project.model import DataPart

__all__ = ["FileSource", "open_source"]

_ALL = 100_000
"""Rows of a piece where all pieces are wanted at once."""


class FileSource:
    """CSV, Parquet, JSON, JSON Lines or Excel; a CSV or JSON file may be packed with gzip or zip."""

    def __init__(
        self,
        file: Path,
        data: DataPart,
        *,
        where: str,
        limits: Limits = LIMITS,
        forms: Mapping[str, Form] | None = None,
        coded: frozenset[str] = frozenset(),
        tell: Tell = lambda _: None,
    ) -> None:
        """Take the file; with ``forms`` only these columns are read, each in its form, whatever its cells look like.

        Those of ``coded`` may be pandas' categories in a piece. ``tell`` takes the findings of a table that is read in
        pieces.
        """
        self._file = file
        self._data = data
        self._where = where
        self._limits = limits
        self._forms = forms
        self._coded = coded
        self._tell = tell

    def version(self) -> str:
        """Return the sha256 of the file's bytes."""
        return f"sha256:{checked_digest(self._present(), self._data.sha256, where=self._where)}"

    def fetch(self) -> FetchedTable:
        file = self._present()
        if self._data.sha256 is not None:
            checked_digest(file, self._data.sha256, where=self._where)
        if self._forms is None:
            return read_table(file, self._reading())
        import pandas as pd

        told: list[Finding] = []
        pieces = list(read_batches(file, self._reading(), _ALL, told.append))
        return FetchedTable(pd.concat(pieces), tuple(told))

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Give the table in pieces: Parquet, and CSV with ``forms``, in memory that does not grow with the file.

        CSV without ``forms`` and the other formats are read whole, for a column's type is that of all its cells.
        """
        file = self._present()
        if self._data.sha256 is not None:
            checked_digest(file, self._data.sha256, where=self._where)
        yield from read_batches(file, replace(self._reading(), coded=self._coded), rows, self._tell)

    def csv_names(self) -> tuple[str, ...]:
        """Return what the columns of a CSV are called, those too that ``forms`` passes over."""
        reading = self._reading()
        stream = TextStream(
            self._present(), packed=False, declared=reading.encoding, where=reading.where, limits=reading.limits
        )
        return csv_names(stream, reading)

    def _reading(self) -> Reading:
        return Reading.of(self._data, self._where, self._limits, self._forms)

    def _present(self) -> Path:
        if self._file.is_file():
            try:
                with self._file.open("rb"):
                    return self._file
            except PermissionError as error:
                raise DataError("the file may not be read", where=self._where, fix="Grant read permission.") from error
        if self._file.is_dir():
            raise DataError("this is a folder, not a table", where=self._where, fix="Name a file in it.")
        if self._file.exists():
            raise DataError("this is not a regular file", where=self._where, fix="Name a file.")
        raise DataError("the file does not exist", where=self._where, fix=self._hint())

    @property
    def _named(self) -> str:
        """Where the user named the file."""
        return "`source` in [data]" if self._forms is None else "the path"

    def _hint(self) -> str:
        folder = self._file.parent
        if not folder.is_dir():
            return f"Its folder does not exist either: check {self._named}."
        close = get_close_matches(self._file.name, sorted(entry.name for entry in folder.iterdir()), n=1)
        return f"Did you mean `{close[0]}`?" if close else f"Check {self._named}."


def open_source(source: str, data: DataPart, root: Path, cache: Path) -> FileSource:  # noqa: ARG001  (one signature for all)
    """Return the file ``source``; a relative path starts at the project's folder ``root``."""
    return FileSource(root / source, data, where=source)
