"""The report says what the run knows, in the reader's language, and nothing that is nobody's business."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_facts import abstracts, cancer, write_figures

from tahona.core.families import FAMILY_NAMES
from tahona.core.findings import Finding
from tahona.core.schema import Column, Schema
from tahona.report.facts import ReportFacts
from tahona.report.language import Language
from tahona.report.page import build_report, leaderboard_html, write_report
from tahona.report.words import WORDS


class Page(HTMLParser):
    """The page as a reader meets it: visible text (without code), tables, headings, addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.captions: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br", "line", "circle", "rect"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "caption":
            self.captions.append("")
        elif re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data
        if "caption" in self._open:
            self.captions[-1] += data
        if "code" not in self._open and data.strip():
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def table(self, caption: str) -> list[list[str]]:
        return next(t for t, c in zip(self.tables, self.captions, strict=True) if c.startswith(caption))


def written(facts: ReportFacts, folder: Path) -> tuple[Page, str, str, str]:
    html, twin, card = (path.read_text("utf-8") for path in write_report(facts, folder))
    return Page(html), html, twin, card


def test_the_three_files_have_the_names_the_store_expects(tmp_path: Path) -> None:
    assert [path.name for path in write_report(cancer(), tmp_path / "new")] == [
        "report.html",
        "report.md",
        "model_card.md",
    ]


def test_the_class_that_matters_stands_first_everywhere(tmp_path: Path) -> None:
    page, _, twin, _ = written(cancer(), tmp_path)
    assert page.table("The classes among the test rows")[1][0] == "malignant the class that matters"
    assert page.table("Class by class")[1][0].startswith("malignant")
    confusion = page.table("True class")
    assert confusion[0] == ["True class", "said malignant", "said benign"]
    assert confusion[1:] == [["malignant", "62", "1"], ["benign", "2", "106"]]
    assert "| **malignant** (the class that matters) | 63 | 36.8\u00a0% |" in twin


def test_the_lead_gives_value_interval_baseline_and_counted_rows(tmp_path: Path) -> None:
    page, _, twin, _ = written(cancer(), tmp_path)
    for text in (page.text, twin):
        assert "(Logistic regression) reaches F1 of malignant 0.976 (95 % interval 0.954 to 0.999)." in text
        assert "reaches 0.000: the model is clearly better" in text
        assert "malignant is the true class of 63 rows; the model found 62 of them and missed 1." in text
        assert "It said malignant 64 times and was right 62 times." in text


def test_a_model_that_only_matches_the_dummy_is_not_praised(tmp_path: Path) -> None:
    facts = cancer()
    weak = {**facts.evaluation["metrics"], "f1": {"value": 0.10, "low": -0.02, "high": 0.22}}
    page, _, _, card = written(replace(facts, evaluation={**facts.evaluation, "metrics": weak}), tmp_path)
    assert "not clearly better" in page.text
    assert "clearly better." not in page.text.replace("not clearly better.", "")
    assert "not clearly better than a dummy" in card


def test_a_metric_where_less_is_better_is_compared_the_right_way_round(tmp_path: Path) -> None:
    facts = cancer()
    page, *_ = written(replace(facts, leaderboard={**facts.leaderboard, "metric": "log_loss"}), tmp_path)
    assert "Log loss 0.067" in page.text
    assert "reaches 0.658: the model is clearly better" in page.text


def test_every_family_and_its_four_kinds_of_answers_are_shown(tmp_path: Path) -> None:
    page, *_ = written(cancer(), tmp_path)
    rows = {row[0]: row[1:] for row in page.table("Right and wrong answers for malignant")[1:]}
    assert rows == {
        "Logistic regression": ["62", "1", "2", "106"],
        "Support vector machine": ["61", "2", "1", "107"],
        "Nearest neighbours": ["60", "3", "2", "106"],
        "Decision tree": ["58", "5", "2", "106"],
    }
    tested = {row[0]: row[1] for row in page.table("All models, test rows")[1:]}
    assert tested["Decision tree"].startswith("0.9431")
    board = page.table("Models by F1 of malignant")
    assert board[1][0].startswith("Logistic regression")
    assert board[-1][0].startswith("Dummy")
    assert "The whole search took 17.3 s" in page.text


