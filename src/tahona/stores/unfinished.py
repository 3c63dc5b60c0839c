"""Files that are being written: each in a folder `new`, named after its process, until it is moved to its place."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tahona.digests import digest_bytes

PIECE = 1 << 20
"""Bytes copied at a time."""
ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished write counts as abandoned wherever it was begun."""


@contextmanager
def new_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new file in the folder; whatever happens, it is gone afterwards (moved, linked or removed)."""
    temporary = folder / f"{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:
            yield temporary, file
    finally:
        temporary.unlink(missing_ok=True)


def clear_abandoned(folder: Path) -> None:
    """Remove what dead processes left half written."""
    for path in sorted(folder.iterdir()):
        if _is_abandoned(path):
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


def _machine() -> str:
    """Return a short name for the place where process ids are counted: this host, and this container on it."""
    namespace = ""
    with suppress(OSError):  # there is no /proc outside Linux
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (not a path: the link's text is the namespace)
    return digest_bytes(f"{platform.node()} {namespace}".encode())[:8]


def _is_abandoned(path: Path) -> bool:
    """Tell whether nobody will finish this write: its process is dead, or too long a time has passed."""
    machine, _, rest = path.name.partition("-")
    process, _, _ = rest.partition("-")
    if machine == _machine() and process.isdigit() and not _is_alive(int(process)):
        return True
    try:
        return time.time() - path.stat().st_mtime > ABANDONED
    except FileNotFoundError:  # finished meanwhile
        return False


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill really kills; the age alone decides
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is somebody else's
        return True
    return True
