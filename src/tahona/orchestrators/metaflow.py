"""Metaflow 2: a flow with a `foreach` over the families, a join, and a card that holds the report."""

from __future__ import annotations

import getpass
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

from tahona.core.workflow import Patience, Task, Workflow
from tahona.errors import InputError
from tahona.orchestrators.outside import OutsideOrchestrator, fill, literal

_MOST_RETRIES = 4
"""Metaflow makes six attempts at most, and keeps one of them for `@catch`."""

_WIDTH = 88
"""Of the lines in the flow."""


def open_orchestrator(folder: Path, python: Path | None = None) -> MetaflowOrchestrator:
    """Open Metaflow for the project in this folder."""
    return MetaflowOrchestrator(folder, python)


class MetaflowOrchestrator(OutsideOrchestrator):
    """Runs a flow here, one process for each task; its data is in `.tahona/metaflow` unless the environment says."""

    name = "metaflow"
    file = "flow_metaflow.py"

    def text(self, workflow: Workflow) -> str:
        """Return the flow; raise InputError for more retries than Metaflow has."""
        for task in workflow:
            if task.patience.retries > _MOST_RETRIES:
                raise InputError(
                    f"Metaflow tries a task again {_MOST_RETRIES} times at most, not {task.patience.retries}",
                    where=f"run.retries of {task.name}",
                    fix=f"write retries = {_MOST_RETRIES}, or run it elsewhere",
                )
        return fill(f"{self.file}.j2", workflow, **_facts(workflow))

    def check(self, file: Path) -> None:
        """Let Metaflow's linter read the flow."""
        self.call(self.python(), file.resolve(), "--quiet", "--no-pylint", "check")

    def start(self, file: Path) -> None:
        """Run the flow; its log goes to standard error."""
        self.call(self.python(), file.resolve(), "--no-pylint", "run", shown=True)

    def surroundings(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of Metaflow's processes: data and configuration are here, no service is asked.

        What the environment says of Metaflow's data store (`METAFLOW_DEFAULT_DATASTORE`, …) holds.
        """
        ours = super().surroundings(more)
        endpoint = ours.get("AWS_ENDPOINT_URL_S3") or ours.get("AWS_ENDPOINT_URL")
        usual = {
            "METAFLOW_DEFAULT_METADATA": "local",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.home),
            "METAFLOW_HOME": str(self.home),
            "METAFLOW_USER": _user(),
            "METAFLOW_RUN_MAX_WORKERS": str(os.cpu_count() or 1),
            **({"METAFLOW_S3_ENDPOINT_URL": endpoint} if endpoint else {}),
        }
        return {**usual, **ours}


def _user() -> str:
    """Return a name that Metaflow takes: it wants one, and not root's."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # the system knows no name for this number
        name = "root"
    return "tahona" if name == "root" else name


def _facts(workflow: Workflow) -> dict[str, object]:
    """Return what the template needs besides: a chain of tasks, and where it branches and joins.

    Trains are mapped by one `foreach` when there are several; what comes next joins them, and does not branch again.
    """
    mapped = workflow.train_tasks if len(workflow.train_tasks) > 1 else ()
    chain = [task for task in workflow if task not in mapped]
    names = {task.name: re.sub(r"\W", "_", task.name) for task in chain}
    after = [names[task.name] for task in chain[1:]] + ["end"]
    facts: dict[str, object] = {"foreach_from": "", "join": ""}
    if mapped:
        join = next(task for task in chain if set(task.after) & {each.name for each in mapped})
        facts = {
            "foreach_from": chain[chain.index(join) - 1].name,
            "join": join.name,
            "families": ["+".join(task.families) for task in mapped],
            "fused": any(len(task.families) > 1 for task in mapped),
            "mapped": Task("train", (), (), _greatest(mapped)),
        }
    return {
        **facts,
        "chain": chain,
        "names": names,
        "following": dict(zip((task.name for task in chain), after, strict=True)),
        "flow": _class_name(workflow.project),
        "card": next(names[task.name] for task in chain if "report" in task.steps),
        "imports": sorted(_imports(workflow), key=lambda name: (name != "FlowSpec", name)),
        "seconds": _seconds,
        "run_steps": _run_steps,
    }


def _greatest(tasks: tuple[Task, ...]) -> Patience:
    """Return the patience that does for each of them."""
    limits = [task.patience.timeout for task in tasks]
    return Patience(
        max(task.patience.retries for task in tasks),
        max(task.patience.delay for task in tasks),
        None if None in limits else max(limit for limit in limits if limit is not None),
    )


def _imports(workflow: Workflow) -> set[str]:
    """Return the names that the flow takes from metaflow."""
    wanted = {"card", "current", "exit_hook", "step"}
    wanted |= {"retry"} if any(task.patience.retries for task in workflow) else set()
    wanted |= {"timeout"} if any(task.patience.timeout for task in workflow) else set()
    return wanted | ({"schedule"} if workflow.schedule else set())


def _seconds(task: Task) -> int:
    """Return the whole seconds of one attempt. Metaflow's clock runs while an attempt waits for its turn."""
    assert task.patience.timeout is not None
    return math.ceil(task.patience.timeout + (task.patience.delay if task.patience.retries else 0))


def _run_steps(task: Task, *steps: str) -> str:
    """Return the call that runs a task's steps, or those that these expressions give, laid out as a formatter would."""
    words = ["self.tahona_run", *(steps or map(literal, task.steps))]
    words += [f"delay={task.patience.delay:g}"] if task.patience.retries else []
    together = ", ".join(words)
    if len(f"        run_steps({together})") <= _WIDTH:
        return f"run_steps({together})"
    lines = [together] if len(f"            {together}") <= _WIDTH else [f"{word}," for word in words]
    return "\n".join(("run_steps(", *(f"            {line}" for line in lines), "        )"))


def _class_name(project: str) -> str:
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"[-_]+", project))
    return f"{name}Flow" if name[:1].isalpha() else f"Flow{name}"
