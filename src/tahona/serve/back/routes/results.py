"""What training gave: `/leaderboard` and `/project/report`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from tahona.core.records import RunRecord
from tahona.lifecycle.registry import champion
from tahona.lifecycle.results import StepResult
from tahona.serve.back.desk import AtDesk, Desk
from tahona.serve.back.refusing import Refused

router = APIRouter(tags=["results"])
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'"
"""The report is one file with its figures in it, and has no script."""


class Leaderboard(BaseModel):
    """The models of the last finished run, best first."""

    run: Annotated[str, Field(examples=["hotel-1f0c2d7a9b"])]
    finished: Annotated[str, Field(examples=["2026-01-01T00:00:00.000+00:00"])]
    chosen: Annotated[str, Field(examples=["lightgbm"])]
    rows: Annotated[
        list[dict[str, Any]],
        Field(
            description="model, metric (out of fold), value, low, high, cpu_seconds.",
            examples=[[{"model": "lightgbm", "metric": "roc_auc", "value": 0.91, "low": 0.9, "high": 0.92}]],
        ),
    ]
    test: Annotated[
        dict[str, dict[str, float | None]],
        Field(
            description="The chosen model on the test rows.",
            examples=[{"roc_auc": {"value": 0.9, "low": 0.88, "high": 0.92}}],
        ),
    ]


@router.get("/leaderboard", summary="How the models compare")
def leaderboard(desk: AtDesk) -> Leaderboard:
    """Give the last finished run's leaderboard; 404 before the first run has finished."""
    run = next((each for each in desk.opened.ledger.runs(desk.opened.project.name) if each.status == "done"), None)
    if run is None:
        raise Refused(404, "no run of this project has finished yet", fix="tahona run, or POST /train")
    return Leaderboard(
        run=run.id,
        finished=run.finished,
        chosen=run.chosen,
        rows=[_plain(dict(row)) for row in run.leaderboard],
        test={name: _plain(interval.to_dict()) for name, interval in run.test.items()},
    )


@router.get(
    "/project/report",
    summary="The champion's report",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"example": "<!doctype html><title>hotel</title>…"}}}},
)
def report(desk: AtDesk) -> HTMLResponse:
    """Give the report of the run that made the champion, as a page in one file."""
    project = desk.opened.project.name
    version = champion(desk.opened.ledger.versions(project))
    if version is None:
        raise Refused(404, "there is no champion yet", fix="tahona run, or POST /train")
    run = next((each for each in desk.opened.ledger.runs(project) if each.id == version.run), None)
    page = None if run is None else _page(desk, run)
    if page is None:
        raise Refused(404, "the report of the champion's run is not kept here", fix="tahona run makes it again")
    return HTMLResponse(page, headers={"content-security-policy": POLICY})


def _page(desk: Desk, run: RunRecord) -> bytes | None:
    """Return the report as the store keeps it under the fingerprint that the run came to."""
    fingerprint = next((step.fingerprint for step in run.steps if step.id == "report"), "")
    kept = desk.opened.store.recall(fingerprint) if fingerprint else None
    if kept is None:
        return None
    return desk.opened.store.get(StepResult.from_bytes(kept, fingerprint).outputs["report.html"]).read_bytes()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return numbers that JSON has; one that does not exist (NaN) is null."""
    return {name: None if isinstance(value, float) and value != value else value for name, value in row.items()}  # noqa: PLR0124
