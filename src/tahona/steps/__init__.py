"""The nine stations of the road, one file each, in the order of `tahona.core.plan.ROAD`.

Each file has

* ``NEEDS``: the files of earlier steps whose bytes its result depends on (station → file patterns);
* ``SEES``: files it may read besides, which do not make it run again (times, for the report);
* ``LIBRARIES``: distributions whose versions change its result;
* ``settings(project, step)``: what of the project file it reads;
* ``run(context, inputs)``: writes results as files into ``context.scratch``; returns a refusal or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from tahona.core.plan import Step
    from tahona.errors import RefusedError
    from tahona.project.model import Project
    from tahona.steps.context import Inputs, StepContext


class Station(Protocol):
    """What a step's file offers."""

    NEEDS: Mapping[str, tuple[str, ...]]
    SEES: Mapping[str, tuple[str, ...]]
    LIBRARIES: tuple[str, ...]

    def settings(self, project: Project, step: Step) -> dict[str, Any]: ...

    def run(self, context: StepContext, inputs: Inputs) -> RefusedError | None: ...


def station(name: str) -> Station:
    """Import the file of a station."""
    from importlib import import_module

    return cast("Station", import_module(f"tahona.steps.{name}"))
