"""What a report is made of: documents of the steps, and nothing that has to be looked up while writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tahona.core.findings import Finding
from tahona.core.schema import Schema
from tahona.project.model import Project

Document = Mapping[str, Any]
"""A JSON document as it stands on disk; its shape is its writer's affair."""

_GRAVITY = ("error", "warning", "info")


@dataclass(frozen=True)
class ReportFacts:
    """Everything a report says. No field holds a cell of a text or id column.

    ``split`` has kind, by, train, test (counts of rows), folds, seed; ``data`` has rows, columns, digest and source
    (passwords masked); ``versions`` library → version; ``created`` is the date as it shall be printed;
    ``figures`` the folder with the files `<topic>_<dataset>_.svg`.
    """

    project: Project
    run: str
    created: str
    schema: Schema
    findings: Sequence[Finding]
    leaderboard: Document
    evaluation: Document
    registration: Document
    split: Document
    data: Document
    versions: Mapping[str, str] = field(default_factory=dict)
    figures: Path | None = None

    @property
    def language(self) -> str:
        return self.project.project.language

    @property
    def metric(self) -> str:
        """The metric that models were compared by."""
        return str(self.leaderboard["metric"])

    @property
    def chosen(self) -> str:
        return str(self.evaluation["chosen"])

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The class names as they are shown: with two classes the one that matters first."""
        return tuple(reversed(self.schema.labels)) if self.schema.binary else self.schema.labels

    @cached_property
    def all_findings(self) -> tuple[Finding, ...]:
        """Those given and those of the evaluation, each once, the gravest first."""
        found = [*self.findings, *(Finding.from_dict(data) for data in self.evaluation.get("findings", ()))]
        once = {(f.kind, f.column, tuple(sorted(f.facts.items()))): f for f in found}
        return tuple(sorted(once.values(), key=lambda finding: _GRAVITY.index(finding.severity)))

    @property
    def accepted(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.all_findings if finding.accepted)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What the reader has to know before the number is believed: open warnings."""
        return tuple(f for f in self.all_findings if f.severity == "warning" and not f.accepted)

    @cached_property
    def slices(self) -> tuple[Document, ...]:
        """The evaluation's slices, without those by a column whose values are nobody's business (text, id)."""
        private = {column.name for column in self.schema.of_kind("text", "id")}
        return tuple(row for row in self.evaluation.get("slices", ()) if row["column"] not in private)
