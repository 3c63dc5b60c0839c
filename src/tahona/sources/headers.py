"""Column names: one written form per name, every change reported, every clash refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from tahona.core.findings import Finding
from tahona.core.schema import ROW
from tahona.errors import DataError
from tahona.sources.limits import LIMITS, Limits, check_columns

__all__ = ["normalise_headers", "shown"]

_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


def normalise_headers(
    names: Sequence[str], *, where: str, limits: Limits = LIMITS
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Return the names in NFC without surrounding blanks, blank ones as ``column_<position>``, and what was changed.

    Raises DataError where two columns end with one name, and where a limit is passed.
    """
    check_columns(len(names), where=where, limits=limits)
    clean: list[str] = []
    findings: list[Finding] = []
    for position, name in enumerate(names, start=1):
        if len(name) > limits.name_characters:
            raise DataError(
                f"the name of column {position} has {len(name):,} characters; the limit is {limits.name_characters:,}",
                where=where,
                fix="Shorten the name, or check that the first row holds the column names.",
            )
        new, changes = _normalise(name, position)
        if changes:
            findings.append(Finding("renamed_column", new, {"position": position, "change": " + ".join(changes)}))
        clean.append(new)
    _refuse_clashes(names, clean, where)
    if clean and all(_NUMBER.fullmatch(name) for name in clean):
        findings.append(Finding("numeric_header", "", {"columns": len(clean)}))
    return tuple(clean), tuple(findings)


def shown(name: str) -> str:
    """Return a column name fit for a message: quoted, printable, at most 80 characters."""
    printable = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name[:81]
    )
    return f"'{printable}'" if len(name) <= 80 else f"'{printable[:79]}…'"


def _normalise(name: str, position: int) -> tuple[str, list[str]]:
    changes: list[str] = []
    text = name
    composed = unicodedata.normalize("NFC", text)
    if composed != text:
        changes.append("NFC")
        text = composed
    joined = re.sub(r"[\r\n\t]+", " ", text.strip())
    if joined != text.strip():
        changes.append("line break")
    stripped = joined.strip().strip(_INVISIBLE).strip()
    if not stripped:
        return f"column_{position}", ["blank"]
    if stripped != joined or joined != re.sub(r"[\r\n\t]+", " ", text):
        changes.append("strip")
    return stripped, changes


def _refuse_clashes(given: Sequence[str], clean: Sequence[str], where: str) -> None:
    seen: dict[str, int] = {}
    for position, name in enumerate(clean, start=1):
        if name == ROW:
            raise DataError(
                f"the column name {shown(name)} is kept for Tahona's own row numbers",
                where=where,
                fix="Rename that column.",
            )
        first = seen.setdefault(name, position)
        if first == position:
            continue
        same = given[first - 1] == given[position - 1]
        how = "" if same else " once blanks and accents are written in one way"
        raise DataError(
            f"two columns have the name {shown(name)}{how} (positions {first} and {position})",
            where=where,
            fix="Give every column a name of its own.",
        )
