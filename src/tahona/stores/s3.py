"""Artefacts in an S3 bucket, laid out as in a folder, with copies of what was fetched on this machine.

A name is taken by a conditional put (`If-None-Match: *`), so of many writers one is first, and an object is there
whole or not at all, in one request or in parts. Nothing is ever listed or locked on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tahona.digests import digest_file, is_digest
from tahona.errors import IntegrityError, SetupError
from tahona.owners import ABANDONED
from tahona.ports import Held, Publisher, Store
from tahona.stores.bucket import Bucket, no_conditions
from tahona.stores.copies import LocalCopies
from tahona.stores.layout import FORMAT, MARKER, OBJECTS, RESULTS, held_at, object_place, place_of, result_place
from tahona.stores.retry import Backoff, RetryingStore

KEY = "stores.artifacts"


def open_store(place: str, root: Path) -> Store:
    """Open the store at `s3://bucket/prefix`; copies are kept in `.tahona/cache` of the folder ``root``."""
    backoff = Backoff()
    bucket = Bucket(place, root, key=KEY, backoff=backoff)
    return RetryingStore(backoff.call(lambda: S3Store(bucket, root / ".tahona" / "cache")), backoff)


def open_publisher(place: str, root: Path) -> Publisher:
    """Open the place `s3://bucket/prefix` for files under names that people read."""
    backoff = Backoff()
    return S3Publisher(Bucket(place, root, key="publish.to", backoff=backoff), backoff)


class S3Store:
    """A `Store` in a bucket. Raises `TransientError` where asking again may help."""

    def __init__(self, bucket: Bucket, cache: Path) -> None:
        """Ask the bucket for its format, and mark an empty one.

        Raise SetupError when it cannot be asked, belongs to a newer Tahona, or knows no conditional put.
        """
        self._bucket = bucket
        self._copies = LocalCopies(cache)
        found = bucket.read(MARKER)
        if found is None:
            found = self._mark()
        if found != FORMAT:
            raise SetupError(
                "this artifact store has a format that this Tahona does not know",
                where=bucket.where,
                fix="use the newer Tahona that made it, or name another prefix in stores.artifacts",
            )

    def put(self, file: Path) -> str:
        """Keep the file's bytes and return their sha256. An object that is not these bytes is replaced."""
        with self._copies.take(file) as (copy, digest):
            name, size = object_place(digest), copy.path.stat().st_size
            there = size >= self._bucket.large and self._is_there(name, size, digest)
            if not there and not self._bucket.send(name, copy.path, digest) and not self._is_there(name, size, digest):
                self._bucket.send(name, copy.path, digest, anew=True)
            self._copies.keep(copy, digest)
        return digest

    def get(self, digest: str) -> Path:
        """Return a copy on this machine with these bytes, read once to be sure. Read it, never write to it.

        Raise IntegrityError when the bucket has no such object, or one with other bytes.
        """
        if not is_digest(digest):
            raise IntegrityError("an artefact was asked for by something that is no sha256 digest")
        place = self._copies.find(digest)
        if place is not None:
            return place
        for _ in range(2):  # bytes may have changed on their way; twice is no accident
            with self._copies.begin() as copy:
                if not self._bucket.download(object_place(digest), copy.file):
                    raise self._damage(digest, f"artefact {digest[:12]} is not in the store")
                copy.file.flush()
                if digest_file(copy.path) == digest:
                    return self._copies.keep(copy, digest)
        raise self._damage(digest, f"artefact {digest[:12]} is damaged: its bytes are not the ones that were kept")

    def has(self, digest: str) -> bool:
        """Tell whether the bucket has an object of this name. Its bytes are checked when they are fetched, not now."""
        return is_digest(digest) and self._bucket.look(object_place(digest)) is not None

    def record(self, fingerprint: str, result: bytes) -> bytes:
        """Keep a step's result unless one is kept already, and return the one that is kept."""
        name = result_place(fingerprint)
        if self._bucket.create(name, result):
            return result
        kept = self._bucket.read(name)
        return self.record(fingerprint, result) if kept is None else kept  # it was removed in between

    def recall(self, fingerprint: str) -> bytes | None:
        """Return the result kept under this fingerprint, if any."""
        return self._bucket.read(result_place(fingerprint))

    def holdings(self) -> Sequence[Held]:
        """Return every object and result, and the uploads in parts that nobody has finished."""
        listed = (each for folder in (OBJECTS, RESULTS) for each in self._bucket.listed(folder))
        found = [held for name, kept in listed if (held := held_at(name, kept.size, kept.age))]
        uploads = self._bucket.uploads(OBJECTS)
        return found + [Held("unfinished", f"{each.name} {each.id}", 0, each.age) for each in uploads]

    def remove(self, held: Held) -> bool:
        """Remove it, and the copy on this machine; tell whether it was. What was put again since stays."""
        if held.kind == "unfinished":
            self._bucket.forget(*held.name.split(" ", 1))
            return True
        name = place_of(held)
        kept = self._bucket.look(name)
        if kept is None or kept.age < held.age:
            return False
        self._bucket.remove(name)
        if held.kind == "object":
            self._copies.drop(held.name)
        return True

    def _is_there(self, name: str, size: int, digest: str) -> bool:
        """Tell whether there is an object of which all that the server knows speaks for these bytes.

        An old one does not count: put again it is young, and whoever clears away what is old leaves it.
        """
        kept = self._bucket.look(name)
        if kept is None or kept.size != size or kept.age > ABANDONED / 2:
            return False
        return kept.sha256 in (None, digest)

    def _mark(self) -> bytes | None:
        """Mark an empty place as a store, and see whether the server would let a second writer in."""
        if not self._bucket.create(MARKER, FORMAT):
            return self._bucket.read(MARKER)
        if self._bucket.create(MARKER, FORMAT):
            self._bucket.remove(MARKER)
            raise no_conditions(self._bucket)
        return FORMAT

    def _damage(self, digest: str, what: str) -> IntegrityError:
        makers = [name for name in self._bucket.names("results") if digest.encode() in (self._bucket.read(name) or b"")]
        doomed = [f"{self._bucket.url}/{name}" for name in (object_place(digest), *makers)]
        return IntegrityError(
            what,
            where=f"{self._bucket.url}/{object_place(digest)}",
            fix="bring the object back from a copy"
            + (f", or remove {' and '.join(doomed)} and run again: the step that made it runs anew" if makers else ""),
        )


class S3Publisher:
    """A `Publisher` into a bucket."""

    def __init__(self, bucket: Bucket, backoff: Backoff) -> None:
        self.place = bucket.url
        self._bucket = bucket
        self._backoff = backoff

    def has(self, name: str) -> bool:
        return self._backoff.call(lambda: self._bucket.look(name)) is not None

    def publish(self, name: str, file: Path) -> None:
        self._bucket.send(name, file, digest_file(file))
