"""Digests by which bytes, files and plain values are named: sha256, written in hexadecimal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

LENGTH = 64
"""Characters in a digest."""


def digest_bytes(data: bytes) -> str:
    """Return the sha256 of these bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in pieces. Raise OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: object) -> str:
    """Return the sha256 of a plain value (dicts, lists, text, numbers, booleans, None).

    Equal values have equal digests: keys are sorted, tuples count as lists, and nothing depends on the machine. Raise
    TypeError for any other type, so that no digest ever rests on an object's address or `repr`.
    """
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def is_digest(text: str) -> bool:
    """Tell whether this is a digest as these functions write it."""
    return len(text) == LENGTH and not set(text) - set("0123456789abcdef")
