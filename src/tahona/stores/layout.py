"""Where a store keeps what, the same in a folder and in a bucket.

store.json                     the format's version
objects/ab/<sha256>            one artefact; the first two characters make the folder
results/<fingerprint>.json     what a finished step gave
"""

from __future__ import annotations

import re

from tahona.errors import TahonaError
from tahona.ports import Held

FORMAT = b'{"tahona_store": 1}\n'
MARKER = "store.json"
OBJECTS, RESULTS = "objects", "results"
_FINGERPRINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def object_place(digest: str) -> str:
    """Return where the bytes of this digest are kept."""
    return f"{OBJECTS}/{digest[:2]}/{digest}"


def result_place(fingerprint: str) -> str:
    """Return where the result under this fingerprint is kept."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise TahonaError("a fingerprint is made of letters, digits, `-` and `_`")
    return f"{RESULTS}/{fingerprint}.json"


def place_of(held: Held) -> str:
    """Return where it is kept; a write that has not finished has its name for a place."""
    if held.kind == "object":
        return object_place(held.name)
    return result_place(held.name) if held.kind == "result" else held.name


def held_at(place: str, size: int, age: float) -> Held | None:
    """Return what is kept at this place, None where nothing of ours would be."""
    folder, _, rest = place.partition("/")
    name = rest.rpartition("/")[2].removesuffix(".json")
    for kind, where in (("object", object_place), ("result", result_place)):
        if folder == f"{kind}s" and name and where(name) == place:
            return Held(kind, name, size, age)  # type: ignore[arg-type]  # one of the two
    return None
