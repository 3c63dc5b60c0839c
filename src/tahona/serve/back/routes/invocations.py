"""`POST /invocations`: MLflow's scoring protocol, so that its clients can ask the champion as they ask MLflow's server.

The answer is what `mlflow models serve` gives for the champion's own MLflow model. `/health` is there as well; `/ping`
and `/version` of that server are not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec
from fastapi import APIRouter, Request, Response

from tahona.errors import InputError
from tahona.serve.back.answering import Asked, Record, records, request_id, write_down
from tahona.serve.back.asking import body_of, sent_as
from tahona.serve.back.csv_answers import received_table, scored_table
from tahona.serve.back.desk import AskedBy, AtDesk, Desk
from tahona.serve.back.mlflow_rows import rows_of_mlflow
from tahona.serve.back.openapi import rows_body
from tahona.serve.back.refusing import Refused
from tahona.serve.bodies import is_utf8

router = APIRouter(tags=["predicting"])

_CODES = {400: "BAD_REQUEST", 413: "RESOURCE_EXHAUSTED", 415: "BAD_REQUEST", 422: "BAD_REQUEST"}
_FRAME = {"columns": ["lead_time", "hotel"], "data": [[40, "City Hotel"]]}
_ROWS = {"type": "array", "items": {"type": "object"}}
_PARAMS = {"type": "object", "description": "Taken and not used."}


def _form(name: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "required": [name], "properties": {name: schema, "params": _PARAMS}}


_BODY = rows_body(
    [
        _form("dataframe_split", {"type": "object", "required": ["columns", "data"]}),
        _form("dataframe_records", _ROWS),
        _form("instances", _ROWS),
        _form("inputs", {"type": ["object", "array"]}),
    ],
    {
        "split": {"dataframe_split": _FRAME},
        "records": {"dataframe_records": [{"lead_time": 40, "hotel": "City Hotel"}]},
        "inputs": {"inputs": {"lead_time": [40], "hotel": ["City Hotel"]}},
    },
)
_ANSWER = {
    "description": "One record per row, in order.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["predictions"],
                "properties": {"predictions": {"type": "array", "items": {"type": "object"}}},
            },
            "example": {"predictions": [{"label": "1", "probability_0": 0.25, "probability_1": 0.75, "warnings": ""}]},
        }
    },
}


@router.post(
    "/invocations",
    summary="Predict rows, by MLflow's scoring protocol",
    response_class=Response,
    responses={200: _ANSWER},
    openapi_extra=_BODY,
)
async def invocations(request: Request, desk: AtDesk, key: AskedBy) -> Response:
    """Take `dataframe_split`, `dataframe_records`, `instances`, `inputs`, or CSV; answer `{"predictions": […]}`.

    As MLflow does, it takes NaN for null, ignores columns that the model does not know, and says 400 for whatever is
    wrong with the rows; a problem document has its `error_code` and `message` as well.
    """
    ready = await desk.reception.ready(desk.keeper, desk.opened.project.serve.limits)
    asked = Asked(ready.serving, key, request_id(request))
    try:
        rows = await _answered(request, desk, asked)
    except Refused as error:
        why = error.problem
        raise _told(why.status, why.detail, why.where, why.fix) from None
    except InputError as error:
        raise _told(400, error.what, error.where, error.fix) from None
    body = msgspec.json.encode({"predictions": rows})
    return Response(body, media_type="application/json", headers=asked.headers())


def _told(status: int, what: str, where: str, fix: str) -> Refused:
    """Return the refusal as clients of MLflow know it too."""
    status = 400 if status == 422 else status
    message = f"{where}: {what}" if where else what
    return Refused(status, what, where=where, fix=fix, more={"error_code": _CODES[status], "message": message})


async def _answered(request: Request, desk: Desk, asked: Asked) -> list[Record]:
    kind, charset = sent_as(request)
    bundle, limits = asked.serving.bundle, desk.opened.project.serve.limits
    if kind not in {"application/json", "text/csv"} or not is_utf8(charset):
        raise Refused(415, "the body is neither JSON nor CSV in UTF-8", fix="send Content-Type: application/json")
    if kind == "text/csv":
        async with received_table(request, limits.body) as file:
            return await desk.batcher.aside(partial(_table, desk, asked, file))
    body = await body_of(request, limits.body)
    rows = await asyncio.to_thread(rows_of_mlflow, body, bundle, limits)
    scored = await desk.batcher.score(bundle, rows)
    write_down(desk, asked, rows, scored)
    return records(bundle.schema.labels, scored)


def _table(desk: Desk, asked: Asked, file: Path) -> list[Record]:
    classes = asked.serving.bundle.schema.labels
    answers: list[Record] = []
    for piece in list(scored_table(desk, asked, file, "", None, [])):
        write_down(desk, asked, piece.rows, piece.scored, first=piece.first)
        answers += records(classes, piece.scored)
    return answers
