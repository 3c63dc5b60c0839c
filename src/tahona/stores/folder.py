"""Artefacts in a folder, each under the digest of its bytes.

    store.json                     the format's version
    objects/ab/<sha256>            one artefact; the first two characters make the folder
    results/<fingerprint>.json     what a finished step gave
    new/<machine>-<pid>-<random>   a write that has not finished

A file is written in ``new``, forced to the disk, and only then moved to its place, so at every instant a name stands
for all of its bytes or does not exist. Processes may share the folder; none of them ever waits for another.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tahona.digests import digest_bytes, digest_file, is_digest
from tahona.errors import IntegrityError, SetupError, TahonaError

FORMAT = b'{"tahona_store": 1}\n'
PIECE = 1 << 20
"""Bytes copied at a time."""
ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished write counts as abandoned wherever it was begun."""
_REASONS: dict[type[OSError], str] = {FileExistsError: "a file stands where a folder should be"}
_FINGERPRINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


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
        for path in sorted(self._new.iterdir()):
            if _is_abandoned(path):
                with suppress(OSError):  # another process cleared it first, or the folder may only be read
                    path.unlink()

    def put(self, file: Path) -> str:
        """Keep the file's bytes and return their sha256. A damaged copy of the same bytes is replaced."""
        with self._reported("written to", file):
            digest = digest_file(file)
            if self._is_intact(digest):
                return digest
            with self._written() as (temporary, copy):
                digest = _copy(file, copy)  # of the bytes that were copied, should the file have changed meanwhile
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
        with self._reported("written to"):
            if not place.exists():
                with self._written() as (temporary, file):
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

    def _object(self, digest: str) -> Path:
        return self.root / "objects" / digest[:2] / digest

    def _result(self, fingerprint: str) -> Path:
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise TahonaError("a fingerprint is made of letters, digits, `-` and `_`")
        return self.root / "results" / f"{fingerprint}.json"

    def _is_intact(self, digest: str) -> bool:
        return self.has(digest) and digest_file(self._object(digest)) == digest

    def _check_format(self) -> None:
        marker = self.root / "store.json"
        if not marker.exists():
            with self._written() as (temporary, file):
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
    def _written(self) -> Iterator[tuple[Path, BinaryIO]]:
        """Open a new file beside the kept ones; whatever happens, it is gone afterwards (moved, linked or removed)."""
        temporary = self._new / f"{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:
                yield temporary, file
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _reported(self, done: str, file: Path | None = None) -> Iterator[None]:
        """Turn what the operating system refuses into a SetupError that names the place."""
        try:
            yield
        except OSError as error:
            reason = _REASONS.get(type(error)) or error.strerror or type(error).__name__
            kept = f" ({file.name} was to be kept)" if file is not None else ""
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


def _copy(file: Path, copy: BinaryIO) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as original:
        while piece := original.read(PIECE):
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()


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
