"""The FastAPI app of the back: one table of routers, one OpenAPI document."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from tahona import __version__
from tahona.serve.back import refusals
from tahona.serve.back.desk import Desk
from tahona.serve.back.openapi import REFUSALS
from tahona.serve.back.routes import (
    about,
    condition,
    datasets,
    feedback,
    invocations,
    jobs,
    models,
    predicting,
    results,
    validating,
)

ROUTERS: tuple[APIRouter, ...] = (
    about.router,
    condition.router,
    models.router,
    results.router,
    predicting.router,
    invocations.router,
    validating.router,
    feedback.router,
    datasets.router,
    jobs.router,
)


def make_app(desk: Desk) -> FastAPI:
    """Return the app with every route on it; `/docs` and `/openapi.json` are routes of our own."""
    app = FastAPI(
        title=desk.opened.project.name,
        summary="A model trained by Tahona, served.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses=REFUSALS,
    )
    app.state.desk = desk
    refusals.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
