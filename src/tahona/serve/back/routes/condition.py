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


class TroubleInfo(BaseModel):
    """One thing that does not work at present."""

    part: Annotated[Literal["ledger", "store", "champion", "log"], Field(examples=["ledger"])]
    what: Annotated[str, Field(examples=["the ledger cannot be used"])]
    since: Annotated[str, Field(examples=["2026-01-01T00:00:00.000+00:00"])]


class Ready(BaseModel):
    """Whether it can answer, with what, and what does not work."""

    ready: Annotated[bool, Field(examples=[True])]
    version: Annotated[int | None, Field(description="The champion's number.", examples=[3])]
    troubles: list[TroubleInfo]


@router.get("/health", summary="Whether the server lives")
def health() -> Health:
    """Answer at all."""
    return Health()


@router.get("/ready", summary="Whether the server can do its work", responses={503: {"model": Ready}})
def ready(desk: AtDesk, response: Response) -> Ready:
    """Say whether a champion is loaded, and whether ledger and store can be reached."""
    champion = desk.keeper.champion
    troubles = [TroubleInfo(part=each.part, what=each.what, since=each.since) for each in desk.troubles]
    well = champion is not None and not troubles
    response.status_code = 200 if well else 503
    return Ready(ready=well, version=champion.version if champion else None, troubles=troubles)


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
