"""One step after another, in this process."""

from __future__ import annotations

from collections.abc import Callable

from tahona.core.plan import Plan


class LocalOrchestrator:
    """Walks a plan in its own order, which never puts a step before one that it waits for."""

    def walk(self, plan: Plan, run_step: Callable[[str], object]) -> None:
        """Run every step, the first failure ends the walk."""
        for step in plan:
            run_step(step.id)