def test_an_accepted_error_carries_its_reason_and_an_open_warning_stands_at_the_top(tmp_path: Path) -> None:
    page, _, twin, card = written(cancer(), tmp_path)
    audit = page.table("Findings, the gravest first")
    assert audit[1][0] == "error, accepted"
    assert audit[1][1] == "worst area"
    assert audit[1][3] == "measured before the biopsy"
    assert page.text.index("Before you trust the number") < page.text.index("What was learnt")
    assert "measured before the biopsy" in twin
    assert "Accepted (worst area)" in card


def test_it_says_what_honesty_changed(tmp_path: Path) -> None:
    page, *_ = written(cancer(), tmp_path)
    for part in (
        "compared models by F1 of malignant: that of the class that matters",
        "learnt inside each fold",
        "Tuning saw the 398 rows of training and nothing else; the 171 rows of the test part were read once",
        "left out: patient_number",
    ):
        assert part in page.text


def test_the_threshold_is_given_with_what_a_mistake_costs(tmp_path: Path) -> None:
    page, *_ = written(cancer(), tmp_path)
    assert "malignant when its probability is at least 0.417" in page.text
    assert "A false alarm costs 1 and missing a row of malignant costs 5" in page.text


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        ({}, "states no cost, so the likelier class is the answer"),
        ({"threshold": 0.4172}, "fixes this threshold"),
        ({"maximize": "f1"}, "the best F1 of malignant on the training rows"),
        ({"rule": "estimator"}, "the estimator's own rule"),
    ],
)
def test_every_rule_for_the_threshold_has_its_reason(
    tmp_path: Path, decision: dict[str, object], sentence: str
) -> None:
    project = cancer().project
    changed = project.model_copy(update={"decision": type(project.decision).model_validate(decision)})
    page, *_ = written(replace(cancer(), project=changed), tmp_path)
    assert sentence in page.text


def test_version_gate_usage_and_origin_are_there(tmp_path: Path) -> None:
    page, html, twin, _ = written(cancer(), tmp_path)
    assert "Version 3 is now the champion" in page.text
    assert "F1 is 0.9764; at least 0.9000 was asked." in page.text
    for text in (html, twin):
        assert "tahona predict INPUT.csv -o OUTPUT.csv" in text
        assert "ab" * 32 in text
        assert "20260301-101500-a1b2" in text
        assert "scikit-learn 1.9.1" in text


def test_a_version_that_was_not_promoted_is_used_by_its_number(tmp_path: Path) -> None:
    page, html, _, _ = written(abstracts(), tmp_path)
    assert "Version 2 was registered, not promoted" in page.text
    assert "--model 2" in html


def test_five_classes_keep_their_order_and_get_a_sentence(tmp_path: Path) -> None:
    page, *_ = written(abstracts(), tmp_path)
    assert [row[0] for row in page.table("The classes among")[1:]] == ["1", "2", "3", "4", "5"]
    assert "names the right class for 338 of 578 rows (58.5 %)" in page.text
    assert "(Mixture of models: Linear support vector machine, Logistic regression)" in page.text


def test_no_value_of_a_text_or_id_column_gets_in(tmp_path: Path) -> None:
    facts = abstracts()
    secret = {
        "column": "medical_abstract",
        "level": "patient Ana Pérez",
        "rows": 40,
        "metric": "f1_macro",
        "value": 0.5,
    }
    slices = [*facts.evaluation["slices"], {**secret, "low": 0.4, "high": 0.6}]
    _, *texts = written(replace(facts, evaluation={**facts.evaluation, "slices": slices}), tmp_path)
    assert not any("Pérez" in text for text in texts)
    assert all("journal" in text for text in texts)


def test_a_column_name_cannot_become_markup(tmp_path: Path) -> None:
    facts = cancer()
    evil = "<script>alert(1)</script> | a*b*"
    schema = Schema((Column(evil, "numeric"), *facts.schema.columns), "diagnosis", facts.schema.labels, "malignant")
    importance = [{"column": evil, "value": 0.5, "low": 0.4, "high": 0.6}]
    changed = replace(
        facts,
        schema=schema,
        findings=(Finding("constant", evil),),
        evaluation={**facts.evaluation, "importance": importance},
    )
    page, html, twin, card = written(changed, tmp_path)
    assert "<script" not in html
    assert not any(tag == "script" for tag, _ in page.tags)
    assert page.table("Columns, most important first")[1][0] == evil
    line = next(line for line in twin.splitlines() if "0.4000 to 0.6000" in line)
    assert len(re.split(r"(?<!\\)\|", line)) == 5
    message = next(line for line in twin.splitlines() if "has one value only" in line and line.startswith("- "))
    assert r"\<script\>" in message
    assert "\\<script\\>" in card


