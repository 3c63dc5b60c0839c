"""Speaking: tables and sentences to people, one JSON document to programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


WIDE = 200
"""Columns, where nobody's terminal says how many: a file or a pipe breaks no line."""


def out() -> Console:
    """Return the console on standard output."""
    return _console(sys.stdout)


def err() -> Console:
    """Return the console on standard error."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    terminal = stream.isatty()
    return Console(file=stream, highlight=False, soft_wrap=not terminal, width=None if terminal else WIDE)


def print_json(data: object) -> None:
    """Print one JSON document and nothing else."""
    print(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table that fits the terminal; numbers stand to the right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [[_cell(value) for value in row] for row in rows]
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(_is_number(row[index]) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(_escape(text) for text in row))
    out().print(table)


def quiet() -> bool:
    """Tell whether progress would only be noise: in CI, or when nobody watches."""
    return bool(os.environ.get("CI")) or not sys.stderr.isatty()


def number(value: float | None, digits: int = 4) -> str:
    """Write a metric as the field does: four digits."""
    return "–" if value is None else f"{value:.{digits}f}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    return not text or text == "–" or text.replace(".", "", 1).replace("-", "", 1).replace(" ", "").isdigit()


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
