"""A search that ends in time: what is left of its seconds, and what still fits into them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from tahona.learn.families.family import Clock, Limit

_REFIT = 1.1
"""How much more a fit on all training rows may take than its rows tell."""
_MOST = 0.6
"""Share of what is left that one trial may take before anything is known."""
_PROBE = 2_000
"""Rows whose fit tells what a family costs."""


@dataclass
class Allowance:
    """Seconds that one family's search may take, its last fit included.

    ``share`` is how much of the training rows a trial's fits see together: 4.0 for five folds, .8 for one part.
    """

    clock: Clock
    seconds: float
    share: float
    parts: int
    elsewhere: float = 0.0
    """CPU seconds spent in other processes."""
    costs: list[float] = field(default_factory=list)
    """How much of the time each trial so far took."""
    pace: float = 1.0
    """Seconds of a fit for each CPU second of it: more than one by the clock of a busy machine."""
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self._now()

    def _now(self) -> float:
        return time.process_time() if self.clock == "cpu" else time.perf_counter()

    @property
    def left(self) -> float:
        spent = self._now() - self.begun
        return self.seconds - spent - (self.elsewhere if self.clock == "cpu" else 0.0)

    def tell(self, seconds: float, cpu_seconds: Sequence[float], at_once: int) -> None:
        """Note what trials took together, ``at_once`` of them at a time, and each one's CPU."""
        self.costs += [seconds / len(cpu_seconds)] * len(cpu_seconds)
        self.pace = max(1.0, seconds * at_once / max(sum(cpu_seconds), 1e-9))

    def refit(self, cpu_seconds: float) -> float:
        """Return how long the fit on all rows takes after a trial of so much CPU."""
        return cpu_seconds / self.share * _REFIT * self.pace

    def fits(self, best: float, *, short: bool) -> bool:
        """Tell whether another trial of usual length ends in time, and then the fit of the best, of so much CPU.

        Trials that may be cut ``short`` are worth half their usual time.
        """
        if not self.costs:
            return self.left > 0
        usual = sum(self.costs) / len(self.costs)
        return self.left > usual * (0.5 if short else 1.0) + self.refit(best)

    def affordable(self, cpu_seconds: Sequence[float]) -> int:
        """Return after how many trials of so much CPU the fits on all rows still end in time: one at least."""
        ends = accumulate(self.refit(each) for each in cpu_seconds)
        return max(1, sum(end <= self.left for end in ends))

    def limit(self, best: float) -> Limit:
        """Return what one of a trial's fits may take, so that the fit of the best still ends in time."""
        free = self.left - self.refit(best) if self.costs else self.left * _MOST
        return Limit(self.clock, max(0.0, free) / self.parts / (1 + _REFIT / self.share))


def rows_in_time(allowance: Allowance, fit: Callable[[int], object], rows: int, most: int | None) -> int | None:
    """Return how many rows a family may learn from so that one trial and the last fit end in time; None is all.

    ``fit(n)`` fits on n rows. What 2,000 rows cost is taken to grow with the rows.
    """
    wanted = min(rows, most or rows)
    few = min(_PROBE, wanted)
    before = allowance.left
    fit(few)
    per_row = (before - allowance.left) / few
    possible = int(allowance.left * 0.8 / (allowance.share + 1) / max(per_row, 1e-9))
    return most if possible >= wanted else max(few, possible)
