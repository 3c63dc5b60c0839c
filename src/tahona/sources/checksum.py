"""The sha256 of a file, and the refusal of one that is not the declared one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tahona.errors import DataError, IntegrityError

__all__ = ["checked_digest", "refuse_checksum"]


def checked_digest(file: Path, expected: str | None, *, where: str) -> str:
    """Return the file's sha256. Raise IntegrityError if another one is declared."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if expected is not None and digest != expected:
        raise IntegrityError(
            f"the file's sha256 begins with {digest[:12]}, the declared one with {expected[:12]}",
            where=where,
            fix="Get the right file; if the change is wanted, declare the new digest as `sha256` in [data].",
        )
    return digest


def refuse_checksum(expected: str | None, *, where: str) -> None:
    """Refuse a declared sha256 where there are no file bytes to check."""
    if expected is not None:
        raise DataError(
            "`sha256` is declared, but this source is not a file", where=where, fix="Remove `sha256` from [data]."
        )