def test_the_page_asks_for_nothing_and_is_built_for_screen_readers(tmp_path: Path) -> None:
    facts = cancer(figures=write_figures(tmp_path / "figures", "breast_cancer"))
    page, html, _, _ = written(facts, tmp_path)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert "default-src 'none'" in html
    assert [attrs["lang"] for tag, attrs in page.tags if tag == "html"] == ["en"]
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th")
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(attrs["alt"] and str(attrs["src"]).startswith("data:image/svg+xml;base64,") for attrs in images)
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))


def test_equal_facts_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write_report(cancer("es"), tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_every_word_exists_in_both_languages_with_the_same_gaps() -> None:
    for key, (english, spanish) in WORDS.items():
        gaps = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, spanish)]
        assert english.strip(), key
        assert spanish.strip(), key
        assert gaps[0] == gaps[1], key


def test_every_word_of_the_table_is_used() -> None:
    """A key is written out in the code, or is made of a prefix that is."""
    code = "".join(path.read_text("utf-8") for path in Path(write_report.__code__.co_filename).parent.glob("*.py"))
    made = (
        "family.",
        "severity.",
        "split.",
        "calibration.",
        "kinds.",
        "figure.",
        "errors.",
        "rows.",
        "columns.",
        "honesty.",
    )
    assert [key for key in WORDS if f'"{key}"' not in code and not key.startswith(made)] == []


def test_every_family_has_a_name_for_people() -> None:
    assert [name for name in (*FAMILY_NAMES, "ensemble") if f"family.{name}" not in WORDS] == []


def pieces(sentence: str) -> list[str]:
    return [text.strip(" .,:;()") for text, *_ in string.Formatter().parse(sentence)]


@pytest.mark.parametrize("make", [cancer, abstracts])
def test_the_spanish_report_holds_no_english(tmp_path: Path, make: object) -> None:
    facts = make("es", figures=write_figures(tmp_path / "figures", "x"))  # type: ignore[operator]
    page, html, twin, card = written(facts, tmp_path)
    assert '<html lang="es">' in html
    spanish = " ".join(text for _, text in WORDS.values())
    code = re.compile(r"```.*?```|`[^`]*`|«[^»]*»", re.DOTALL)
    for text in (page.text, code.sub("", twin), code.sub("", card)):
        found = [
            piece
            for english, _ in WORDS.values()
            for piece in pieces(english)
            if len(piece) > 2 and piece not in spanish and re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", text)
        ]
        assert found == []


def test_spanish_numbers_have_a_decimal_comma_in_prose_tables_and_findings(tmp_path: Path) -> None:
    page, _, twin, _ = written(cancer("es"), tmp_path)
    assert "F1 de malignant 0,976 (intervalo del 95 %: de 0,954 a 0,999)" in page.text
    assert "(AUC 0,9912)" in page.text
    assert page.table("El modelo elegido")[1][1] == "0,9764"
    allowed = re.compile(r"`[^`]*`")
    assert re.findall(r"\d\.\d", allowed.sub("", twin)) == []


def test_numbers_keep_the_custom_of_their_language() -> None:
    english, spanish = Language("en"), Language("es")
    assert [english.count(n) for n in (999, 2888, 119390)] == ["999", "2,888", "119,390"]
    assert [spanish.count(n) for n in (999, 2888, 119390)] == ["999", "2888", "119\u202f390"]
    assert spanish.number(-1234.5, 1) == "−1234,5"
    assert [english.number(x) for x in (None, float("nan"), float("inf"))] == ["–", "–", "∞"]
    assert [spanish.plain(x) for x in (5.0, 0.25)] == ["5", "0,25"]
    assert [english.seconds(s) for s in (0.416, 12.34, 245, 7800)] == [
        "0.42\u00a0s", "12.3\u00a0s", "4\u00a0min 5\u00a0s", "2\u00a0h 10\u00a0min",
    ]  # fmt: skip
    assert spanish.percent(0.3704) == "37,0\u00a0%"


