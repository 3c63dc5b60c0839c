"""What every route finds on the desk: the project, the champion, the prediction log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from tahona.lifecycle.opened import OpenProject
from tahona.ports import PredictionLog
from tahona.serve.back.batching import Batcher
from tahona.serve.back.draining import Drainer
from tahona.serve.back.end import End
from tahona.serve.back.keeper import Keeper
from tahona.serve.back.reception import Reception
from tahona.serve.back.tally import Tally
from tahona.serve.back.workshop import Workshop
from tahona.serve.places import Places
from tahona.serve.spool import Spool
from tahona.serve.troubles import Troubles


@dataclass(frozen=True, slots=True)
class Desk:
    """The back's own things; there is one, made when the process starts."""

    opened: OpenProject
    places: Places
    troubles: Troubles
    keeper: Keeper
    log: PredictionLog
    drainer: Drainer
    spool: Spool
    """For what the back itself predicts; it is flushed by the drainer's thread."""
    workshop: Workshop
    """Data sets and training jobs."""
    tally: Tally
    """Counts what the back itself predicts."""
    end: End
    """What a route that streams asks, so that it does not hold the process."""
    batcher: Batcher = field(default_factory=Batcher)
    """Scores what the workers cannot."""
    reception: Reception = field(default_factory=Reception)
    """Knows the champion as requests ask it."""


async def _desk(request: Request) -> Desk:  # a plain function would be called in a thread
    return cast("Desk", request.app.state.desk)


async def _key(request: Request) -> str:
    return request.headers.get("x-tahona-key", "")


AtDesk = Annotated[Desk, Depends(_desk)]
"""A route's argument that is the desk."""
AskedBy = Annotated[str, Depends(_key)]
"""A route's argument that is the id of the client's key, empty without one. The workers alone send it."""
