"""No room: a full disk, a quota or a limit on the size of files, told as what it is wherever it happens."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeGuard

from tahona.errors import SetupError
from tahona.owners import tag

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full(error: BaseException) -> TypeGuard[OSError]:
    """Tell whether the system refused to take more bytes."""
    return isinstance(error, OSError) and error.errno in _FULL


def no_room(error: OSError, place: Path, *, wanted: str = "") -> SetupError:
    """Return the error for a refused write: the path, how many bytes are left or allowed, and what was to be kept."""
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else place
    reason = os.strerror(error.errno or errno.ENOSPC)
    return SetupError(
        f"there is no room: {reason} ({bounds(where)}{f'; {wanted}' if wanted else ''})",
        where=str(where),
        fix="make room there (tahona gc removes what nothing needs) and run again: finished steps are kept",
    )


@contextmanager
def room_in(place: Path, *, wanted: str = "") -> Iterator[None]:
    """Turn a write that the system refuses for want of room into a SetupError; ``place`` is named if it does not."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise no_room(error, place, wanted=wanted) from error


@contextmanager
def temporary_folder(kind: Literal["model", "bundle", "rows"]) -> Iterator[Path]:
    """Give an empty folder for temporary files, gone afterwards; its name says whose it is.

    Raise SetupError when there is no room for what is written there.
    """
    with (
        room_in(Path(tempfile.gettempdir()), wanted="TMPDIR may name another folder for temporary files"),
        tempfile.TemporaryDirectory(prefix=f"tahona-{kind}-{tag()}-") as folder,
    ):
        yield Path(folder)


TEMPORARY = ("model", "bundle", "rows", "mlflow")
"""The kinds of folders that we make in the temporary folder: `tahona-<kind>-…`."""


def bounds(place: Path) -> str:
    """Say how many bytes may still be written at a place, and into one file."""
    import resource

    there = next((folder for folder in (place, *place.parents) if folder.exists()), Path())
    free, largest = shutil.disk_usage(there).free, resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    least = "" if largest == resource.RLIM_INFINITY else f", and no file may be larger than {largest:,} bytes"
    return f"{free:,} bytes are free{least}"
