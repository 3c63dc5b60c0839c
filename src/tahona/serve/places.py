"""Where a server keeps what is its own: `.tahona/serve` in the project's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one project's server; all its processes know them by the project's folder alone."""

    root: Path
    """The project's folder."""

    @property
    def folder(self) -> Path:
        return self.root / ".tahona" / "serve"

    @property
    def champion(self) -> Path:
        """Which bundle is served: see `tahona.serve.champion`."""
        return self.folder / "champion.json"

    @property
    def troubles(self) -> Path:
        """What the back cannot do at present: see `tahona.serve.troubles`."""
        return self.folder / "troubles.json"

    @property
    def spool(self) -> Path:
        """Predictions on their way to the prediction log: see `tahona.serve.spool`."""
        return self.folder / "spool"

    @property
    def meters(self) -> Path:
        """What the workers count: see `tahona.serve.metering`."""
        return self.folder / "meters"

    @property
    def datasets(self) -> Path:
        """Uploaded tables, one folder each, by the digest of their content."""
        return self.folder / "datasets"

    @property
    def jobs(self) -> Path:
        """Training jobs, one folder each."""
        return self.folder / "jobs"

    def make(self) -> None:
        """Make the folders, for the owner's eyes alone."""
        for folder in (self.folder, self.spool, self.meters, self.datasets, self.jobs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
