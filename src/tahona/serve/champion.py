"""Which bundle is served, handed from the back to the workers in one small file that appears whole.

The workers look at the file's time a few times a second. They take up what it names beside what they have, and
exchange the two at once: a request is answered by one version from its first row to its last.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tahona.files import write_whole


@dataclass(frozen=True, slots=True)
class Champion:
    """A version, and where its bundle lies on this machine."""

    name: str
    version: int
    digest: str
    """sha256 of the bundle; whoever wrote the champion has checked it."""
    bundle: str
    """Path of the bundle's file."""
    slow: str = ""
    """Why the workers cannot answer for it themselves; empty when they can. The back then predicts."""


def write_champion(file: Path, champion: Champion) -> None:
    """Let the workers know; they have it within a fraction of a second."""
    write_whole(file, json.dumps(asdict(champion), sort_keys=True) + "\n")


def read_champion(file: Path) -> Champion | None:
    """Return what is served, None when there is nothing yet."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return None
    return Champion(**json.loads(text))
