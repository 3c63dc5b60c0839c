"""Lemmas: one word for all the forms of a word, from simplemma's dictionary, which is in its package (extra text-es).

Only fitting looks into the dictionary. What prediction needs of it stands in the table of the text column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec

from tahona.errors import SetupError
from tahona.scorer.words import WORD, normalise


def check_lemmas() -> None:
    """Raise SetupError if the package with the dictionary is not installed."""
    if find_spec("simplemma") is None:
        raise SetupError(
            "Lemmas need a package that is not installed.",
            where="[data.text] lemmas",
            fix="pip install 'tahona[text-es]'",
        )


def lemmas_of(words: Iterable[str], language: str) -> dict[str, str]:
    """Return word → lemma for those of these lower-case words whose lemma is another word than themselves."""
    check_lemmas()
    from simplemma import lemmatize

    found = {}
    for word in words:
        lemma = normalise(lemmatize(word, lang=language))
        if lemma != word and WORD.fullmatch(lemma):
            found[word] = lemma
    return found


def forms_of(lemmas: Iterable[str], language: str) -> dict[str, str]:
    """Return form → lemma for every lower-case form of these lemmas that is in the dictionary, but the lemma itself."""
    check_lemmas()
    known = _dictionary(language)
    return {form: lemma for lemma in lemmas for form in known.get(lemma, ())}


@cache
def _dictionary(language: str) -> Mapping[str, tuple[str, ...]]:
    """Return lemma → its forms. Takes 1.5 s of CPU and 70 MB for Spanish, once per process."""
    from simplemma.strategies.dictionaries import DefaultDictionaryFactory

    forms: dict[str, list[str]] = {}
    entries = DefaultDictionaryFactory().get_dictionary(language)
    for form, lemma in entries.items():
        if form != lemma and form == normalise(form) and WORD.fullmatch(form):
            forms.setdefault(normalise(lemma), []).append(form)
    return {lemma: tuple(sorted(found)) for lemma, found in forms.items()}
