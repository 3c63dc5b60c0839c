"""Artefacts of a store elsewhere, kept on this machine so that none is fetched twice.

    objects/ab/<sha256>            a copy, moved here once it was whole
    new/<machine>-<pid>-<random>   one that is being written

All of it may be removed at any time when nothing runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tahona.digests import digest_file
from tahona.errors import SetupError
from tahona.stores.layout import object_place
from tahona.stores.unfinished import clear_abandoned, copy_into, new_file


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes that have no name yet: they are gone with the `with` statement unless they were kept."""

    path: Path
    file: BinaryIO


class LocalCopies:
    """A folder of copies under their digests. Processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._new = folder / "new"
        with self._reported():
            self._new.mkdir(parents=True, exist_ok=True)
            clear_abandoned(self._new)

    def find(self, digest: str) -> Path | None:
        """Return the copy with these bytes, read once to be sure; None if there is none or it was changed."""
        place = self._place(digest)
        with self._reported():
            return place if place.is_file() and digest_file(place) == digest else None

    @contextmanager
    def begin(self) -> Iterator[Copy]:
        """Open a new file for a copy. What the system refuses to write becomes a SetupError with the place."""
        with self._reported(), new_file(self._new) as (path, file):
            yield Copy(path, file)

    @contextmanager
    def take(self, original: Path) -> Iterator[tuple[Copy, str]]:
        """Copy a file, and give the digest of what was copied, should the file change meanwhile."""
        with self.begin() as copy:
            digest = copy_into(original, copy.file)
            copy.file.flush()
            yield copy, digest

    def keep(self, copy: Copy, digest: str) -> Path:
        """Move the finished copy to its place, over whatever is there, and return the place."""
        copy.file.flush()
        place = self._place(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        copy.path.replace(place)
        return place

    def drop(self, digest: str) -> None:
        """Remove the copy of an object that is no more."""
        with self._reported():
            self._place(digest).unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        return self._folder / object_place(digest)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SetupError(
                f"a copy of an artefact cannot be kept on this machine: {error.strerror or type(error).__name__}",
                where=str(error.filename or self._folder),
                fix="make room or give write access there; the copies that are there may be removed",
            ) from error
