"""Where a store keeps what, the same in a folder and in a bucket.

store.json                     the format's version
objects/ab/<sha256>            one artefact; the first two characters make the folder
results/<fingerprint>.json     what a finished step gave
"""

from __future__ import annotations

import re

from tahona.errors import TahonaError

FORMAT = b'{"tahona_store": 1}\n'
MARKER = "store.json"
_FINGERPRINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def object_place(digest: str) -> str:
    """Return where the bytes of this digest are kept."""
    return f"objects/{digest[:2]}/{digest}"


def result_place(fingerprint: str) -> str:
    """Return where the result under this fingerprint is kept."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise TahonaError("a fingerprint is made of letters, digits, `-` and `_`")
    return f"results/{fingerprint}.json"
