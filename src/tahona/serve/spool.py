"""Predictions on their way to the prediction log: files that a process appends to, and that the back empties.

A process writes to a file of its own, so none waits for another, and none waits for the database. Only whole lines
count. The back writes them to the log and then takes the file away once its writer has left it (or is gone: its tag
stands in the name); a line that is written twice has the same id and is entered once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from tahona.owners import tag

LARGEST = 8 << 20
"""Bytes after which a writer goes on in another file."""
PIECE = 1 << 16
"""Bytes that are read at a time, about."""
_encode_lines = msgspec.json.Encoder().encode_lines


class Spool:
    """One process's way into the spool; what is added is in memory until it is flushed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, predictions: Sequence[object]) -> None:
        """Keep predictions for the next `flush`, each on a line of its own as JSON."""
        self._pieces.append(_encode_lines(predictions))

    def flush(self) -> None:
        """Write what was added; called every tenth of a second, and at the end. Raise OSError when the disk is full."""
        if not self._pieces:
            return
        if self._file is None:
            self._file = (self._folder / f"{tag()}-{secrets.token_hex(6)}.open").open("ab", buffering=0)
        pieces = self._pieces[:]  # another thread may add meanwhile
        _append(self._file, b"".join(pieces))
        del self._pieces[: len(pieces)]
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
    """Give every whole line from the byte ``start`` on, without its end, and the byte after that."""
    for piece in read_pieces(file, start):
        for line in piece.split(b"\n")[:-1]:
            start += len(line) + 1
            yield start, line


def read_pieces(file: Path, start: int, size: int = PIECE) -> Iterator[bytes]:
    """Give the bytes from ``start`` on, about ``size`` at a time, as far as lines are whole."""
    with file.open("rb") as stream:
        stream.seek(start)
        while piece := stream.read(size) + stream.readline():
            whole = piece.rfind(b"\n") + 1
            if whole:
                yield piece[:whole]
            if whole < len(piece):  # its writer is at it
                return
