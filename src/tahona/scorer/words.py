"""Words of a text: without case, with their accents."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"\w\w+")


def normalise(text: str) -> str:
    """Return the text in NFC and without case; accents stay."""
    return text.casefold() if text.isascii() else _composed(_composed(text).casefold())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def tokens(text: str) -> list[str]:
    """Return the words (two letters or digits at least) in order, accents whole: "Depresión" → ["depresión"]."""
    return WORD.findall(normalise(text))
