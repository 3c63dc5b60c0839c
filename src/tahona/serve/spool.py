"""Predictions on their way to the prediction log: files that a process appends to, and that the back empties.

A process writes to a file of its own, so none waits for another, and none waits for the database. Only whole lines
count. The back writes them to the log and then takes the file away once its writer has left it (or is gone: its tag
stands in the name); a line that is written twice has the same id and is entered once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tahona.owners import tag

LARGEST = 8 << 20
"""Bytes after which a writer goes on in another file."""
PIECE = 1 << 16
"""Bytes that are read at a time, about."""


class Spool:
    """One process's way into the spool; ``add`` costs an append to a list."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, line: bytes) -> None:
        """Keep one prediction, a JSON object without line breaks, for the next `flush`."""
        self._lines.append(line)

    def flush(self) -> None:
        """Write what was added; called every tenth of a second, and at the end. Raise OSError when the disk is full."""
        if not self._lines:
            return
        if self._file is None:
            self._file = (self._folder / f"{tag()}-{secrets.token_hex(6)}.open").open("ab", buffering=0)
        lines = self._lines[:]  # another thread may add meanwhile
        _append(self._file, b"\n".join(lines) + b"\n")
        del self._lines[: len(lines)]
        if self._file.tell() > LARGEST:
            self.close()

    def close(self) -> None:
        """Write what is left and leave the file to the back."""
        self.flush()
        if self._file is not None:
            path = Path(self._file.name)
            path.rename(path.with_suffix(".left"))  # before it is closed: a left file is taken away
            self._file.close()
            self._file = None


def _append(file: IO[bytes], data: bytes) -> None:
    """Write all of it, or nothing: half a line would spoil the next."""
    start = file.tell()
    try:
        while data:
            data = data[file.write(data) :]
    except OSError:
        file.truncate(start)
        file.seek(start)
        raise


def read_lines(file: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """Give every whole line from the byte ``start`` on, with the byte after it."""
    for lines in read_pieces(file, start):
        for line in lines:
            start += len(line)
            yield start, line


def read_pieces(file: Path, start: int, size: int = PIECE) -> Iterator[list[bytes]]:
    """Give the whole lines from the byte ``start`` on, about ``size`` bytes of them at a time."""
    with file.open("rb") as stream:
        stream.seek(start)
        whole = True
        while whole and (lines := stream.readlines(size)):
            whole = lines[-1].endswith(b"\n")
            if not whole:  # its writer is at it
                lines.pop()
            yield lines
