"""What becomes of an exception: a problem document for the client, and a line in the log where it is our fault."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tahona.errors import InputError, IntegrityError, RefusedError, SetupError, TahonaError
from tahona.serve.back.refusing import LONGEST, Refused
from tahona.serve.problems import Problem
from tahona.serve.telling import tell

SOON = 2
"""Seconds after which a client may try again what needs a server that is away."""
FRAMES = 8
_SHOWN = 5
_WORDS = {
    "missing": "this is missing",
    "extra_forbidden": "there is no such field",
    "too_long": "there are too many",
    "too_short": "there are too few",
}
_PHRASES = {400: "the body cannot be read", 404: "there is nothing here", 405: "not with this method"}


def install(app: FastAPI) -> None:
    """Let every exception of a route become a problem document."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(TahonaError)(_tahona)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_unknown)


def answer(request: Request, problem: Problem) -> Response:
    """Return the problem document as an answer."""
    problem = _under_id(request, problem)
    return Response(problem.body(), problem.status, headers=problem.headers())


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return answer(request, error.problem)


async def _tahona(request: Request, error: Exception) -> Response:
    assert isinstance(error, TahonaError)
    if isinstance(error, InputError | RefusedError):
        status = 422 if isinstance(error, InputError) else 409
        return answer(request, Refused.by(error, status).problem)
    if isinstance(error, SetupError):
        problem = Problem(503, "something that this needs is away at present", retry_after=SOON)
    else:
        what = "stored bytes are not the ones that were written" if isinstance(error, IntegrityError) else "a fault"
        problem = Problem(500, f"{what}; the server's log has more under this id")
    problem = _under_id(request, problem)
    mask = request.app.state.desk.troubles.mask
    tell("error", id=problem.id, kind=type(error).__name__, why=mask(str(error)))
    return answer(request, problem)


async def _invalid(request: Request, error: Exception) -> Response:
    """Say where the request is not what the OpenAPI document says, and never what stood there."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        return answer(request, Problem(400, "the body is not valid JSON"))
    said = [f"{_place(each)}: {_WORDS.get(each['type'], each['msg'])}" for each in errors[:_SHOWN]]
    more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    detail = "; ".join(said)[:LONGEST] + more
    return answer(request, Problem(422, detail, where=_place(errors[0]), fix="/docs says what is expected"))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = _PHRASES.get(error.status_code, "this cannot be answered")
    response = answer(request, Problem(error.status_code, detail))
    response.headers.update(error.headers or {})  # Allow, with 405
    return response


async def _unknown(request: Request, error: Exception) -> Response:
    """Tell the log what happened where; not the exception's own words, in which a cell may stand."""
    problem = _under_id(request, Problem(500, "a fault of the server; its log has more under this id"))
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < _SHOWN:
        chain.append(f"{type(cause).__name__}\n{''.join(traceback.format_tb(cause.__traceback__, -FRAMES))}")
        cause = cause.__cause__ or cause.__context__
    tell("fault", id=problem.id, trace=chain)
    return answer(request, problem)


def _under_id(request: Request, problem: Problem) -> Problem:
    """Give the problem the request's id, so that the workers' log has the same one."""
    asked = request.headers.get("x-tahona-request")
    return replace(problem, id=asked) if asked else problem


def _place(error: Mapping[str, Any]) -> str:
    """Return the field's place; the name of a field that nobody expects is the client's own text."""
    steps = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
    return ".".join(str(step)[:40] for step in steps)
