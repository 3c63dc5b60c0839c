"""Guessing what a misspelt name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_COMPARED = 200
"""Comparing takes quadratic time, so a longer name is no misspelling worth guessing at."""


def close_matches(word: object, known: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """Return the known names most like the word, best first; case and `-`/`_`/blank make no difference."""
    if not isinstance(word, str) or len(word) > LONGEST_COMPARED:
        return ()
    by_plain: dict[str, str] = {}
    for name in known:
        if len(name) <= LONGEST_COMPARED:
            by_plain.setdefault(_plain(name), name)
    return tuple(by_plain[plain] for plain in get_close_matches(_plain(word), by_plain, n=most, cutoff=0.6))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a question such as ``did you mean 'trials'?``, or the empty string when nothing is close."""
    matches = close_matches(word, known)
    return f"did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")
