"""Text as a plain table: term → inverse document frequency.

The weights are those of scikit-learn's TfidfVectorizer with ``sublinear_tf`` and ``smooth_idf``: a term that stands f
times in one row and in df of n rows weighs (1 + ln f) · idf, idf = ln((1 + n) / (1 + df)) + 1, and every row is divided
by its Euclidean length.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.learn.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOKEN = re.compile(r"\w\w+")
_TILDE = "\N{COMBINING TILDE}"

STOP_SHARE = 0.1
"""A language is taken for granted when this share of the tokens are its stop words."""


def normalise(text: str, *, fold: bool = False) -> str:
    """Return the text in NFC and without case; ``fold`` takes the accents off too (ñ is a letter and stays)."""
    plain = text.casefold() if text.isascii() else _plain(text)
    return plain if not fold or plain.isascii() else _without_accents(plain)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _without_accents(text: str) -> str:
    kept: list[str] = []
    for mark in unicodedata.normalize("NFD", text):
        if not unicodedata.combining(mark) or (mark == _TILDE and kept and kept[-1] in "nN"):
            kept.append(mark)
    return unicodedata.normalize("NFC", "".join(kept))


def tokens(text: str, *, fold: bool = False) -> list[str]:
    """Return the words (two letters or digits at least) in order, accents whole: "Depresión" → ["depresión"]."""
    return _TOKEN.findall(normalise(text, fold=fold))


def stop_words(language: str, *, fold: bool = False) -> frozenset[str]:
    """Return a language's stop words, normalised exactly as the text is; none for the empty language."""
    return frozenset(normalise(word, fold=fold) for word in STOP_WORDS.get(language, ()))


def detect_language(documents: Iterable[Sequence[str]], *, fold: bool = False) -> str:
    """Return "es", "en" or "" by the share of stop words among the tokens."""
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(document)
    total = counts.total()
    shares = {
        language: sum(counts[word] for word in stop_words(language, fold=fold)) / max(1, total)
        for language in STOP_WORDS
    }
    best = max(shares, key=lambda language: shares[language])
    return best if shares[best] >= STOP_SHARE else ""


@dataclass(frozen=True)
class Text:
    """A text column's table. ``terms`` are words and pairs of neighbouring words, sorted; ``idf`` their weights."""

    source: str
    terms: tuple[str, ...]
    idf: tuple[float, ...]
    language: str = ""
    """The language whose stop words were left out."""
    fold: bool = False
    """Whether accents were taken off."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.source}~{term}" for term in self.terms)

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.idf, dtype=np.float64)

    @cached_property
    def _stop(self) -> frozenset[str]:
        return stop_words(self.language, fold=self.fold)

    def apply(self, texts: NDArray[Any]) -> csr_matrix:
        """Return (n, terms) float64 CSR with sorted indices; null, empty and unknown text give an empty row."""
        from scipy.sparse import csr_matrix

        places: list[int] = []
        counts: list[int] = []
        ends = [0]
        find = self._index.get
        for text in texts.tolist():
            found: dict[int, int] = {}
            for term in _terms(tokens(text, fold=self.fold), self._stop) if text else ():
                place = find(term)
                if place is not None:
                    found[place] = found.get(place, 0) + 1
            for place in sorted(found):
                places.append(place)
                counts.append(found[place])
            ends.append(len(places))
        columns = np.array(places, dtype=np.int32)
        row_of = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        values = _sublinear(np.array(counts, dtype=np.int64)) * self._weights[columns]
        # bincount adds in order, one by one: a row has the same length alone and in any batch
        lengths = np.sqrt(np.bincount(row_of, weights=values * values, minlength=len(ends) - 1))
        values = values / lengths[row_of]
        return csr_matrix((values, columns, np.array(ends, dtype=np.int32)), shape=(len(ends) - 1, len(self.terms)))

    def to_dict(self) -> dict[str, Any]:
        return {
            "table": "text",
            "source": self.source,
            "terms": list(self.terms),
            "idf": list(self.idf),
            "language": self.language,
            "fold": self.fold,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Text:
        return cls(data["source"], tuple(data["terms"]), tuple(data["idf"]), data["language"], data["fold"])


def fit_text(
    texts: NDArray[Any], source: str, *, most_terms: int = 50_000, least_rows: int = 2, fold: bool = False
) -> Text:
    """Return the table of a text column: words and word pairs that stand in at least ``least_rows`` rows.

    Of more than ``most_terms`` those in most rows are kept. Where no term is that frequent, every term counts.
    """
    documents = [tokens(text, fold=fold) if text else [] for text in texts.tolist()]
    language = detect_language(documents, fold=fold)
    stop = stop_words(language, fold=fold)
    rows: Counter[str] = Counter()
    for document in documents:
        rows.update(set(_terms(document, stop)))
    frequent = [term for term, count in rows.items() if count >= least_rows] or list(rows)
    if len(frequent) > most_terms:
        frequent = sorted(frequent, key=lambda term: (-rows[term], term))[:most_terms]
    terms = tuple(sorted(frequent))
    idf = tuple(math.log((1 + len(documents)) / (1 + rows[term])) + 1 for term in terms)
    return Text(source, terms, idf, language, fold)


def _terms(words: Sequence[str], stop: frozenset[str]) -> list[str]:
    kept = [word for word in words if word not in stop] if stop else list(words)
    return kept + [f"{first} {second}" for first, second in pairwise(kept)]


def _sublinear(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 + ln(count), by math.log: numpy's own may differ in the last bit between long and short arrays."""
    distinct, place = np.unique(counts, return_inverse=True)
    return np.array([1.0 + math.log(count) for count in distinct.tolist()], dtype=np.float64)[place]
