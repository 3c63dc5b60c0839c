"""Words of one text: its terms, and what each of them weighs (`tahona.learn.text` says by which formula)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tahona.scorer.stop_words import STOP_WORDS
from tahona.scorer.words import normalise, tokens

LENGTH = 4
"""Letters in a piece of a word."""

Weighed = list[tuple[int, float]]
"""(matrix column, value), the columns rising."""


@lru_cache
def stop_words(language: str) -> frozenset[str]:
    """Return a language's stop words, normalised exactly as the text is; none for the empty language."""
    return frozenset(normalise(word) for word in STOP_WORDS.get(language, ()))


def terms_of(words: Sequence[str], stop: frozenset[str], lemmas: Mapping[str, str]) -> list[str]:
    """Return the words but stop words, as lemmas, and then the pairs of neighbours."""
    kept = [word for word in words if word not in stop] if stop else list(words)
    if lemmas:
        kept = [lemma for lemma in (lemmas.get(word, word) for word in kept) if lemma not in stop]
    return kept + [f"{first} {second}" for first, second in pairwise(kept)]


def pieces(word: str) -> list[str]:
    """Return "año" → [" año", "año "], "de" → [" de "]."""
    padded = f" {word} "
    return [padded[start : start + LENGTH] for start in range(max(1, len(padded) - LENGTH + 1))]


def forms_of_table(table: Mapping[str, Any]) -> dict[str, str]:
    """Return form → lemma; tables of format 1 have none."""
    return {form: lemma for lemma, forms in table.get("forms", {}).items() for form in forms}


def weigher(table: Mapping[str, Any], first: int) -> Callable[[str | None], Weighed]:
    """Return what weighs one text by a table of words or of pieces, whose terms are the columns from ``first`` on."""
    if table["table"] == "text":
        stop = stop_words(table["language"]).union(table.get("stop_words", ()))
        lemmas = forms_of_table(table)
        return _weigher(table, first, lambda text: terms_of(tokens(text), stop, lemmas))
    return _weigher(table, first, lambda text: [piece for word in tokens(text) for piece in pieces(word)])


def _weigher(
    table: Mapping[str, Any], first: int, split: Callable[[str], Iterable[str]]
) -> Callable[[str | None], Weighed]:
    find = {term: place for place, term in enumerate(table["terms"])}.get
    idf: list[float] = table["idf"]

    def weigh(text: str | None) -> Weighed:
        if not text:
            return []
        counts: dict[int, int] = {}
        for term in split(text):
            place = find(term)
            if place is not None:
                counts[place] = counts.get(place, 0) + 1
        weights = [(place, (1.0 + math.log(counts[place])) * idf[place]) for place in sorted(counts)]
        squares = 0.0
        for _, weight in weights:
            squares += weight * weight
        length = math.sqrt(squares)
        return [(first + place, weight / length) for place, weight in weights]

    return weigh
