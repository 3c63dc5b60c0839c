"""Text: words with their accents, and weights that are those everybody knows."""

from __future__ import annotations

import json
import os
import sys
import time
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tahona.errors import SetupError
from tahona.learn.characters import fit_characters
from tahona.learn.columns import infer_schema, to_columns, to_labels
from tahona.learn.encoding import fit_encoding
from tahona.learn.families import FAMILIES
from tahona.learn.model import ask, fit_estimator
from tahona.learn.text import Text, detect_language, fit_text
from tahona.scorer.stop_words import STOP_WORDS
from tahona.scorer.text import pieces, stop_words
from tahona.scorer.words import normalise, tokens

REAL = Path(os.environ.get("TAHONA_REAL_DATA", Path(__file__).resolve().parents[1].parent / "shared" / "data"))

SPANISH = [
    "El niño presenta una depresión leve desde hace dos años",
    "La paciente refiere dolor; se descarta una depresión mayor",
    "Sin fiebre. No presenta dolor en el pecho",
    "El niño no tiene fiebre y está bien",
]


def column(*texts):
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return values


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_accents_stay_in_one_token_in_every_unicode_form(form):
    text = unicodedata.normalize(form, "DEPRESIÓN del Niño, corazón; pingüino")
    assert tokens(text) == ["depresión", "del", "niño", "corazón", "pingüino"]


def test_case_goes_in_every_alphabet_and_accents_stay():
    assert normalise("Año ESTÁ STRASSE Straße") == "año está strasse strasse"
    assert "también" in stop_words("es")


def test_the_language_is_found_by_its_stop_words():
    assert detect_language(map(tokens, SPANISH)) == "es"
    assert detect_language([tokens("the patient was seen by the doctor and sent home")]) == "en"
    assert detect_language([["aspirina", "paracetamol", "ibuprofeno"]]) == ""
    assert detect_language([]) == ""


def test_spanish_stop_words_go_and_negations_stay():
    table = fit_text(column(*SPANISH), "note", least_rows=1)
    assert table.language == "es"
    assert {"niño", "depresión", "niño presenta", "no", "sin fiebre"} <= set(table.terms)
    assert not {"el", "la", "está", "desde"} & set(table.terms)
    for words in STOP_WORDS.values():
        assert not {"no", "ni", "sin", "not", "nor", "without"} & words


def test_decomposed_text_meets_the_terms_of_composed_text():
    table = fit_text(column(*SPANISH), "note")
    composed = table.apply(column(*SPANISH)).toarray()
    decomposed = table.apply(column(*(unicodedata.normalize("NFD", text) for text in SPANISH))).toarray()
    assert composed.tobytes() == decomposed.tobytes()
    assert composed.any(axis=1).all()


def test_nothing_to_read_gives_a_row_of_zeros():
    table = fit_text(column(*SPANISH), "note")
    empty = table.apply(column(None, "", "   ", "el la de que", "¿…?", "xyzzy"))
    assert empty.shape == (6, len(table.terms))
    assert empty.nnz == 0


def test_text_without_any_word_gives_no_column():
    table = fit_text(column("", None, "... !", "a"), "note")
    assert table.terms == ()
    assert table.apply(column("una palabra")).shape == (1, 0)


def test_where_no_word_is_repeated_every_word_counts():
    assert fit_text(column("alfa beta", "gamma"), "note").terms == ("alfa", "alfa beta", "beta", "gamma")


def test_the_most_widespread_terms_are_kept():
    texts = column("rojo verde", "rojo azul", "rojo verde", "azul")
    assert fit_text(texts, "note", most_terms=2, least_rows=1).terms == ("azul", "rojo")


def test_a_megabyte_of_text_is_read_in_a_second():
    table = fit_text(column(*SPANISH), "note")
    huge = "depresión niño fiebre\n" * 50_000
    begin = time.process_time()
    row = table.apply(column(huge))
    assert time.process_time() - begin < 1.5
    assert len(huge.encode()) > 1_000_000
    assert np.isclose((row.toarray() ** 2).sum(), 1)


