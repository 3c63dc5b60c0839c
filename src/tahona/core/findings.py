"""What Tahona noticed about the data: one row per kind of finding, in both languages of the report.

A finding is a fact with a name. The name gives its severity and its sentence; ``facts`` fill the sentence's gaps and
never hold a cell of the user's table (a category level counts as a cell only in text and id columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
Fact = str | int | float


@dataclass(frozen=True, slots=True)
class FindingKind:
    """How grave a finding is, and its sentence in English and Spanish (``str.format`` with ``column`` and the facts)."""

    severity: Severity
    en: str
    es: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed. ``column`` is empty when it concerns the whole table."""

    kind: str
    column: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    accepted: str = ""
    """The reason given in ``[audit] allow``; an accepted error no longer stops the run."""

    @property
    def severity(self) -> Severity:
        return FINDINGS[self.kind].severity

    @property
    def stops(self) -> bool:
        """Whether the run must not go on."""
        return self.severity == "error" and not self.accepted

    def message(self, language: str = "en") -> str:
        kind = FINDINGS[self.kind]
        return (kind.es if language == "es" else kind.en).format(column=self.column, **self.facts)

    def accept(self, reason: str) -> Finding:
        return replace(self, accepted=reason)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "column": self.column,
            "severity": self.severity,
            "message": self.message(),
            "facts": dict(self.facts),
            "accepted": self.accepted,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        return cls(data["kind"], data["column"], dict(data["facts"]), data["accepted"])


# One row per kind. Add a row here, raise it in the one place that sees it, and the report knows it in both languages.
FINDINGS: dict[str, FindingKind] = {
    # what the source decided for the user
    "read_as": FindingKind("info", "Read as {format}: {details}.", "Leído como {format}: {details}."),
    # what cleaning changed
    "renamed_column": FindingKind(
        "info",
        "The column name at position {position} was normalised to '{column}' ({change}).",
        "El nombre de la columna {position} se normalizó a '{column}' ({change}).",
    ),
    "all_null": FindingKind(
        "warning",
        "'{column}' has no value in any row; dropped.",
        "'{column}' no tiene valor en ninguna fila; se quita.",
    ),
    "constant": FindingKind(
        "warning", "'{column}' has one value only; dropped.", "'{column}' tiene un solo valor; se quita."
    ),
}
