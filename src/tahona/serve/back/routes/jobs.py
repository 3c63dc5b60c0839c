"""Training: `/train`, and the jobs that come of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from tahona.serve.back.desk import AskedBy, AtDesk, Desk
from tahona.serve.back.end import End
from tahona.serve.back.events import Event, Follower, State
from tahona.serve.back.foreman import GRACE
from tahona.serve.back.jobs import Job, links
from tahona.serve.back.orders import TrainOrder, lay_over
from tahona.serve.back.refusing import Refused

router = APIRouter(tags=["training"])
HEARTBEAT = 10.0
"""Seconds of silence after which a stream says that it is still there."""
LOOK = 0.2
"""Seconds between two looks for new events."""
_TEXT = {"text/event-stream": {"schema": {"type": "string"}}}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": _TEXT},
    204: {"description": "The job has ended, and all was sent."},
}


class Accepted(BaseModel):
    """A job was queued."""

    job: Annotated[str, Field(examples=["20260101120000-9f2c61d07b"])]
    state: State
    links: Annotated[dict[str, str], Field(examples=[links("20260101120000-9f2c61d07b")])]


class JobShown(BaseModel):
    """A job and how far it has come."""

    id: Annotated[str, Field(examples=["20260101120000-9f2c61d07b"])]
    state: State
    dataset: Annotated[str, Field(examples=["9c56cc51b374c3ba"])]
    overrides: Annotated[dict[str, Any], Field(examples=[{"trials": 20}])]
    created: str
    started: str | None
    since: Annotated[str, Field(description="When it came into this state.")]
    step: Annotated[str | None, Field(examples=["train@lightgbm"])]
    progress: Annotated[float, Field(description="Share of the steps that are done.", ge=0, le=1, examples=[0.4])]
    leaderboard: Annotated[
        list[dict[str, Any]],
        Field(
            description="The families that were searched so far, the best first.",
            examples=[[{"model": "lightgbm", "metric": "roc_auc", "value": 0.93, "trials": 4}]],
        ),
    ]
    result: Annotated[
        dict[str, Any] | None,
        Field(
            description="What came of it: version, gate, champion or not, metrics, and the test file's if there is one."
        ),
    ]
    error: Annotated[dict[str, Any] | None, Field(description="Why it was refused or failed, in words.")]
    links: dict[str, str]


class JobListed(BaseModel):
    """A job in short."""

    id: Annotated[str, Field(examples=["20260101120000-9f2c61d07b"])]
    state: State
    dataset: Annotated[str, Field(examples=["9c56cc51b374c3ba"])]
    created: str
    since: Annotated[str, Field(description="When it came into this state.")]
    step: Annotated[str | None, Field(examples=["train@lightgbm"])]
    progress: Annotated[float, Field(ge=0, le=1, examples=[0.4])]
    version: Annotated[int | None, Field(description="What it registered.", examples=[4])]
    links: dict[str, str]


class AllJobs(BaseModel):
    """The jobs, the newest first."""

    jobs: list[JobListed]


@router.post("/train", summary="Train on a data set", status_code=202)
def train(order: TrainOrder, desk: AtDesk, key: AskedBy, response: Response) -> Accepted:
    """Queue a job that runs the project on the data set and registers a version; the gate decides what becomes of it.

    Everything is checked first: 404 for an unknown data set, 422 naming the field, 503 when too many jobs wait.
    """
    workshop = desk.workshop
    dataset = workshop.datasets.find(order.dataset)
    if dataset is None:
        raise Refused(
            404, "there is no such data set", where="dataset", fix="POST /upload gives ids, GET /datasets lists them"
        )
    served = workshop.served
    job = workshop.foreman.add(
        dataset=dataset.id,
        test=str(dataset.path(dataset.test).resolve()) if dataset.test else "",
        changes=order.overrides.model_dump(exclude_none=True),
        place=str(served.place.resolve()),
        env=served.env,
        overrides=lay_over(served, order.overrides, dataset),
        key=key,
    )
    response.headers["location"] = links(job.id)["self"]
    return Accepted(job=job.id, state=job.look().state, links=links(job.id))


@router.get("/jobs", summary="Every job")
def jobs(desk: AtDesk) -> AllJobs:
    """List the jobs, the newest first."""
    return AllJobs(jobs=[_listed(job.to_dict()) for job in desk.workshop.jobs.all()])


@router.get("/jobs/{id}", summary="One job")
def job(id: str, desk: AtDesk) -> JobShown:  # noqa: A002 - the name in the path
    """Say how far a job has come, and what came of it."""
    return _shown(_found(desk, id))


@router.delete("/jobs/{id}", summary="End a job")
async def cancel(id: str, desk: AtDesk) -> JobShown:  # noqa: A002
    """End a job, with its processes, and wait until it has ended. One that has ended already stays as it is."""
    found = _found(desk, id)
    await run_in_threadpool(desk.workshop.foreman.cancel, found)
    end = time.monotonic() + GRACE + 2
    while not found.look().ended and time.monotonic() < end and not desk.end.is_near():
        await asyncio.sleep(0.05)
    return _shown(found)


@router.get("/jobs/{id}/events", summary="What happens to a job", response_class=StreamingResponse, responses=_STREAM)
async def events(
    id: str,  # noqa: A002
    desk: AtDesk,
    last_event_id: Annotated[str, Header(max_length=20)] = "",
) -> Response:
    """Send what happened as server-sent events, from the one after `Last-Event-ID` on, until the job has ended.

    204 when there is nothing more to come: a browser then asks no more.
    """
    found = _found(desk, id)
    after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else 0
    follower = Follower(found.events)
    first = [event for event in follower.fresh() if event.number > after]
    if not first and found.look().ended:
        return Response(status_code=204)
    return StreamingResponse(
        _stream(found, follower, first, desk.end),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _stream(job: Job, follower: Follower, first: Sequence[Event], end: End) -> AsyncIterator[str]:
    spoke = time.monotonic()
    fresh: Sequence[Event] = first
    while not end.is_near():
        ended = job.look().ended  # asked first: what is written before the end is then read
        for event in fresh:
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.facts)}\n\n"
            spoke = time.monotonic()
        fresh = follower.fresh()
        if fresh:
            continue
        if ended:
            return
        if time.monotonic() - spoke > HEARTBEAT:
            yield ": still here\n\n"
            spoke = time.monotonic()
        await asyncio.sleep(LOOK)


def _found(desk: Desk, wanted: str) -> Job:
    found = desk.workshop.jobs.find(wanted)
    if found is None:
        raise Refused(404, "there is no such job", where="id", fix="GET /jobs lists them")
    return found


def _listed(job: Mapping[str, Any]) -> JobListed:
    result = job["result"] or {}
    return JobListed.model_validate({**job, "version": result.get("version") or None})


def _shown(found: Job) -> JobShown:
    return JobShown.model_validate(found.to_dict())
