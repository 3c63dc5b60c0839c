"""Text as a plain table: term → inverse document frequency.

The weights are those of scikit-learn's TfidfVectorizer with ``sublinear_tf`` and ``smooth_idf``: a term that stands f
times in one row and in df of n rows weighs (1 + ln f) · idf, idf = ln((1 + n) / (1 + df)) + 1, and every row is divided
by its Euclidean length.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.learn.lemmas import forms_of, lemmas_of
from tahona.scorer.stop_words import STOP_WORDS
from tahona.scorer.text import forms_of_table, stop_words, terms_of
from tahona.scorer.words import normalise, tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

STOP_SHARE = 0.1
"""A language is taken for granted when this share of the tokens are its stop words."""


def detect_language(documents: Iterable[Sequence[str]]) -> str:
    """Return "es", "en" or "" by the share of stop words among the tokens."""
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(document)
    total = counts.total()
    shares = {language: sum(counts[word] for word in stop_words(language)) / max(1, total) for language in STOP_WORDS}
    best = max(shares, key=lambda language: shares[language])
    return best if shares[best] >= STOP_SHARE else ""


@dataclass(frozen=True)
class Terms:
    """What a table of a text column is: ``terms``, sorted, and ``idf``, their weights."""

    source: str
    terms: tuple[str, ...]
    idf: tuple[float, ...]

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.idf, dtype=np.float64)


@dataclass(frozen=True)
class Text(Terms):
    """The words of a text column, and its pairs of neighbouring words."""

    language: str = ""
    """The language whose stop words were left out."""
    stop_words: tuple[str, ...] = ()
    """Words left out besides."""
    lemmas: Mapping[str, str] = field(default_factory=dict)
    """Form of a word → the lemma that stands for it, for whatever the terms and stop words can meet."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.source}~{term}" for term in self.terms)

    @cached_property
    def _stop(self) -> frozenset[str]:
        return stop_words(self.language).union(self.stop_words)

    def apply(self, texts: NDArray[Any]) -> csr_matrix:
        """Return (n, terms) float64 CSR with sorted indices; null, empty and unknown text give an empty row."""
        places: list[int] = []
        counts: list[int] = []
        ends = [0]
        find = self._index.get
        for text in texts.tolist():
            found: dict[int, int] = {}
            for term in terms_of(tokens(text), self._stop, self.lemmas) if text else ():
                place = find(term)
                if place is not None:
                    found[place] = found.get(place, 0) + 1
            for place in sorted(found):
                places.append(place)
                counts.append(found[place])
            ends.append(len(places))
        as_arrays = np.array(places, dtype=np.int32), np.array(counts, dtype=np.int64), np.array(ends, dtype=np.int32)
        return tf_idf(*as_arrays, self._weights)

    def to_dict(self) -> dict[str, Any]:
        forms: dict[str, list[str]] = {}
        for form, lemma in self.lemmas.items():
            forms.setdefault(lemma, []).append(form)
        return {
            "table": "text",
            "source": self.source,
            "terms": list(self.terms),
            "idf": list(self.idf),
            "language": self.language,
            "stop_words": list(self.stop_words),
            "forms": forms,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Text:
        """Read what `to_dict` gave; tables of format 1 have neither forms nor stop words of their own."""
        return cls(
            data["source"],
            tuple(data["terms"]),
            tuple(data["idf"]),
            data["language"],
            tuple(data.get("stop_words", ())),
            forms_of_table(data),
        )


def fit_text(
    texts: NDArray[Any],
    source: str,
    *,
    most_terms: int = 50_000,
    least_rows: int = 2,
    lemmas: str = "",
    leave_out: Iterable[str] = (),
) -> Text:
    """Return the table of a text column: words and word pairs that stand in at least ``least_rows`` rows.

    Of more than ``most_terms`` those in most rows are kept. Where no term is that frequent, every term counts.
    ``lemmas`` is the language whose lemmas stand for the words, unless the texts turn out to be in another one;
    ``leave_out`` are stop words besides those of the language, and with lemmas all their forms. Raises SetupError
    where lemmas need a package that is not installed.
    """
    documents = [tokens(text) if text else [] for text in texts.tolist()]
    language = detect_language(documents) or lemmas
    besides = tuple(sorted({normalise(word) for word in leave_out}))
    stop = stop_words(language).union(besides)
    found: Mapping[str, str] = {}
    if lemmas and lemmas == language:
        found = lemmas_of({word for document in documents for word in document if word not in stop}, lemmas)
    rows: Counter[str] = Counter()
    for document in documents:
        rows.update(set(terms_of(document, stop, found)))
    frequent = [term for term, count in rows.items() if count >= least_rows] or list(rows)
    if len(frequent) > most_terms:
        frequent = sorted(frequent, key=lambda term: (-rows[term], term))[:most_terms]
    terms = tuple(sorted(frequent))
    idf = tuple(math.log((1 + len(documents)) / (1 + rows[term])) + 1 for term in terms)
    if found:
        found = _forms_met(found, {word for term in terms for word in term.split()}.union(besides), stop, lemmas)
    return Text(source, terms, idf, language, besides, found)


def _forms_met(found: Mapping[str, str], known: set[str], stop: frozenset[str], language: str) -> dict[str, str]:
    """Return form → lemma for the known words: those that rows to come may hold, and those the training rows held.

    A form that is itself a known word is among them even if its lemma is not, or it would be taken for that word.
    """
    met = forms_of(known, language)
    met.update((form, lemma) for form, lemma in found.items() if lemma in known or form in known)
    return {form: met[form] for form in sorted(met) if form not in stop}


def tf_idf(
    columns: NDArray[Any], counts: NDArray[np.int64], ends: NDArray[Any], weights: NDArray[np.float64]
) -> csr_matrix:
    """Return counts (in the form of CSR, sorted within each row) as weights, each row of length 1 or empty."""
    from scipy.sparse import csr_matrix

    rows = len(ends) - 1
    row_of = np.repeat(np.arange(rows), np.diff(ends))
    values = _sublinear(counts) * weights[columns]
    # bincount adds in order, one by one: a row has the same length alone and in any batch
    lengths = np.sqrt(np.bincount(row_of, weights=values * values, minlength=rows))
    values = values / lengths[row_of]
    return csr_matrix((values, columns.astype(np.int32), ends.astype(np.int32)), shape=(rows, len(weights)))


def _sublinear(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 + ln(count), by math.log: numpy's own may differ in the last bit between long and short arrays."""
    distinct, place = np.unique(counts, return_inverse=True)
    return np.array([1.0 + math.log(count) for count in distinct.tolist()], dtype=np.float64)[place]
