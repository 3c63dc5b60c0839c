"""Predictions for all who asked at about the same time, each step for all of them before the next.

A request that came whole in one piece, and whose rows fit at first sight, needs nothing to be waited for: no task is
made of it. What a step works with (the parser, the model's trees, the way into the kernel) stays in the processor's
caches from one request to the next. Nobody waits for others to ask: together are those whose bytes lay there already.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tahona.errors import DataError
from tahona.serve.front.predicting import JSON, Predicting, goes_to_the_back
from tahona.serve.front.protocol import Whole
from tahona.serve.front.visit import RefusedError, Visit

if TYPE_CHECKING:
    from tahona.scorer.scorer import Answer
    from tahona.serve.front.app import Front

MOST = 16
"""Requests that are answered together: with more, the first would wait long for the last."""


class Together:
    """Where whole requests go first. What is not answered here goes its usual way, in a task of its own."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._waiting: list[Whole] = []

    def __call__(self, whole: Whole) -> None:
        """Take a request for predictions; it is answered, or begun, as soon as all bytes that are there were read."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        self._waiting.append(whole)

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        predicting = self._front.ready_to_predict()
        try:
            if predicting is not None:
                for start in range(0, len(waiting), MOST):
                    self._answer_some(waiting[start : start + MOST], predicting)
        finally:  # whatever happened: a fault is that of one request, whose task meets it again
            for whole in waiting:
                if not whole.taken:
                    whole.begin()

    def _answer_some(self, some: list[Whole], predicting: Predicting) -> None:
        asked = [found for whole in some if (found := self._read(whole, predicting))]
        scored = [(*each, scores) for each in asked if (scores := _score(each[2], predicting))]
        for whole, visit, rows, scores in scored:
            document, predicted = predicting.tell(visit, rows, scores)
            whole.answer(200, visit.head(200, JSON, document), document)
            self._front.note(visit, predicted)

    def _read(self, whole: Whole, predicting: Predicting) -> tuple[Whole, Visit, list[Any]] | None:
        """Return the rows of a request that may pass, None for one that needs more than a look."""
        front = self._front
        visit = front.visit(whole.scope, whole.receive, whole.send)
        try:
            front.gate.check(visit)
            whole.app = lambda *_: front.take(visit, passed=True)
            rows = None if goes_to_the_back(visit) else predicting.read(whole.body)
        except RefusedError:  # its task meets it again, and tells it
            return None
        return None if rows is None else (whole, visit, rows)


def _score(rows: list[Any], predicting: Predicting) -> list[Answer] | None:
    """Return what the model says, None where there is a cell that it cannot read."""
    try:
        return predicting.score(rows)
    except DataError:  # likewise
        return None
