"""Tables to learn from: `/upload` and `/datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from tahona.clock import now
from tahona.errors import DataError
from tahona.room import is_full
from tahona.serve.back.datasets import Dataset, TableFile, dataset_id
from tahona.serve.back.desk import AtDesk
from tahona.serve.back.examining import extension
from tahona.serve.back.openapi import form_body
from tahona.serve.back.receiving import FILES, Received, receive
from tahona.serve.back.refusing import Refused
from tahona.serve.back.workshop import Workshop

router = APIRouter(tags=["training"])

_FORM = form_body(
    ["train"],
    {
        "train": {
            "type": "string",
            "format": "binary",
            "description": "The table to learn from: CSV, Parquet, JSON, JSON Lines or Excel.",
        },
        "test": {
            "type": "string",
            "format": "binary",
            "description": "A table by which the new version is judged besides.",
        },
        "target": {
            "type": "string",
            "maxLength": 1000,
            "description": "The column that holds the label; the project's when absent.",
        },
    },
)


class StoredFile(BaseModel):
    """One file of a data set."""

    name: Annotated[str, Field(description="As the client called it.", examples=["patients.csv"])]
    bytes: Annotated[int, Field(examples=[124538])]
    sha256: Annotated[str, Field(examples=["9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"])]


class DatasetShown(BaseModel):
    """A data set."""

    id: Annotated[str, Field(description="From the content of its files.", examples=["9c56cc51b374c3ba"])]
    files: Annotated[dict[str, StoredFile], Field(description="`train`, and perhaps `test`.")]
    rows: Annotated[int, Field(examples=[500])]
    test_rows: Annotated[int | None, Field(examples=[69])]
    columns: Annotated[int, Field(examples=[31])]
    bytes: Annotated[int, Field(examples=[124538])]
    when: Annotated[str, Field(examples=["2026-01-01T00:00:00.000+00:00"])]


class Shelf(BaseModel):
    """What was uploaded, the newest first."""

    datasets: list[DatasetShown]


class Noticed(BaseModel):
    """One thing noticed about a table."""

    kind: Annotated[str, Field(examples=["leak"])]
    column: Annotated[str, Field(examples=["reservation_status"])]
    severity: Annotated[str, Field(examples=["error"])]
    message: Annotated[
        str, Field(examples=["'reservation_status' alone tells the classes apart (AUC 1.0): it gives the label away."])
    ]


class ColumnShown(BaseModel):
    """A column as training would read it."""

    name: Annotated[str, Field(examples=["lead_time"])]
    kind: Annotated[str, Field(description="numeric, category, text, datetime or id.", examples=["numeric"])]
    nullable: bool
    low: float | None
    high: float | None
    levels: Annotated[int, Field(description="How many categories there are, up to 1,000.")]
    most_frequent: list[str]


class SchemaFound(BaseModel):
    """What the table is made of."""

    target: Annotated[str | None, Field(description="The label; null when the table has no such column.")]
    labels: list[str]
    positive: str | None
    columns: list[ColumnShown]
    columns_in_all: int


class Stop(BaseModel):
    """Why training would stop."""

    what: str
    where: str
    fix: str


class FirstAudit(BaseModel):
    """What would make the numbers untrue, as far as a first look shows."""

    rows: Annotated[int, Field(description="How many rows were looked at.")]
    findings: list[Noticed]
    stops: Annotated[Stop | None, Field(description="Why training would stop; null when it would not.")]


class TestFits(BaseModel):
    """Whether the second file can be judged by what learns from the first."""

    fits: bool
    rows: int
    reading: list[Noticed]
    missing_columns: list[str]
    extra_columns: list[str]
    differing_columns: list[dict[str, Any]]
    unseen_levels: list[dict[str, Any]]
    outside_range: list[dict[str, Any]]
    label: dict[str, Any]


class Uploaded(DatasetShown):
    """A data set, and what was seen in it."""

    known: Annotated[bool, Field(description="Whether the same files had come before.", examples=[False])]
    reading: Annotated[list[Noticed], Field(description="What was decided while it was read.")]
    table: Annotated[SchemaFound, Field(description="The columns that were found.")]
    findings: Annotated[list[Noticed], Field(description="What was decided about columns and label.")]
    audit: FirstAudit | None
    test: TestFits | None
    links: Annotated[dict[str, str], Field(examples=[{"train": "/train"}])]


@router.get("/datasets", summary="What was uploaded")
def datasets(desk: AtDesk) -> Shelf:
    """List the data sets, the newest first."""
    found = desk.workshop.datasets.all()
    return Shelf(datasets=[DatasetShown.model_validate(each.to_dict()) for each in found])


@router.post(
    "/upload",
    summary="Bring a table to learn from",
    status_code=201,
    openapi_extra=_FORM,
    responses={200: {"model": Uploaded, "description": "The same files had come before."}},
)
async def upload(request: Request, response: Response, desk: AtDesk) -> Uploaded:
    """Take the files, look at them, and keep them. The same files again are the same data set (200 then)."""
    workshop = desk.workshop
    try:
        async with receive(request, desk.opened.project.serve.limits.upload) as received:
            uploaded = await _kept(received, workshop)
    except OSError as error:
        if not is_full(error):
            raise
        raise Refused(503, "there is no room for the upload", fix="send it again later", retry_after=60) from None
    response.status_code = 200 if uploaded.known else 201
    return uploaded


async def _kept(received: Received, workshop: Workshop) -> Uploaded:
    with workshop.datasets.draft() as draft:
        files = await run_in_threadpool(_written, received, draft)
        identity = dataset_id({part: file.sha256 for part, file in files.items()})
        known = workshop.datasets.find(identity)
        paths = {part: draft / file.file for part, file in files.items()}
        seen = await workshop.examining.examine(paths["train"], paths.get("test"), received.fields.get("target"))
        if known is None:
            fresh = Dataset(
                identity,
                files["train"],
                files.get("test"),
                rows=seen["rows"],
                test_rows=seen["test"]["rows"] if seen["test"] else None,
                columns=tuple(seen["column_names"]),
                when=now(),
            )
            kept = workshop.datasets.keep(draft, fresh)
    return _shown(known or kept, seen, known=known is not None)


def _written(received: Received, draft: Path) -> Mapping[str, TableFile]:
    """Write the files; nothing that a client says becomes part of a path."""
    written = {}
    for part in FILES:
        file = received.files.get(part)
        if file is None:
            continue
        place = draft / part
        digest = file.write(place)
        try:
            named = f"{part}.{extension(place, where=part)}"
        except DataError as error:
            raise Refused.by(error, 415) from None
        place.rename(draft / named)
        written[part] = TableFile(file.name, file.size, digest, named)
    return written


def _shown(dataset: Dataset, seen: Mapping[str, Any], *, known: bool) -> Uploaded:
    return Uploaded.model_validate(
        {
            **dataset.to_dict(),
            "known": known,
            "reading": seen["reading"],
            "table": seen["schema"],
            "findings": seen["findings"],
            "audit": seen["audit"],
            "test": seen["test"],
            "links": {"train": "/train", "datasets": "/datasets"},
        }
    )
