"""Prefect 3: a file with two flows, run in a process of its own; a server is used where PREFECT_API_URL names one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tahona.core.workflow import Workflow
from tahona.orchestrators.outside import OutsideOrchestrator, fill

_CHECK = """
import sys
from prefect.flows import load_flow_from_entrypoint
for name in ("compare_models_flow", "train_model_flow"):
    flow = load_flow_from_entrypoint(f"{sys.argv[1]}:{name}", use_placeholder_flow=False)
    schedule = flow.fn.__globals__["SCHEDULE"]
    if schedule:
        from prefect.client.schemas.schedules import CronSchedule
        CronSchedule(cron=schedule, timezone="UTC")
"""
"""Lets Prefect load both flows, their parameters and the schedule."""


def open_orchestrator(folder: Path, python: Path | None = None) -> PrefectOrchestrator:
    """Open the orchestrator that runs Prefect in the project's folder."""
    return PrefectOrchestrator(folder, python)


class PrefectOrchestrator(OutsideOrchestrator):
    """Runs `compare_models_flow` with the API that Prefect starts for one process, or with a server's."""

    name = "prefect"
    file = "prefect_flows.py"

    def text(self, workflow: Workflow) -> str:
        """Return the file with both flows."""
        tasks = {
            task.name: (
                list(task.steps),
                list(task.after),
                task.patience.retries,
                task.patience.delay,
                task.patience.timeout,
            )
            for task in workflow
        }
        models = [family for task in workflow for family in task.families if family != "dummy"]
        return fill(f"{self.file}.j2", workflow, tasks=tasks, models=models or ["dummy"])

    def check(self, file: Path) -> None:
        """Let Prefect load the flows and read the schedule."""
        self.call(self.python(), "-c", _CHECK, file.resolve())

    def start(self, file: Path) -> None:
        """Run the flow over the whole project."""
        self.call(self.python(), file)

    def surroundings(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of its processes: its database and logs are the project's, and nobody is told."""
        return super().surroundings(
            {
                "PREFECT_HOME": str(self.home),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "1",
                **more,
            }
        )
