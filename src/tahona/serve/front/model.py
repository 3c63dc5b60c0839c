"""The champion as a worker holds it: loaded beside the one before, and exchanged at once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tahona.digests import digest_file
from tahona.errors import IntegrityError
from tahona.serve.champion import Champion
from tahona.serve.front.rows import Column, Limits, Reader


class Scorer(Protocol):
    """What `tahona.scorer` makes of a bundle."""

    @property
    def columns(self) -> Sequence[Column]: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def positive(self) -> str | None: ...
    @property
    def threshold(self) -> float | None: ...

    def score(self, row: Any) -> tuple[int, Sequence[float], Sequence[str]]:  # noqa: ANN401
        """Return the class code, the probability of every class, and the warnings of one row."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A bundle that a worker scores itself, and what reads its rows."""

    scorer: Scorer
    reader: Reader


@dataclass(frozen=True, slots=True)
class Loaded:
    """The champion; ``compiled`` is None where the back predicts."""

    champion: Champion
    compiled: Compiled | None


def load_champion(champion: Champion, limits: Limits) -> Loaded:
    """Load the bundle that the champion names. Raise IntegrityError for other bytes than it was registered with."""
    if champion.slow:
        return Loaded(champion, None)
    from tahona.scorer import load_scorer

    file = Path(champion.bundle)
    if digest_file(file) != champion.digest:
        raise IntegrityError(f"the bundle of version {champion.version} is damaged", where=file.name)
    scorer = load_scorer(file)
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("bundle.json"))["schema"]
    ignored = [column["name"] for column in schema["columns"] if column["kind"] == "id"]
    return Loaded(champion, Compiled(scorer, Reader(scorer.columns, ignored, limits)))
