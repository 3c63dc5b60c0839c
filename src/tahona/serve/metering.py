"""What a worker counts, and how others learn of it: a small file per worker, written once a second.

The back adds the files up for `/metrics`. They stay when a worker ends, so that no count ever goes down while the
server runs; the server's next start begins anew.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tahona.files import write_whole
from tahona.owners import tag

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets of seconds; there is one more for what took longer."""


@dataclass(slots=True)
class Timings:
    """How often, and how long."""

    count: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """Requests per bucket, not added up."""

    def take(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def add(self, other: Timings) -> None:
        self.count += other.count
        self.seconds += other.seconds
        self.buckets = [ours + theirs for ours, theirs in zip(self.buckets, other.buckets, strict=True)]


@dataclass(slots=True)
class Meters:
    """Counts since the server started."""

    requests: dict[tuple[str, str, int], Timings] = field(default_factory=dict)
    """By method, route (as `tahona.serve.access` writes it) and status."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows that were predicted, by the version's number."""
    warnings: Counter[str] = field(default_factory=Counter)
    """Rows that carried this warning: which column had an unseen category, or a value outside the training range."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        timings = self.requests.get((method, route, status))
        if timings is None:
            timings = self.requests[method, route, status] = Timings()
        timings.take(seconds)

    def write(self, folder: Path) -> None:
        """Let the others know."""
        folder.mkdir(mode=0o700, exist_ok=True)
        document = {
            "requests": [
                [*key, timings.count, timings.seconds, timings.buckets] for key, timings in self.requests.items()
            ],
            "rows": self.rows,
            "warnings": self.warnings,
        }
        write_whole(folder / f"{tag()}.json", json.dumps(document, ensure_ascii=False))


def read_meters(folder: Path) -> Meters:
    """Return what all workers counted, those that ended too."""
    total = Meters()
    for file in sorted(folder.glob("*.json")):
        document = json.loads(file.read_text("utf-8"))
        for method, route, status, count, seconds, buckets in document["requests"]:
            total.requests.setdefault((method, route, status), Timings()).add(Timings(count, seconds, buckets))
        total.rows.update(_counts(document["rows"]))
        total.warnings.update(_counts(document["warnings"]))
    return total


def _counts(document: Mapping[str, int]) -> Mapping[str, int]:
    return {str(name): int(count) for name, count in document.items()}
