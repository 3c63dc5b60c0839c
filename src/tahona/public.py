"""What a notebook uses: a project, its runs, its bundles."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.bundle.bundle import Bundle
from tahona.bundle.bundle import load_bundle as read_bundle
from tahona.core.plan import Plan
from tahona.errors import InputError
from tahona.lifecycle.opened import OpenProject, silent
from tahona.lifecycle.registry import find_version, open_bundle
from tahona.lifecycle.road import plan_run
from tahona.lifecycle.running import RunSummary, run_project
from tahona.steps.context import Progress
from tahona.wiring import open_project

if TYPE_CHECKING:
    import pandas as pd

PROJECT_FILE = "tahona.toml"


class Run:
    """A finished run: its leaderboard, its metrics, its report."""

    def __init__(self, summary: RunSummary, language: str) -> None:
        self.summary = summary
        self._language = language

    @property
    def id(self) -> str:
        """The run's id: equal for equal project, data and code."""
        return self.summary.run

    @property
    def report(self) -> Path:
        """The path of the HTML report."""
        assert self.summary.report is not None
        return self.summary.report

    @property
    def metrics(self) -> dict[str, float]:
        """The chosen model's metrics on the test rows."""
        return {name: interval.value for name, interval in self.summary.test.items()}

    def leaderboard(self) -> pd.DataFrame:
        """Return the leaderboard, best first, with model, metric, value, low, high and cpu_seconds."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.summary.leaderboard])

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.summary.model} version {self.summary.version}, {self.summary.family}>"

    def _repr_html_(self) -> str:
        from tahona.report.page import leaderboard_html

        board = {"rows": list(self.summary.leaderboard), "chosen": self.summary.family}
        return leaderboard_html(board, self._language)


class OpenedProject:
    """A project file, read and checked."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    @property
    def name(self) -> str:
        """The project's name, which is also its model's."""
        return self._opened.project.name

    def plan(self) -> Plan:
        """Return the steps of the run that this project, as it stands, would be."""
        return plan_run(self._opened)

    def run(self, progress: Progress = silent) -> Run:
        """Run what has no result yet, from data to registered version and report."""
        with closing(self._opened.executor):
            return Run(run_project(self._opened, progress), self._opened.project.project.language)

    def bundle(self, version: str = "champion") -> Bundle:
        """Load a registered version by number or alias."""
        return open_bundle(self._opened, find_version(self._opened, version))

    def __repr__(self) -> str:
        return f"<Project {self.name} in {self._opened.project.root}>"

    def _repr_html_(self) -> str:
        from html import escape

        steps = "".join(f"<li>{escape(step.id)}</li>" for step in self.plan())
        return f"<p>Project <b>{escape(self.name)}</b></p><ol>{steps}</ol>"


def load(place: str | Path = PROJECT_FILE, *, env: str | None = None, overrides: Sequence[str] = ()) -> OpenedProject:
    """Read a project file (or the one in a folder). Raises ProjectError with file, line and key."""
    return OpenedProject(open_project(Path(place), env=env, overrides=overrides))


def load_bundle(reference: str | Path, *, project: str | Path = ".", **options: Any) -> Bundle:  # noqa: ANN401
    """Load a bundle: ``"hotel@champion"`` or ``"hotel@3"`` from a project's registry, or the path of an exported file.

    A registered bundle's bytes are checked against the digest in the ledger first. For a file outside the registry,
    pass ``sha256=`` to have it checked.
    """
    path = Path(reference)
    if path.suffix == ".tahona":
        return _read_exported(path, **options)
    opened = open_project(Path(project), **options)
    return open_bundle(opened, find_version(opened, str(reference)))


def _read_exported(path: Path, *, sha256: str | None = None) -> Bundle:
    from tahona.digests import digest_file
    from tahona.errors import IntegrityError

    if not path.is_file():
        raise InputError("there is no such file", where=str(path), fix="tahona export model writes one")
    if sha256 is not None and digest_file(path) != sha256:
        raise IntegrityError("the file's digest is not the one that was given", where=str(path), fix="export it again")
    return read_bundle(path)
