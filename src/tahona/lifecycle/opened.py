"""A project with its doors open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tahona.core.findings import Finding
from tahona.ports import Executor, Ledger, Orchestrator, Publisher, Source, Store
from tahona.project.model import Project


@dataclass(frozen=True, slots=True)
class OpenProject:
    """A project file and the adapters that it names."""

    project: Project
    source: Source
    store: Store
    ledger: Ledger
    executor: Executor
    orchestrator: Orchestrator
    publisher: Publisher | None = None
    """Where files for people go, if the project wants any."""
    notices: tuple[Finding, ...] = ()
    """What loading the project file had to say."""

    @property
    def folder(self) -> Path:
        """Where Tahona keeps what is its own: `.tahona` in the project's folder."""
        return self.project.root / ".tahona"


def silent(*_: object) -> None:
    """Tell nobody."""
