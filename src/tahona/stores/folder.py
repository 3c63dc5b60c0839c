"""Artefacts in a folder, each under the digest of its bytes.

    store.json                     the format's version
    objects/ab/<sha256>            one artefact; the first two characters make the folder
    results/<fingerprint>.json     what a finished step gave
    new/<machine>-<pid>-<random>   a write that has not finished

A file is written in ``new``, forced to the disk, and only then moved to its place, so at every instant a name stands
for all of its bytes or does not exist. Processes may share the folder; none of them ever waits for another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tahona.digests import digest_file, is_digest
from tahona.errors import IntegrityError, SetupError
from tahona.owners import ABANDONED
from tahona.ports import Held
from tahona.room import is_full, no_room
from tahona.stores.layout import FORMAT, OBJECTS, RESULTS, held_at, object_place, place_of, result_place
from tahona.stores.unfinished import clear_abandoned, copy_into, new_file

_REASONS: dict[type[OSError], str] = {FileExistsError: "a file stands where a folder should be"}


def open_store(place: str, root: Path) -> FolderStore:
    """Open the store at ``place``, a path that starts at ``root`` when it is relative."""
    return FolderStore(root / place)


class FolderStore:
    """A `Store` in a folder of the local file system (or one mounted like it that has hard links)."""

    def __init__(self, root: Path) -> None:
        """Make the folder if need be, and clear away what dead processes left half written.

        Raise SetupError when the folder cannot be made, or belongs to a newer Tahona.
        """
        self.root = root.absolute()
        self._new = self.root / "new"
        with self._reported("opened"):
            for folder in (self._new, self.root / "objects", self.root / "results"):
                folder.mkdir(parents=True, exist_ok=True)
            self._check_format()
        clear_abandoned(self._new)

    def put(self, file: Path) -> str:
        """Keep the file's bytes and return their sha256. A damaged copy of the same bytes is replaced."""
        with self._reported("written to", file):
            digest = digest_file(file)
            if self._is_intact(digest) and self._renew(digest):
                return digest
            with new_file(self._new) as (temporary, copy):
                digest = copy_into(file, copy)  # of the bytes that were copied, should the file have changed meanwhile
                _finish(copy)
                place = self._object(digest)
                if not place.parent.exists():
                    place.parent.mkdir(exist_ok=True)
                    _sync_folder(place.parent.parent)
                temporary.replace(place)
                _sync_folder(place.parent)
        return digest

    def get(self, digest: str) -> Path:
        """Return the file with these bytes, read once to be sure. It belongs to the store: read it, never write to it.

        Raise IntegrityError when it is missing, shortened or changed.
        """
        if not is_digest(digest):
            raise IntegrityError("an artefact was asked for by something that is no sha256 digest")
        place = self._object(digest)
        if not place.is_file():
            raise self._damage(digest, f"artefact {digest[:12]} is not in the store")
        with self._reported("read"):
            found = digest_file(place)
        if found != digest:
            raise self._damage(digest, f"artefact {digest[:12]} is damaged: its bytes are not the ones that were kept")
        return place

    def has(self, digest: str) -> bool:
        """Tell whether the bytes are here. They are checked when they are fetched, not now."""
        return is_digest(digest) and self._object(digest).is_file()

    def record(self, fingerprint: str, result: bytes) -> bytes:
        """Keep a step's result unless one is kept already, and return the one that is kept."""
        place = self._result(fingerprint)
        with self._reported("written to", len(result)):
            if not place.exists():
                with new_file(self._new) as (temporary, file):
                    file.write(result)
                    _finish(file)
                    # A link, unlike a rename, fails when the name is taken: of two writers exactly one is first.
                    with suppress(FileExistsError):
                        place.hardlink_to(temporary)
                        _sync_folder(place.parent)
            return place.read_bytes()

    def recall(self, fingerprint: str) -> bytes | None:
        """Return the result kept under this fingerprint, if any."""
        place = self._result(fingerprint)
        with self._reported("read"):
            return place.read_bytes() if place.is_file() else None

    def holdings(self) -> Sequence[Held]:
        """Return every object and result. What dead processes left half written is cleared when a store is opened."""
        now, found = time.time(), []
        with self._reported("read"):
            for folder in (OBJECTS, RESULTS):
                for path in (self.root / folder).rglob("*"):
                    about = path.stat()
                    if path.is_file() and (held := held_at(self._name(path), about.st_size, now - about.st_mtime)):
                        found.append(held)
        return found

    def remove(self, held: Held) -> bool:
        """Remove it and tell whether it was; what was put again since it was looked at stays."""
        place = self.root / place_of(held)
        with self._reported("cleared"):
            try:
                if time.time() - place.stat().st_mtime < held.age:
                    return False
                place.unlink()
            except FileNotFoundError:  # another has removed it
                return False
        return True

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _renew(self, digest: str) -> bool:
        """Make an old object as young as if it were written now: whoever clears away what is old leaves it.

        Not so where another user wrote it, or where it was removed this moment.
        """
        place = self._object(digest)
        try:
            if time.time() - place.stat().st_mtime > ABANDONED / 2:
                os.utime(place)
        except (PermissionError, FileNotFoundError):
            return False
        return True

    def _object(self, digest: str) -> Path:
        return self.root / object_place(digest)

    def _result(self, fingerprint: str) -> Path:
        return self.root / result_place(fingerprint)

    def _is_intact(self, digest: str) -> bool:
        return self.has(digest) and digest_file(self._object(digest)) == digest

    def _check_format(self) -> None:
        marker = self.root / "store.json"
        if not marker.exists():
            with new_file(self._new) as (temporary, file):
                file.write(FORMAT)
                _finish(file)
                temporary.replace(marker)
        elif marker.read_bytes() != FORMAT:
            raise SetupError(
                "this artifact store has a format that this Tahona does not know",
                where=str(marker),
                fix="use the newer Tahona that made it, or name another folder in stores.artifacts",
            )

    @contextmanager
    def _reported(self, done: str, wanted: Path | int | None = None) -> Iterator[None]:
        """Turn what the operating system refuses into a SetupError that names the place.

        ``wanted`` is the file that was to be kept, or how many bytes.
        """
        try:
            yield
        except OSError as error:
            if is_full(error):
                raise no_room(error, self.root, wanted=_wanted(wanted)) from error
            reason = _REASONS.get(type(error)) or error.strerror or type(error).__name__
            kept = f" ({_wanted(wanted)})" if wanted is not None else ""
            raise SetupError(
                f"the artifact store cannot be {done}: {reason}{kept}",
                where=str(error.filename or self.root),
                fix="make room or give write access there, or name another folder in stores.artifacts",
            ) from error

    def _damage(self, digest: str, what: str) -> IntegrityError:
        makers = [
            path for path in sorted((self.root / "results").glob("*.json")) if digest.encode() in path.read_bytes()
        ]
        place = self._object(digest)
        doomed = [str(path) for path in (place, *makers) if path.exists()]
        return IntegrityError(
            what,
            where=str(place),
            fix="bring the file back from a copy"
            + (f", or remove {' and '.join(doomed)} and run again: the step that made it runs anew" if makers else ""),
        )


def _wanted(what: Path | int | None) -> str:
    """Say what was to be kept, and how many bytes."""
    if isinstance(what, Path):
        return f"{what.name}, {what.stat().st_size:,} bytes, was to be kept" if what.is_file() else what.name
    return "" if what is None else f"{what:,} bytes were to be kept"


def _finish(file: BinaryIO) -> None:
    """Force the bytes to the disk: a name must never reach it before they do."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened to be forced to the disk
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