def test_the_table_survives_as_plain_data():
    table = fit_text(column(*SPANISH), "note", lemmas="es", leave_out=["Paciente"])
    assert table.lemmas
    assert table.stop_words == ("paciente",)
    assert Text.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def test_a_table_of_the_first_format_is_read_as_it_was():
    old = {"table": "text", "source": "note", "terms": ["dolor"], "idf": [1.5], "language": "es", "fold": False}
    table = Text.from_dict(old)
    assert table == Text("note", ("dolor",), (1.5,), "es")
    assert table.apply(column("Dolor", "dolores")).toarray().tolist() == [[1.0], [0.0]]


VISITS = [
    "Los niños presentaban depresiones leves desde hace dos años",
    "La niña presenta depresión; los pacientes refieren dolores torácicos",
    "Paciente que refirió un dolor torácico, sin depresión. Un niño.",
]


def test_one_lemma_stands_for_all_forms_and_keeps_its_accents():
    plain = fit_text(column(*VISITS), "note")
    table = fit_text(column(*VISITS), "note", lemmas="es")
    assert plain.terms == ("depresión",)
    assert {"depresión", "niño", "presentar", "referir", "dolor torácico"} <= set(table.terms)
    assert not {"depresiones", "depresion", "dolores", "presenta"} & set(table.terms)
    assert "sin" not in table.terms  # once only
    assert "sin depresión" in fit_text(column(*VISITS), "note", lemmas="es", least_rows=1).terms


def test_forms_that_no_training_row_held_are_met_without_the_dictionary(monkeypatch):
    table = Text.from_dict(fit_text(column(*VISITS), "note", lemmas="es").to_dict())
    monkeypatch.setitem(sys.modules, "simplemma", None)
    met, same = table.apply(column("presentaremos dolores", "presentar dolor")).toarray()
    assert met.tobytes() == same.tobytes()
    assert met.any()


def test_weights_with_lemmas_are_those_of_the_lemmatised_texts():
    from simplemma import lemmatize
    from sklearn.feature_extraction.text import TfidfVectorizer

    stop = stop_words("es")

    def analysed(text):
        kept = [lemmatize(word, lang="es") for word in tokens(text) if word not in stop]
        kept = [word for word in kept if word not in stop]
        return kept + [f"{first} {second}" for first, second in pairwise(kept)]

    table = fit_text(column(*VISITS), "note", lemmas="es", least_rows=1)
    peer = TfidfVectorizer(analyzer=analysed, sublinear_tf=True)
    weights = peer.fit_transform(VISITS)
    assert peer.get_feature_names_out().tolist() == list(table.terms)
    assert abs(table.apply(column(*VISITS)) - weights).max() < 1e-12


def test_words_that_say_nothing_go_with_all_their_forms():
    assert "pacientes refieren" in fit_text(column(*VISITS), "note", leave_out=["paciente"], least_rows=1).terms
    table = fit_text(column(*VISITS), "note", lemmas="es", leave_out=["PACIENTE"], least_rows=1)
    assert not {word for term in table.terms for word in term.split()} & {"paciente", "pacientes"}
    with_it, without = table.apply(column("dolores pacientes torácicos", "dolor torácico")).toarray()
    assert with_it.tobytes() == without.tobytes()
    assert with_it[table.terms.index("dolor torácico")] > 0


