"""Files that are being written: each in a folder `new`, named after its process, until it is moved to its place."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tahona.owners import is_left, tag

PIECE = 1 << 20
"""Bytes copied at a time."""


@contextmanager
def new_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new file in the folder; whatever happens, it is gone afterwards (moved, linked or removed)."""
    temporary = folder / f"{tag()}-{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:
            yield temporary, file
    finally:
        temporary.unlink(missing_ok=True)


def clear_abandoned(folder: Path) -> None:
    """Remove what dead processes left half written."""
    for path in sorted(folder.iterdir()):
        if is_left(path):
            with suppress(OSError):  # another process cleared it first, or the folder may only be read
                path.unlink()


def copy_into(file: Path, copy: BinaryIO) -> str:
    """Copy the file's bytes and return the sha256 of those that were copied."""
    digest = hashlib.sha256()
    with file.open("rb") as original:
        while piece := original.read(PIECE):
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()
