"""Predictions for all who asked at about the same time, each step for all of them before the next.

A request that came whole in one piece, and whose rows fit at first sight, needs nothing to be waited for: no task is
made of it. What a step works with (the parser, the model's trees, the way into the kernel) stays in the processor's
caches from one request to the next. Nobody waits for others to ask: together are those whose bytes lay there already.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

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
        finally:
            for whole in waiting:
                if not whole.taken:
                    whole.begin()

    def _answer_some(self, some: list[Whole], predicting: Predicting) -> None:
        asked = [(whole, *found) for whole in some if (found := self._read(whole, predicting))]
        scored = [(whole, visit, rows, self._score(whole, visit, rows, predicting)) for whole, visit, rows in asked]
        for whole, visit, rows, scores in scored:
            if scores is not None:
                self._tell(whole, visit, rows, scores, predicting)

    def _read(self, whole: Whole, predicting: Predicting) -> tuple[Visit, list[Any]] | None:
        """Return the rows of a request that may pass, None for one that needs more than a look."""
        front = self._front
        visit = front.visit(whole.scope, whole.receive, whole.send)
        with suppress(RefusedError):
            front.gate.check(visit)
            rows = None
            with suppress(Exception):  # a refusal or a fault: its task meets it again, and tells it
                rows = None if goes_to_the_back(visit) else predicting.read(whole.body)
            if rows is not None:
                return visit, rows
            self._by_itself(whole, visit)
        return None

    def _score(self, whole: Whole, visit: Visit, rows: list[Any], predicting: Predicting) -> list[Answer] | None:
        with suppress(Exception):  # a cell that cannot be read, or a fault
            return predicting.score(rows)
        self._by_itself(whole, visit)
        return None

    def _tell(self, whole: Whole, visit: Visit, rows: list[Any], scores: list[Answer], predicting: Predicting) -> None:
        with suppress(Exception):
            document, predicted = predicting.tell(visit, rows, scores)
            whole.answer(200, visit.head(200, JSON, document), document)
        if whole.taken:
            self._front.note(visit, predicted)
        else:
            self._by_itself(whole, visit)

    def _by_itself(self, whole: Whole, visit: Visit) -> None:
        """Answer a request that has passed the gate in a task."""
        whole.begin(lambda *_: self._front.take(visit, passed=True))
