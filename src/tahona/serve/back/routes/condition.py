"""How the server is: `/health` and `/ready`, which the workers answer before it comes to these, and `/metrics`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from tahona.serve.back.desk import AtDesk
from tahona.serve.back.gauges import exposition

router = APIRouter(tags=["condition"])


class Health(BaseModel):
    """It is alive."""

    status: Annotated[Literal["alive"], Field(examples=["alive"])] = "alive"


class Ready(BaseModel):
    """Whether it predicts, with what, and what else does not work."""

    ready: Annotated[bool, Field(examples=[True])]
    model: Annotated[str | None, Field(examples=["hotel"])]
    version: Annotated[int | None, Field(description="The champion's number.", examples=[3])]
    troubles: Annotated[list[str], Field(description="Sentences.", examples=[["the ledger cannot be used"]])]


@router.get("/health", summary="Whether the server lives")
def health() -> Health:
    """Answer at all."""
    return Health()


@router.get("/ready", summary="Whether the server can do its work", responses={503: {"model": Ready}})
def ready(desk: AtDesk, response: Response) -> Ready:
    """Say whether there is a champion to answer with, and whether ledger, store and prediction log can be used.

    Where these are away, predictions go on: that is no reason for 503.
    """
    # the workers answer this, and ask here only whether a champion that they cannot compile is predicted with
    champion, predicts = desk.keeper.champion, desk.keeper.predicts
    response.status_code = 200 if predicts else 503
    return Ready(
        ready=predicts,
        model=champion.name if champion else None,
        version=champion.version if champion else None,
        troubles=[trouble.what for trouble in desk.troubles],
    )


@router.get(
    "/metrics",
    summary="Counters and gauges for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "tahona_champion_version 3.0\n"}}}},
)
def metrics(desk: AtDesk) -> Response:
    """Give Prometheus' text format."""
    body, kind = exposition(desk)
    return Response(body, media_type=kind)
