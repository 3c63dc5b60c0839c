"""Small files that others find whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(file: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write a file beside its place and move it there; one writes at a time. Raise OSError, and leave the old one.

    ``private``: only its owner may read it, and it is on the disk before it takes its place.
    """
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            if private:
                stream.flush()
                os.fsync(handle)
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
