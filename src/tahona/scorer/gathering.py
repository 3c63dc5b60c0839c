"""Many rows at once: LightGBM's trees are asked about all of them together, by tables where that is quicker."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from tahona.scorer.leaf_tables import tables_for
from tahona.scorer.lightgbm import Trees
from tahona.scorer.links import expit

Steps = Callable[[Any], Generator[Any, Sequence[float], None]]
"""A row's answer in the making: it stops wherever trees are asked, takes what they say, and gives the answer last."""
BLOCK = 1_000
"""Rows that are under way at a time."""


class Gathered:
    """Rows about which the trees of one model are asked together."""

    def __init__(self, trees: Trees, width: int) -> None:
        self._trees = trees
        self.row = array("d", bytes(8 * width))
        """Where a row is written …"""
        self.rows = array("d")
        """… and what it is added to."""

    def ask(self) -> Sequence[Sequence[float]]:
        """Return what the trees say of each row; the rows are then gone."""
        matrix = np.array(self.rows).reshape(-1, len(self.row))
        del self.rows[:]
        tables = tables_for(self._trees, matrix)
        if tables is not None:
            return [(expit(margin),) for margin in tables.raw(matrix).tolist()]
        told: list[list[float]] = self._trees.predict(matrix).reshape(len(matrix), -1).tolist()
        return told


class Together:
    """Answers for many rows; it belongs to one thread at a time."""

    def __init__(self, steps: Steps, gathered: Sequence[Gathered]) -> None:
        self._steps, self._gathered = steps, gathered

    def __call__(self, rows: Sequence[Any]) -> list[Any]:
        """Return what `score` returns, for each row in order."""
        blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
        return [answer for block in blocks for answer in self._block(block)]

    def _block(self, rows: Sequence[Any]) -> list[Any]:
        for gathered in self._gathered:
            del gathered.rows[:]  # of a block in which a row could not be read
        under_way = [self._steps(row) for row in rows]
        answers = [next(each) for each in under_way]
        for gathered in self._gathered:
            told = gathered.ask()
            answers = [each.send(scores) for each, scores in zip(under_way, told, strict=True)]
        return answers
