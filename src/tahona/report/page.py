"""Write a run's report: one HTML page that stands alone, its Markdown twin, and a model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.report import results, story
from tahona.report.card import build_card
from tahona.report.document import Document, Figure, Section
from tahona.report.facts import ReportFacts
from tahona.report.language import Language
from tahona.report.markdown import markdown
from tahona.report.summary import build_summary

if TYPE_CHECKING:
    import jinja2

_MEDIA = {".svg": "image/svg+xml", ".png": "image/png"}


def write_report(facts: ReportFacts, folder: Path) -> tuple[Path, ...]:
    """Write `report.html`, `report.md` and `model_card.md` into the folder; equal facts give equal bytes."""
    document = build_report(facts)
    texts = {
        "report.html": render_page(document),
        "report.md": markdown(document),
        "model_card.md": markdown(build_card(facts)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8", newline="\n")
    return tuple(folder / name for name in texts)


def build_report(facts: ReportFacts) -> Document:
    """Return the report without a form; sections that have nothing to say are left out."""
    say = Language(facts.language)
    sections: tuple[Section | None, ...] = (
        story.task_section(facts, say),
        results.test_section(facts, say),
        story.decision_section(facts, say),
        story.audit_section(facts, say),
        story.honesty_section(facts, say),
        results.leaderboard_section(facts, say),
        results.candidates_section(facts, say),
        results.classes_section(facts, say),
        results.slices_section(facts, say),
        results.importance_section(facts, say),
        results.curves_section(facts, say),
        story.version_section(facts, say),
        story.usage_section(facts, say),
        story.origin_section(facts, say),
    )
    columns = say.many("columns", len(facts.schema.columns))
    return Document(
        language=say.code,
        title=say("title", project=facts.project.name),
        heading=facts.project.name,
        subtitle=say("subtitle", target=facts.schema.target, columns=columns),
        eyebrow=say("eyebrow", run=facts.run),
        contents=say("contents"),
        summary=build_summary(facts, say),
        sections=tuple(section for section in sections if section is not None),
    )


def render_page(document: Document) -> str:
    """Return the document as one HTML page that asks for nothing from anywhere."""
    return _environment().get_template("page.html.j2").render(document=document)


def leaderboard_html(leaderboard: Mapping[str, Any], language: str = "en") -> str:
    """Return the leaderboard as a piece of HTML for a notebook; its style touches nothing else on the page."""
    say = Language(language)
    metric = str(leaderboard.get("metric") or leaderboard["rows"][0]["metric"])
    table = results.leaderboard_table(leaderboard, say, say.metric(metric))
    return _environment().get_template("leaderboard.html.j2").render(table=table, language=say.code)


def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tahona.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = data_uri
    environment.tests["kind"] = _is_kind
    return environment


def data_uri(figure: Figure) -> str:
    """Return a figure's bytes as an address that needs no file beside the page."""
    import base64

    data = base64.b64encode(figure.file.read_bytes()).decode("ascii")
    return f"data:{_MEDIA[figure.file.suffix]};base64,{data}"


def _is_kind(block: object, name: str) -> bool:
    return type(block).__name__ == name
