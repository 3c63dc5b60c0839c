"""How much of a time budget each search may have: what is left by then, by what its family usually costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tahona.core.plan import Plan, Step
    from tahona.learn.families.family import Limit
    from tahona.lifecycle.results import StepResult
    from tahona.ports import Store
    from tahona.project.model import Project

_START = 1.5
"""Seconds in which the program starts and ends."""
_AFTER = 3.0
"""How long the steps after the searches take, as a multiple of those before."""
_LEAST = 0.5
"""Seconds that a search has even when the budget is spent: it then tries one configuration on few rows."""


def allot(project: Project, plan: Plan, step: Step, results: Mapping[str, StepResult], store: Store) -> Limit | None:
    """Return the limit of this search; None for other steps, and where the project has no time budget.

    Searches that have no result yet share what the budget leaves them.
    """
    if step.station != "train" or project.train.limit is None:
        return None
    from tahona.learn.families import FAMILIES
    from tahona.learn.families.family import Limit

    clock, seconds = project.train.limit
    before = sum(_spent(result, clock, store) for name, result in results.items() if name in plan[step.id].after)
    searched = sum(_spent(result, clock, store) for name, result in results.items() if name.startswith("train@"))
    waiting = [other.family for other in plan if other.station == "train" and other.id not in results]
    left = seconds - _START - before * (1 + _AFTER) - searched
    share = FAMILIES[step.family].cost / sum(FAMILIES[family].cost for family in waiting)
    return Limit(clock, max(_LEAST, left * share))


def _spent(result: StepResult, clock: str, store: Store) -> float:
    """Return what the step took. A search counts the CPU of its workers itself."""
    if "timing.json" in result.outputs:
        timing = json.loads(store.get(result.outputs["timing.json"]).read_bytes())
        return float(timing["cpu_seconds" if clock == "cpu" else "seconds"])
    return result.cpu_seconds if clock == "cpu" else result.seconds
