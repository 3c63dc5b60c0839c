"""A table behind http:// or https://, kept in a cache folder.

A download that breaks off goes on where it stopped, also in a later process, if the server names its content (ETag or
Last-Modified). A copy that is still the server's is not fetched again. Messages never hold a URL's user or query.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tahona.core.records import FetchedTable
from tahona.errors import DataError, SetupError
from tahona.files import write_whole
from tahona.sources.checksum import checked_digest
from tahona.sources.limits import LIMITS, Limits
from tahona.sources.reading import Reading
from tahona.sources.table import read_batches, read_table

if TYPE_CHECKING:
    import httpx
    import pandas as pd

    from tahona.project.model import DataPart

__all__ = ["HttpSource", "Patience", "open_source"]

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try: ``wait`` seconds after the first failure, twice as long after each further one."""

    attempts: int = 4
    wait: float = 0.5
    connect: float = 10.0
    read: float = 30.0


class _BrokenOffError(Exception):
    """The attempt failed in a way that another may not."""


class HttpSource:
    """Any format that a file may have, told by content."""

    def __init__(
        self, url: str, data: DataPart, cache: Path, *, limits: Limits = LIMITS, patience: Patience | None = None
    ) -> None:
        self._url = url
        self._data = data
        self._where = _masked(url)
        self._limits = limits
        self._patience = patience or Patience()
        self._folder = cache / "http"
        self._key = sha256(url.encode()).hexdigest()[:32]

    def version(self) -> str:
        """Return the sha256 of the content. The server is asked whether the cached copy is still its own."""
        return f"sha256:{self._bring().name}"

    def fetch(self) -> FetchedTable:
        return read_table(self._bring(), Reading.of(self._data, self._where, self._limits))

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Give the downloaded table in pieces, as `FileSource` does."""
        yield from read_batches(self._bring(), Reading.of(self._data, self._where, self._limits), rows)

    def _bring(self) -> Path:
        """Return a file in the cache, named by its sha256, with the server's present content.

        With a declared ``sha256`` a cached copy of that digest is right whatever the server says.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with _alone(self._folder / f"{self._key}.lock"):
            known = self._known()
            if known and known["digest"] == self._data.sha256:
                return self._folder / known["digest"]
            headers = self._download(known)
            if headers is None:
                assert known
                file = self._folder / known["digest"]
                checked_digest(file, self._data.sha256, where=self._where)
                return file
            return self._accept(headers, known)

    def _known(self) -> dict[str, str] | None:
        """Return what is noted of the cached copy, if that is there and whole."""
        note = _read_note(self._folder / f"{self._key}.json")
        file = self._folder / note.get("digest", "-")
        if not file.is_file() or checked_digest(file, None, where=self._where) != note["digest"]:
            return None
        return note

    def _accept(self, headers: Mapping[str, str], known: Mapping[str, str] | None) -> Path:
        """Check the whole download, make it the cached copy, and drop the one before."""
        part = self._folder / f"{self._key}.part"
        try:
            digest = checked_digest(part, self._data.sha256, where=self._where)
        except BaseException:
            self._forget_part()
            raise
        file = self._folder / digest
        part.replace(file)
        self._forget_part()
        write_whole(self._folder / f"{self._key}.json", json.dumps({"digest": digest, **headers}))
        if known and known["digest"] != digest and not self._is_shared(known["digest"]):
            (self._folder / known["digest"]).unlink(missing_ok=True)
        return file

    def _is_shared(self, digest: str) -> bool:
        return any(_read_note(note).get("digest") == digest for note in self._folder.glob("*.json"))

    def _forget_part(self) -> None:
        for suffix in ("part", "part.json"):
            (self._folder / f"{self._key}.{suffix}").unlink(missing_ok=True)

    def _download(self, known: Mapping[str, str] | None) -> dict[str, str] | None:
        """Bring the content into the ``.part`` file and return its validators; None if the cached copy is current."""
        import httpx

        timeout = httpx.Timeout(self._patience.read, connect=self._patience.connect)
        try:
            with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=5) as client:
                return self._attempts(client, known)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise DataError("the address is not valid", where=self._where, fix="Check `source` in [data].") from None
        except httpx.TooManyRedirects:
            raise SetupError(
                "the server redirects without end", where=self._where, fix="Name the final address."
            ) from None

    def _attempts(self, client: httpx.Client, known: Mapping[str, str] | None) -> dict[str, str] | None:
        import httpx

        reason = ""
        for attempt in range(self._patience.attempts):
            if attempt:
                time.sleep(self._patience.wait * 2 ** (attempt - 1))
            try:
                return self._attempt(client, known)
            except _BrokenOffError as error:
                reason = str(error)
            except httpx.UnsupportedProtocol:
                raise
            except httpx.TransportError as error:
                reason = type(error).__name__
        raise SetupError(
            f"the server could not be reached, or broke off, {self._patience.attempts} times (last: {reason})",
            where=self._where,
            fix="Check the address and the network, then run again: what has arrived is kept.",
        )

    def _attempt(self, client: httpx.Client, known: Mapping[str, str] | None) -> dict[str, str] | None:
        part = self._folder / f"{self._key}.part"
        note = _read_note(part.with_name(f"{part.name}.json"))
        validator = _strong(note)
        start = part.stat().st_size if part.is_file() and validator else 0
        asked = {"Accept-Encoding": "identity"}  # offsets must count the bytes of the file itself
        if start:
            asked |= {"Range": f"bytes={start}-", "If-Range": validator}
        elif known:
            asked |= _conditions(known)
        with client.stream("GET", self._url, headers=asked) as response:
            if response.status_code == 304 and known:
                return None
            if response.status_code == 416 and start:
                self._forget_part()
                raise _BrokenOffError("HTTP 416")
            if response.status_code == 206:
                if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    self._forget_part()
                    raise _BrokenOffError("a wrong range")
            elif response.status_code == 200:
                start = 0
            else:
                raise self._refusal(response.status_code)
            headers = note if start else _validators(response.headers)
            self._save(response, part, headers, start)
            return headers

    def _save(self, response: httpx.Response, part: Path, headers: Mapping[str, str], start: int) -> None:
        """Write the body behind the first ``start`` bytes of ``part``, within the limit by bytes read."""
        self._check(start + int(response.headers.get("Content-Length", 0)))
        write_whole(part.with_name(f"{part.name}.json"), json.dumps(dict(headers)))
        size = start
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in response.iter_raw():
                size += len(chunk)
                self._check(size)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def _check(self, size: int) -> None:
        if size > self._limits.table_bytes:
            self._forget_part()
            raise DataError(
                f"the download is larger than the limit of {self._limits.table_bytes:,} bytes",
                where=self._where,
                fix="Use a smaller table.",
            )

    def _refusal(self, status: int) -> Exception:
        if status in _RETRIED:
            return _BrokenOffError(f"HTTP {status}")
        if status in {404, 410}:
            return DataError(
                f"the server has no such file (HTTP {status})", where=self._where, fix="Check `source` in [data]."
            )
        return SetupError(
            f"the server refuses the file (HTTP {status})", where=self._where, fix="Check the address and your access."
        )


def open_source(source: str, data: DataPart, root: Path, cache: Path) -> HttpSource:  # noqa: ARG001  (one signature)
    """Return the table behind the URL ``source``, kept in the folder ``cache``."""
    return HttpSource(source, data, cache)


def _masked(url: str) -> str:
    """Return the URL without user, password, query and fragment, any of which may hold a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "`source` in [data]"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    named = {"etag": headers.get("ETag"), "modified": headers.get("Last-Modified")}
    return {name: value for name, value in named.items() if value}


def _strong(note: Mapping[str, str]) -> str:
    """Return what may stand in If-Range: a strong ETag, or the time of modification."""
    etag = note.get("etag", "")
    return etag if etag and not etag.startswith("W/") else note.get("modified", "")


def _conditions(note: Mapping[str, str]) -> dict[str, str]:
    if "etag" in note:
        return {"If-None-Match": note["etag"]}
    return {"If-Modified-Since": note["modified"]} if "modified" in note else {}


def _read_note(file: Path) -> dict[str, str]:
    """Return the noted texts; nothing where the file is not there or was cut off by a crash."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock; it falls with the process. Where the system has no such locks, two downloads may do work twice."""
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
