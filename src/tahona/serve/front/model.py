"""The champion as a worker holds it: loaded beside the one before, and exchanged at once."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.digests import digest_file
from tahona.errors import IntegrityError
from tahona.serve.champion import Champion
from tahona.serve.front.rows import Limits, Reader

if TYPE_CHECKING:
    from tahona.scorer.scorer import Scorer


@dataclass(frozen=True, slots=True)
class Compiled:
    """A bundle that a worker scores itself, what reads its rows, and how labels follow from probabilities."""

    scorer: Scorer
    reader: Reader
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The champion; ``compiled`` is None where the back predicts."""

    champion: Champion
    compiled: Compiled | None


def load_champion(champion: Champion, limits: Limits) -> Loaded:
    """Load the bundle that the champion names. Raise IntegrityError for other bytes than it was registered with."""
    if champion.slow:
        return Loaded(champion, None)
    from tahona.scorer.errors import NotCompiledError
    from tahona.scorer.load import load_scorer

    file = Path(champion.bundle)
    if digest_file(file) != champion.digest:
        raise IntegrityError(f"the bundle of version {champion.version} is damaged", where=file.name)
    try:
        scorer = load_scorer(file)
    except NotCompiledError:  # whoever wrote the champion knew of another form than we do
        return Loaded(champion, None)
    with zipfile.ZipFile(file) as archive:
        bundle = json.loads(archive.read("bundle.json"))
    ignored = [column["name"] for column in bundle["schema"]["columns"] if column["kind"] == "id"]
    told = decision(bundle["rule"], scorer.positive, bundle["threshold"])
    return Loaded(champion, Compiled(scorer, Reader(scorer.columns, ignored, limits), told))


def decision(rule: str, positive: str | None, threshold: float | None) -> dict[str, Any]:
    """Say how a label follows from the probabilities."""
    if rule == "estimator":
        return {"rule": "estimator"}
    if threshold is not None and positive is not None:
        return {"positive": positive, "threshold": threshold}
    return {"rule": "likeliest"}
