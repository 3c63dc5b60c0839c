"""What a step is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.plan import Step
from tahona.ports import Executor, Ledger, Source, Store
from tahona.project.model import Project

if TYPE_CHECKING:
    from tahona.learn.families.family import Limit

Inputs = Mapping[str, Mapping[str, Path]]
"""Step id → file name → local file: the results of every step named in ``after``."""

Progress = Callable[[str, Mapping[str, Any]], None]
"""Told of events as they happen: ``progress("trial", {"family": …, "number": …, "value": …})``."""


@dataclass(frozen=True, slots=True)
class StepContext:
    """One step's working place. Every file left in ``scratch`` becomes a result, by its name there."""

    project: Project
    run: str
    step: Step
    scratch: Path
    notes: Path
    """A folder that outlives an interrupted step (an Optuna study); no other step may read it."""
    source: Source
    store: Store
    ledger: Ledger
    executor: Executor
    progress: Progress
    limit: Limit | None = None
    """How long this step's search may take, where the project has a time budget."""

    def output(self, name: str) -> Path:
        """Return where to write the result called ``name``; its folder exists."""
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
