"""The ASGI application of a worker."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from http import HTTPStatus
from time import perf_counter

from tahona.serve.access import Route
from tahona.serve.front.gate import Gate
from tahona.serve.front.journal import Journal, Predicted
from tahona.serve.front.model import Loaded
from tahona.serve.front.passing import Passage
from tahona.serve.front.predicting import JSON, Predicting, goes_to_the_back
from tahona.serve.front.settings import Settings
from tahona.serve.front.together import Together
from tahona.serve.front.visit import CLOSE, GONE, ClientGoneError, Headers, Receive, RefusedError, Scope, Send, Visit
from tahona.serve.places import Places
from tahona.serve.problems import Problem
from tahona.serve.telling import tell
from tahona.serve.troubles import is_silent, read_troubles

HEALTH, READY, PREDICT = "/health", "/ready", "/predict"
UPLOADS = frozenset({"/upload", "/validate"})
STARTING = 20.0
"""Seconds that the back may take to start."""
_ALIVE = b'{"status":"alive"}'


class Front:
    """Answers what a worker answers itself, and passes the rest on."""

    def __init__(self, settings: Settings, places: Places, journal: Journal) -> None:
        self._settings = settings
        self._places = places
        self._journal = journal
        self._prefix, self._count = secrets.token_urlsafe(9), 0
        self._in_hand = self._passed_on = 0
        self._begun = perf_counter()
        self._predicting: Predicting | None = None
        self.loaded: Loaded | None = None
        self.together = Together(self)
        self.gate = Gate(settings)
        self.passage = Passage(settings.back)
        self.why_not = "the model is being loaded"
        """Why there is no champion, as far as this worker knows."""
        self.leaving = False
        """No longer ready; what still comes is answered, and its connection closed."""

    def take_up(self, loaded: Loaded) -> None:
        """Answer by this champion from the next request on."""
        made = None if loaded.compiled is None else Predicting(loaded, loaded.compiled, self._settings)
        self.loaded, self._predicting = loaded, made

    def ready_to_predict(self) -> Predicting | None:
        """Return what predicts here, None where the back does, with too much in hand, and at the end."""
        busy = self.leaving or self._in_hand >= self._settings.concurrent
        return None if busy else self._predicting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.take(self.visit(scope, receive, send))

    def visit(self, scope: Scope, receive: Receive, send: Send) -> Visit:
        """Give a request its name."""
        self._count += 1
        return Visit(scope, f"{self._prefix}{self._count:x}", receive, send)

    async def take(self, visit: Visit, *, passed: bool = False) -> None:
        """Answer a request, which may have passed the gate before."""
        predicted = None
        try:
            predicted = await self._answer(visit, passed=passed)
        except RefusedError as error:
            await _refuse(visit, error)
        except ClientGoneError:
            visit.status = GONE
        except Exception as error:  # the border of the process: a bug is an answer too, and a line in the log
            _tell_bug(visit, error)
            if visit.status:
                raise
            await _refuse(visit, RefusedError(Problem(500, "a fault of the server; its log has more under this id")))
        finally:
            self.note(visit, predicted)

    def note(self, visit: Visit, predicted: Predicted | None) -> None:
        """Write down a request that is over."""
        visit.seconds = perf_counter() - visit.begun
        self._journal.note(visit, predicted)

    async def _answer(self, visit: Visit, *, passed: bool) -> Predicted | None:
        if self.leaving:
            visit.extra = [*visit.extra, CLOSE]
        if not passed:
            self.gate.check(visit)
        path = visit.route.path
        if path == HEALTH:
            await visit.answer(200, JSON, _ALIVE)
            return None
        if path == READY:
            await self._tell_ready(visit)
            return None
        if path == PREDICT:
            predicting = self._predicting
            if self.loaded is None:
                raise RefusedError(Problem(503, self.why_not, fix="try again in a moment", retry_after=1))
            if not goes_to_the_back(visit) and predicting is not None:
                return await self._predict(visit, predicting)
        await self._pass_on(visit)
        return None

    async def _predict(self, visit: Visit, predicting: Predicting) -> Predicted:
        if self._in_hand >= self._settings.concurrent:
            raise _too_much()
        self._in_hand += 1
        try:
            return await predicting.answer(visit)
        finally:
            self._in_hand -= 1

    async def _pass_on(self, visit: Visit) -> None:
        """Let the back answer. What waits for it is counted by itself, and takes no place from predictions."""
        if self._passed_on >= self._settings.concurrent:
            raise _too_much()
        self._passed_on += 1
        try:
            await self.passage.take(visit, self._limit(visit.route))
        finally:
            self._passed_on -= 1

    def _limit(self, route: Route) -> int:
        return self._settings.upload if route.path in UPLOADS else self._settings.body

    async def _tell_ready(self, visit: Visit) -> None:
        """Say whether predictions are answered here, and what else does not work."""
        loaded = self.loaded
        troubles = self._troubles()
        ready = loaded is not None and not self.leaving
        if loaded is None:
            troubles.insert(0, self.why_not)
        elif loaded.compiled is None and not await self.passage.leads_to_predictions():
            troubles.insert(0, "the part of the server that predicts with this champion does not do so")
            ready = False
        if self.leaving:
            troubles.insert(0, "the server is ending")
        document = {
            "ready": ready,
            "model": loaded.champion.name if loaded else None,
            "version": loaded.champion.version if loaded else None,
            "troubles": troubles,
        }
        headers: Headers = [(b"cache-control", b"no-store"), *([] if ready else [(b"retry-after", b"1")])]
        await visit.answer(200 if ready else 503, JSON, json.dumps(document).encode(), headers)

    def _troubles(self) -> list[str]:
        """Return what the back cannot do, in sentences. At its start it has said nothing yet."""
        file = self._places.troubles
        if not is_silent(file):
            return [trouble.what for trouble in read_troubles(file)]
        if perf_counter() - self._begun < STARTING:
            return []
        return ["the part of the server that follows the ledger does not answer"]


def _too_much() -> RefusedError:
    return RefusedError(Problem(503, "the server has as much in hand as it takes", retry_after=1))


def _tell_bug(visit: Visit, error: Exception) -> None:
    """Write down where an exception came from; its text may hold data, so it is left out."""
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}")
        trace = trace.tb_next
    tell("fault", id=visit.id, kind=type(error).__name__, places=places[-8:])


async def _refuse(visit: Visit, refused: RefusedError) -> None:
    """Send the problem, unless an answer has begun."""
    problem = replace(refused.problem, id=visit.id)
    if problem.status == HTTPStatus.NO_CONTENT:
        visit.status = problem.status
        start = {"type": "http.response.start", "status": 204, "headers": [*visit.extra, *refused.headers]}
        await visit.send(start)
        await visit.send({"type": "http.response.body", "body": b""})
        return
    headers = [(name.encode(), value.encode()) for name, value in problem.headers().items() if name != "content-type"]
    body = problem.body()
    await visit.answer(problem.status, b"application/problem+json", body, [*headers, *refused.headers])