def test_a_number_that_does_not_exist_is_a_dash_not_a_crash(tmp_path: Path) -> None:
    facts = cancer()
    gone = {"value": None, "low": None, "high": None}
    metrics = {**facts.evaluation["metrics"], "f1": gone, "roc_auc": gone}
    page, *_ = written(replace(facts, evaluation={**facts.evaluation, "metrics": metrics, "dummy": {}}), tmp_path)
    assert page.table("The chosen model")[1] == ["F1 of malignant", "–", "–", "–"]
    assert "The dummy has no value for this metric" in page.text


def test_the_card_has_the_sections_of_the_paper_and_invents_nothing(tmp_path: Path) -> None:
    _, _, _, card = written(abstracts(), tmp_path)
    assert re.findall(r"^## (.+)$", card, re.MULTILINE) == [
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
        "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
    ]  # fmt: skip
    assert "the owner of the project has to state it" in card
    assert "words of the training rows can be read from it: medical_abstract" in card


def test_the_twin_holds_every_sentence_and_number_of_the_page(tmp_path: Path) -> None:
    page, _, twin, _ = written(cancer(), tmp_path)
    plain = re.sub(r"[*`\\]", "", twin)
    for table in page.tables:
        for row in table:
            assert all(cell.split("\n")[0].split(" the class")[0][:6] in plain for cell in row)
    for section in build_report(cancer()).sections:
        assert f"## {section.title}" in plain


def test_the_notebook_leaderboard_stands_alone_and_escapes() -> None:
    board = dict(cancer().leaderboard)
    html = leaderboard_html(board, "es")
    assert "Regresión logística" in html
    assert "0,9701" in html
    bare = [{"model": "<b>x</b>", "metric": "f1", "value": 0.5, "low": None, "high": None, "cpu_seconds": 1.0}]
    assert "<b>" not in leaderboard_html({"rows": bare, "chosen": ""})


@pytest.mark.parametrize(
    ("kind", "by", "english", "spanish"),
    [
        ("time", "arrival_date", "The test rows are the latest by arrival_date", "son las últimas según arrival_date"),
        ("group", "patient", "Rows with the same patient stay on one side", "Las filas con el mismo patient quedan"),
    ],
)
def test_a_split_that_is_not_random_is_explained(
    tmp_path: Path, kind: str, by: str, english: str, spanish: str
) -> None:
    for language, sentence in (("en", english), ("es", spanish)):
        facts = cancer(language)
        page, _, _, card = written(replace(facts, split={**facts.split, "kind": kind, "by": by}), tmp_path / language)
        honesty = page.text.index("What honesty changed" if language == "en" else "Qué cambió la honestidad")
        assert sentence in page.text[honesty:]
        assert sentence in card
        assert "drawn at random" not in card


def test_a_refused_first_version_does_not_speak_of_a_champion_that_stays(tmp_path: Path) -> None:
    facts = cancer()
    gate = {"passed": False, "reasons": ["F1 is only 0.8000; at least 0.9000 was asked."], "comparison": None}
    registration = {**facts.registration, "champion": False, "previous_champion": None, "version": 1, "gate": gate}
    page, *_ = written(replace(facts, registration=registration), tmp_path)
    assert "there is still no champion" in page.text
    assert "F1 is only 0.8000" in page.text


def test_a_painted_figure_stands_in_where_no_drawn_one_exists(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "roc_curve_x_.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    page, *_ = written(cancer(figures=folder), tmp_path)
    assert [str(attrs["src"]) for tag, attrs in page.tags if tag == "img"] == ["data:image/png;base64,iVBORw0KGgo="]


def test_a_mixture_costs_what_its_members_cost_and_nothing_twice(tmp_path):
    facts = abstracts()
    families = [row for row in facts.leaderboard["rows"] if row["model"] != "ensemble"]
    assert len(families) < len(facts.leaderboard["rows"])
    total = Language("en").seconds(sum(row["cpu_seconds"] for row in families))
    write_report(facts, tmp_path)
    assert f"The whole search took {total}" in (tmp_path / "report.md").read_text("utf-8")
