"""Which trial need not be tried on its last folds: one that is clearly behind the best on the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, sqrt
from statistics import mean, median, stdev

_RIVALS = 3
"""Whole trials that must be known before any is dropped."""
_SIGMAS = 2.0


class Race:
    """The whole trials so far, by their values on the folds, and what they tell of a trial under way.

    Two trials differ by about as much on every fold; how much that difference itself varies from fold to fold is taken
    from the trials that ran on all of them (the median over the trials, each against the best). A trial has lost when
    it is behind the best, on the folds it has seen, by more than two standard errors of such a difference.
    """

    def __init__(self, rivals: Sequence[Sequence[float]], sign: int) -> None:
        self.sign = sign
        known = [values for values in rivals if not any(map(isnan, values))]
        self.on = len(known) >= _RIVALS and len(known[0]) > 1
        if self.on:
            self.best = max(known, key=lambda values: sign * mean(values))
            others = [values for values in known if values is not self.best]
            self.noise = median(stdev(a - b for a, b in zip(values, self.best, strict=True)) for values in others)

    def lost(self, values: Sequence[float]) -> bool:
        """Tell whether a trial with these values on the first folds need not go on."""
        if not self.on or not values or any(map(isnan, values)):
            return False
        return self.sign * self._behind(values) > _SIGMAS * self.noise / sqrt(len(values))

    def expected(self, values: Sequence[float]) -> float:
        """Return the mean over all folds that a trial with these values on the first of them lets expect."""
        return mean(self.best) - self._behind(values)

    def _behind(self, values: Sequence[float]) -> float:
        return mean(best - value for best, value in zip(self.best, values, strict=False))
