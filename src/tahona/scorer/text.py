"""Words of one text: its terms, and what each of them weighs (`tahona.learn.text` says by which formula)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

from tahona.scorer.cells import LONGEST_KEPT
from tahona.scorer.stop_words import STOP_WORDS
from tahona.scorer.words import normalise, tokens

LENGTH = 4
"""Letters in a piece of a word."""

Weighed = tuple[list[int], list[float]]
"""Matrix columns, rising, and the value in each."""
_WORDS_KEPT = 50_000
"""Words whose pieces are remembered."""


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
    find = {term: place for place, term in enumerate(table["terms"])}.get
    if table["table"] == "text":
        stop = stop_words(table["language"]).union(table.get("stop_words", ()))
        lemmas = forms_of_table(table)
        return _weigher(table["idf"], first, lambda text: map(find, terms_of(tokens(text), stop, lemmas)))

    def look_up(word: str) -> list[int | None]:
        return [find(piece) for piece in pieces(word)]

    remembered = lru_cache(_WORDS_KEPT)(look_up)

    def places_of(word: str) -> list[int | None]:
        return remembered(word) if len(word) <= LONGEST_KEPT else look_up(word)

    return _weigher(table["idf"], first, lambda text: chain.from_iterable(map(places_of, tokens(text))))


def _weigher(
    idf: Sequence[float], first: int, places_in: Callable[[str], Iterable[int | None]]
) -> Callable[[str | None], Weighed]:
    def weigh(text: str | None) -> Weighed:
        if not text:
            return [], []
        counts: dict[Any, int] = Counter(places_in(text))
        counts.pop(None, None)
        found = sorted(counts.items())
        weights = [idf[place] if count == 1 else (1.0 + math.log(count)) * idf[place] for place, count in found]
        squares = 0.0
        for weight in weights:
            squares += weight * weight
        length = math.sqrt(squares)
        return [first + place for place, _ in found], [weight / length for weight in weights]

    return weigh
