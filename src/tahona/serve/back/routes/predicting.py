"""`POST /predict` as the back answers it: CSV, explanations, and champions that the workers cannot compile."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from tahona.serve.back.answering import Asked, Document, answer, explained, request_id, write_down
from tahona.serve.back.asking import body_of, rows_of, sent_as
from tahona.serve.back.csv_answers import answered_table, pieces_of, received_table
from tahona.serve.back.desk import AskedBy, AtDesk, Desk
from tahona.serve.back.openapi import rows_body
from tahona.serve.back.refusing import Refused
from tahona.serve.bodies import is_utf8
from tahona.serve.front.rows import Reader

router = APIRouter(tags=["predicting"])

MOST_EXPLAINED = 20
"""Rows of a request that is explained: SHAP values of a large booster take half a second each."""
READ_AS = "tahona-read-as"
"""Header of an answer in CSV: encoding, separator and decimal mark of the table as it was read."""

_ROW = {"lead_time": 40, "hotel": "City Hotel"}
_CELL = {"type": ["number", "string", "boolean", "null"]}
_OBJECT = {"type": "object", "description": "Column → value.", "additionalProperties": _CELL}
_ROWS = {"type": "array", "minItems": 1, "items": _OBJECT}
_BODY = rows_body(
    [{"type": "object", "required": ["rows"], "properties": {"rows": _ROWS}}, _ROWS, _OBJECT],
    {"rows": {"rows": [_ROW]}, "list": [_ROW], "one row": _ROW},
)
_PREDICTION = {
    "type": "object",
    "required": ["id", "label", "probabilities", "warnings"],
    "properties": {
        "id": {"type": ["string", "null"], "description": "For POST /feedback; null for a row that was dropped."},
        "label": {"type": ["string", "null"]},
        "probabilities": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "explanation": {
            "type": "object",
            "description": "With explain=true: base + the contributions = score, the model's own before calibration.",
            "properties": {
                "of": {"type": "string", "description": "The class that the score speaks for."},
                "units": {"enum": ["log-odds", "logit", "margin", "probability"]},
                "base": {"type": "number"},
                "score": {"type": "number"},
                "contributions": {"type": "object", "additionalProperties": {"type": "number"}},
            },
        },
    },
}
_ANSWER = {
    "description": "One answer per row, in order.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["model", "version", "decision", "predictions"],
                "properties": {
                    "model": {"type": "string"},
                    "version": {"type": "integer"},
                    "decision": {"type": "object", "description": "How labels follow from probabilities."},
                    "predictions": {"type": "array", "items": _PREDICTION},
                },
            },
            "example": {
                "model": "hotel",
                "version": 3,
                "decision": {"positive": "1", "threshold": 0.5},
                "predictions": [{"id": "x1-0", "label": "1", "probabilities": {"0": 0.25, "1": 0.75}, "warnings": []}],
            },
        },
        "text/csv": {
            "schema": {"type": "string"},
            "example": "row,label,probability_0,probability_1,version,warnings,prediction_id\n0,1,0.25,0.75,3,,x1-0\n",
        },
    },
}


@router.post(
    "/predict",
    summary="Predict rows",
    response_class=Response,
    responses={200: _ANSWER},
    openapi_extra=_BODY,
)
async def predict(
    request: Request,
    desk: AtDesk,
    key: AskedBy,
    explain: Annotated[bool, Query(description="Say what each column adds to each row's score (JSON only).")] = False,
    row_id: Annotated[
        str | None,
        Query(alias="id", max_length=1_000, description="CSV: the column that names a row; else its number, from 0."),
    ] = None,
) -> Response:
    """Take JSON (`{"rows": […]}`, a list, or one row) or CSV, and answer in the same form.

    Every raw column has to be there, null where nothing is known; a column that the model does not know is ignored and
    named in a warning. Rows are all answered by one version, or none is.
    """
    kind, charset = sent_as(request)
    limits = desk.opened.project.serve.limits
    ready = await desk.reception.ready(desk.keeper, limits)
    bundle, asked = ready.serving.bundle, Asked(ready.serving, key, request_id(request))
    if kind == "text/csv":
        if explain:
            raise Refused(422, "explanations are for rows in JSON", where="explain", fix="send the rows as JSON")
        return await _table(request, desk, asked, ready.reader, charset, row_id)
    if kind != "application/json" or not is_utf8(charset):
        raise Refused(415, "the body is neither JSON nor CSV in UTF-8", fix="send Content-Type: application/json")
    sent = await rows_of(await body_of(request, limits.body), ready.reader)
    told: list[Document | None] = []
    if explain:
        if len(sent.rows) > MOST_EXPLAINED:
            raise Refused(
                413, f"more than {MOST_EXPLAINED} rows are not explained at a time", more={"limit": MOST_EXPLAINED}
            )
        scored, told = await desk.batcher.aside(partial(explained, bundle, sent.rows))
    else:
        scored = await desk.batcher.score(bundle, sent.rows)
    ids = write_down(desk, asked, sent.rows, scored)
    body = answer(asked, scored, ids, sent.warning, told)
    return Response(body, media_type="application/json", headers=asked.headers())


async def _table(
    request: Request, desk: Desk, asked: Asked, reader: Reader, charset: str, row_id: str | None
) -> Response:
    async with received_table(request, desk.opened.project.serve.limits.body) as file:
        output, told = await desk.batcher.aside(partial(answered_table, desk, asked, reader, file, charset, row_id))
    read = next((str(finding.facts["details"]) for finding in told if finding.kind == "read_as"), "")
    headers = {READ_AS: read, **asked.headers()}
    return StreamingResponse(pieces_of(output), media_type="text/csv; charset=utf-8", headers=headers)
