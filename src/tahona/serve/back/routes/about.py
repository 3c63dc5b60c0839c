"""What this API is: `/`, `/project-info`, and its documents."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from tahona import __version__
from tahona.core.schema import Column, Schema
from tahona.serve.back.desk import AtDesk
from tahona.serve.back.docs_page import POLICY, docs_page
from tahona.serve.back.openapi import document

router = APIRouter(tags=["about"])
LEVELS = 50
"""Values of a category that are shown."""


class About(BaseModel):
    """What answers here."""

    name: Annotated[str, Field(examples=["hotel"])]
    tahona: Annotated[str, Field(description="Version of Tahona.", examples=["0.1.0"])]
    predicts: Annotated[str, Field(description="The label's column.", examples=["is_canceled"])]
    version: Annotated[int | None, Field(description="The champion's number.", examples=[3])]
    links: Annotated[
        dict[str, str], Field(examples=[{"docs": "/docs", "openapi": "/openapi.json", "predict": "/predict"}])
    ]


class ColumnInfo(BaseModel):
    """A column of the rows to be predicted, as the training rows showed it."""

    name: Annotated[str, Field(examples=["lead_time"])]
    kind: Annotated[str, Field(description="numeric, category, text, datetime or id.", examples=["numeric"])]
    nullable: Annotated[bool, Field(examples=[False])]
    low: Annotated[float | None, Field(examples=[0.0])] = None
    high: Annotated[float | None, Field(examples=[737.0])] = None
    levels: Annotated[
        list[str], Field(description=f"The most frequent values, {LEVELS} at most.", examples=[["Online TA", "Direct"]])
    ] = []


class Served(BaseModel):
    """The champion as this server uses it."""

    version: Annotated[int, Field(examples=[3])]
    digest: Annotated[str, Field(description="sha256 of the bundle.", examples=["9c56cc51b374c3ba…"])]
    slow: Annotated[str, Field(description="Why the workers cannot answer for it themselves, if so.", examples=[""])]


class ProjectInfo(BaseModel):
    """What is predicted from what."""

    name: Annotated[str, Field(examples=["hotel"])]
    target: Annotated[str, Field(examples=["is_canceled"])]
    metric: Annotated[str, Field(description="What families are compared by.", examples=["roc_auc"])]
    labels: Annotated[list[str], Field(description="The classes, the positive one last.", examples=[["0", "1"]])]
    positive: Annotated[str | None, Field(examples=["1"])]
    champion: Served | None
    columns: Annotated[list[ColumnInfo], Field(description="What a row is made of, after its cleaning functions.")]
    raw_columns: Annotated[
        list[str], Field(description="What a row has to have when it is sent.", examples=[["hotel", "lead_time"]])
    ]


@router.get("/", summary="About this API")
def about(desk: AtDesk) -> About:
    """Say what answers here, and where to read on."""
    champion = desk.keeper.champion
    links = {"docs": "/docs", "openapi": "/openapi.json", "project": "/project-info", "models": "/models"}
    return About(
        name=desk.opened.project.name,
        tahona=__version__,
        predicts=desk.opened.project.project.target,
        version=champion.version if champion else None,
        links=links | {"predict": "/predict", "ready": "/ready", "report": "/project/report"},
    )


@router.get("/project-info", summary="What is predicted from what")
def project_info(desk: AtDesk) -> ProjectInfo:
    """Give the target, its classes, the columns of a row, and which version answers."""
    project, champion = desk.opened.project, desk.keeper.champion
    known = desk.keeper.contents() if champion else None
    schema = known.schema if known else Schema((), project.project.target, ())
    return ProjectInfo(
        name=project.name,
        target=project.project.target,
        metric=project.train.metric,
        labels=list(schema.labels),
        positive=schema.positive,
        champion=Served(version=champion.version, digest=champion.digest, slow=champion.slow) if champion else None,
        columns=[_column(column) for column in schema.features],
        raw_columns=list(known.raw_columns) if known else [],
    )


@router.get(
    "/openapi.json",
    summary="This API as an OpenAPI document",
    response_class=JSONResponse,
    responses={200: {"content": {"application/json": {"example": {"openapi": "3.1.0", "paths": {"/predict": {}}}}}}},
)
def openapi(request: Request) -> dict[str, Any]:
    """Give the document from which clients can be made."""
    return document(request.app)


@router.get(
    "/docs",
    summary="This API as a page",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"example": "<!doctype html><title>hotel: API</title>…"}}}},
)
def docs(request: Request) -> HTMLResponse:
    """Give a page to read; it needs no script and nothing from elsewhere."""
    return HTMLResponse(docs_page(document(request.app)), headers={"content-security-policy": POLICY})


def _column(column: Column) -> ColumnInfo:
    return ColumnInfo(
        name=column.name,
        kind=column.kind,
        nullable=column.nullable,
        low=column.low,
        high=column.high,
        levels=list(column.levels[:LEVELS]),
    )
