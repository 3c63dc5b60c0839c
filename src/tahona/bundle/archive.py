"""A folder as one file whose bytes depend on nothing but the folder's content."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tahona.errors import IntegrityError
from tahona.scorer.load import LARGEST

_EPOCH = (1980, 1, 1, 0, 0, 0)
QUICKLY = ".trees"
"""Ending of files of digits, which shrink to a quarter at the least effort and hardly further at five times as much."""


def pack(folder: Path, file: Path) -> None:
    """Write every file below the folder into one zip: sorted, compressed, no times, no owners."""
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=1 if path.suffix == QUICKLY else 6)


def unpack(file: Path, folder: Path) -> None:
    """Extract into the folder. Raise IntegrityError for anything that is not a bundle of ours."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise IntegrityError("the bundle unpacks to more than 2 GiB", where=file.name)
            for entry in entries:
                name = PurePosixPath(entry.filename)
                if name.is_absolute() or ".." in name.parts:
                    raise IntegrityError("the bundle holds a path that leads out of it", where=file.name)
            archive.extractall(folder)  # every name was checked above
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:  # each is some damage
        raise IntegrityError(
            "the file is not a whole bundle", where=file.name, fix="take it from the artifact store again"
        ) from error
