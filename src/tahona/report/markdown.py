"""A document as Markdown: the same sentences and tables as the page, readable as plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tahona.report.document import Cell, Code, Document, Figures, Names, Pairs, Points, Section, Summary, Table, Text

_SPECIAL = re.compile(r"([\\`*\[\]<>|]|(?<!\w)_|_(?!\w))")


def markdown(document: Document) -> str:
    """Return the document as Markdown with tables (GitHub's dialect); figures are left to the page."""
    parts = [f"# {escape(document.heading)}", f"*{escape(document.eyebrow)}*" if document.eyebrow else ""]
    parts.append(escape(document.subtitle))
    if document.summary is not None:
        parts.extend(_summary(document.summary))
    for section in document.sections:
        parts.extend(_section(section))
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no new line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()) if "\n" in text or "\r" in text else text)


def code(text: str) -> str:
    """Return a name or a setting in backquotes, safe inside a table."""
    flat = " ".join(text.split()) if "\n" in text or "\r" in text else text
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    air = " " if longest else ""
    return f"{fence}{air}{flat}{air}{fence}".replace("|", r"\|")


def _summary(summary: Summary) -> Iterator[str]:
    baseline = f" — {escape(summary.baseline)}" if summary.baseline else ""
    yield f"**{escape(summary.label)}: {escape(summary.value)}** ({escape(summary.interval)}){baseline}"
    yield from (escape(sentence) for sentence in summary.sentences)
    yield f"**{escape(summary.status)}**"
    if summary.heed:
        yield f"**{escape(summary.heed_title)}**"
        yield "\n".join(f"- {escape(item)}" for item in summary.heed)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    for block in section.blocks:
        yield _WRITERS[type(block)](block)


def _text(block: Text) -> str:
    return escape(block.text)


def _points(block: Points) -> str:
    return "\n".join(f"- {escape(item)}" for item in block.items)


def _pairs(block: Pairs) -> str:
    lines = (
        f"- **{escape(pair.term)}:** {code(pair.text) if pair.code else escape(pair.text)}" for pair in block.items
    )
    return "\n".join(lines)


def _code(block: Code) -> str:
    return f"```\n{block.text}\n```"


def _names(block: Names) -> str:
    return ", ".join(code(name) for name in block.items) + (f" {escape(block.rest)}" if block.rest else "")


def _figures(block: Figures) -> str:
    return "\n".join(f"- {escape(figure.text)}" for figure in block.items)


def _table(block: Table) -> str:
    right = set(block.numbers)
    head = " | ".join(escape(text) for text in block.head)
    rule = " | ".join("---:" if i in right else "---" for i in range(len(block.head)))
    rows = "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in block.rows)
    return f"*{escape(block.caption)}*\n\n| {head} |\n| {rule} |\n{rows}"


def _cell(cell: Cell) -> str:
    text = code(cell.text) if cell.code and cell.text else escape(cell.text)
    text = f"**{text}**" if cell.strong and text and not cell.code else text
    return f"{text} ({escape(cell.note)})" if cell.note else text


_WRITERS: dict[type, Callable[[Any], str]] = {
    Text: _text,
    Points: _points,
    Pairs: _pairs,
    Code: _code,
    Names: _names,
    Figures: _figures,
    Table: _table,
}
