"""A table in a local file."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.checksum import checked_digest
from tahona.sources.limits import LIMITS, Limits
from tahona.sources.reading import Reading
from tahona.sources.table import read_table

if TYPE_CHECKING:
    from tahona.project.model import DataPart

__all__ = ["FileSource", "open_source"]


class FileSource:
    """CSV, Parquet, JSON, JSON Lines or Excel; a CSV or JSON file may be packed with gzip or zip."""

    def __init__(self, file: Path, data: DataPart, *, where: str, limits: Limits = LIMITS) -> None:
        self._file = file
        self._data = data
        self._where = where
        self._limits = limits

    def version(self) -> str:
        """Return the sha256 of the file's bytes."""
        return f"sha256:{checked_digest(self._present(), self._data.sha256, where=self._where)}"

    def fetch(self) -> FetchedTable:
        file = self._present()
        if self._data.sha256 is not None:
            checked_digest(file, self._data.sha256, where=self._where)
        return read_table(file, Reading.of(self._data, self._where, self._limits))

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

    def _hint(self) -> str:
        folder = self._file.parent
        if not folder.is_dir():
            return "Its folder does not exist either: check `source` in [data]."
        close = get_close_matches(self._file.name, sorted(entry.name for entry in folder.iterdir()), n=1)
        return f"Did you mean `{close[0]}`?" if close else "Check `source` in [data]."


def open_source(source: str, data: DataPart, root: Path, cache: Path) -> FileSource:  # noqa: ARG001  (one signature for all)
    """Return the file ``source``; a relative path starts at the project's folder ``root``."""
    return FileSource(root / source, data, where=source)