def test_pieces_of_words_weigh_what_scikit_learn_says_and_the_same_alone_and_in_a_batch():
    from sklearn.feature_extraction.text import TfidfVectorizer

    assert (pieces("año"), pieces("de"), pieces("niños")) == (
        [" año", "año "],
        [" de "],
        [" niñ", "niño", "iños", "ños "],
    )
    texts = [*VISITS, *SPANISH]
    table = fit_characters(column(*texts), "note", least_rows=2)
    peer = TfidfVectorizer(
        analyzer=lambda text: [piece for word in tokens(text) for piece in pieces(word)], sublinear_tf=True, min_df=2
    )
    weights = peer.fit_transform(texts)
    assert peer.get_feature_names_out().tolist() == list(table.terms)
    ours = table.apply(column(*texts))
    assert abs(ours - weights).max() < 1e-12
    for place, text in enumerate(texts):
        alone = table.apply(column(text))
        assert alone.data.tobytes() == ours[place].data.tobytes()
        assert alone.indices.tolist() == ours[place].indices.tolist()
    empty = table.apply(column(None, "", "¿…?", "xyzzy"))
    assert empty.shape == (4, len(table.terms))
    assert empty.nnz == 0


def test_the_most_widespread_pieces_are_kept():
    texts = column("rojo", "rojos", "rojas azul", None)
    assert fit_characters(texts, "note", most_terms=1).terms == (" roj",)
    assert fit_characters(texts, "note", least_rows=2).terms == (" roj", "rojo")
    assert fit_characters(column("…", None), "note").terms == ()
    often = column(*["dolor"] * 11, *["mareo"] * 3, *["tos"] * 300)
    assert " dol" in fit_characters(often, "note").terms
    assert " tos" not in fit_characters(often, "note").terms


def test_text_in_another_language_keeps_its_words():
    english = ["the patients were seen by the doctors and sent home", "the patient was seen by a doctor at the home"]
    assert fit_text(column(*english), "note", lemmas="es") == fit_text(column(*english), "note")


def test_lemmas_without_their_package_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplemma", None)
    with pytest.raises(SetupError) as caught:
        fit_text(column(*VISITS), "note", lemmas="es")
    assert caught.value.exit_code == 4
    assert "tahona[text-es]" in caught.value.fix


@pytest.mark.real
@pytest.mark.skipif(not (REAL / "medical_abstracts.csv").exists(), reason="the real abstracts are not here")
def test_weights_are_those_of_scikit_learn_on_real_abstracts():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = pd.read_csv(REAL / "medical_abstracts.csv")["medical_abstract"].iloc[:600].to_list()
    table = fit_text(column(*texts), "medical_abstract")
    assert table.language == "en"
    peer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, stop_words=sorted(stop_words("en")))
    weights = peer.fit_transform(texts)
    assert peer.get_feature_names_out().tolist() == list(table.terms)
    ours = table.apply(column(*texts))
    assert abs(ours - weights).max() < 1e-12
    alone = [table.apply(column(text)) for text in texts[:50]]
    for place, row in enumerate(alone):
        assert row.data.tobytes() == ours[place].data.tobytes()
        assert row.indices.tolist() == ours[place].indices.tolist()


def test_boosted_trees_beside_text_tell_every_level_of_a_category_apart():
    frame = pd.DataFrame(
        {
            "ward": [f"w{number % 90:02d}" for number in range(900)],
            "note": [f"{SPANISH[number % 4]} {number % 7}" for number in range(900)],
            "sick": [int(number % 90 >= 45) for number in range(900)],
        }
    )
    schema, _ = infer_schema(frame, target="sick", types={"ward": "category", "note": "text"})
    columns, y = to_columns(frame, schema), to_labels(frame["sick"], schema)
    family = FAMILIES["hist_gradient_boosting"]
    encoding = fit_encoding(columns, schema, family.wants)
    matrix = encoding.apply(columns)
    estimator, seen = fit_estimator(family, {"max_iter": 20}, matrix, y, seed=1, categorical=encoding.categorical)[:2]
    assert estimator.max_bins == 90
    assert (ask(family, estimator, matrix, seen, 2)[1] == y).all()
    plain = fit_estimator(family, {"max_iter": 2, "max_bins": 128}, matrix, y, seed=1)[0]
    assert plain.max_bins == 128
