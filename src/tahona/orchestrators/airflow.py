"""Airflow 3: a DAG of Bash tasks, one of them mapped over the families, and `dag.test()` to run it here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from tahona.core.workflow import Patience, Workflow
from tahona.errors import InputError
from tahona.lifecycle.environments import locked
from tahona.orchestrators.outside import OutsideOrchestrator, fill

_READ = """
import sys
from airflow.dag_processing.dagbag import DagBag

read = DagBag(sys.argv[1])
if read.import_errors or not read.dags:
    sys.exit("".join(read.import_errors.values()) or "Airflow finds no DAG in it")
"""
"""Airflow's own reading of a file: it ends with 1 after saying on standard error what is wrong."""
_TEST = f"""{_READ}
(dag,) = read.dags.values()
sys.exit(0 if dag.test().state == "success" else 1)
"""
"""Airflow's own way to run a DAG without a server."""

_LOUD = "airflow.task.hooks"
"""The logger that repeats what the commands of Bash tasks print."""


def open_orchestrator(folder: Path, python: Path | None = None) -> AirflowOrchestrator:
    """Open Airflow for the project in this folder."""
    return AirflowOrchestrator(folder, python)


class AirflowOrchestrator(OutsideOrchestrator):
    """Runs a DAG in one process of Airflow, without a server; its database is in `.tahona/airflow`."""

    name = "airflow"
    file = "dag_airflow.py"

    def text(self, workflow: Workflow) -> str:
        """Return the DAG; raise InputError for an option that Airflow would take for a template of its own."""
        for word in workflow.options:
            if re.search(r"\{[{%#]", word):
                raise InputError(
                    f"Airflow would read '{word}' as a template", where="--set", fix="write it into tahona.toml"
                )
        return fill(f"{self.file}.j2", workflow, **_facts(workflow))

    def check(self, file: Path) -> None:
        """Let Airflow read the DAG as its dag-processor does."""
        self.call(self.python(), "-c", _READ, file.resolve())

    def start(self, file: Path) -> None:
        """Run the DAG to its end by `dag.test()`; one at a time, for its database is one file."""
        with locked(self.home / "lock"):
            self.call(self.python(), "-m", "airflow", "db", "migrate")
            self.call(self.python(), "-c", _TEST, file.resolve(), shown=True)

    def surroundings(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of Airflow's processes: nothing of another Airflow on this machine is touched."""
        ours = {name: value for name, value in super().surroundings(more).items() if not name.startswith("AIRFLOW_")}
        settings = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_FOLDER": str(self.home),
            "USAGE_DATA_COLLECTION__ENABLED": "False",
            "LOGGING__LOGGING_LEVEL": "ERROR",
            "LOGGING__NAMESPACE_LEVELS": f"{_LOUD}=INFO",
            "LOGGING__LOG_FORMAT": "%(message)s",
        }
        return {**ours, "AIRFLOW_HOME": str(self.home), **{f"AIRFLOW__{key}": value for key, value in settings.items()}}


def _facts(workflow: Workflow) -> dict[str, object]:
    """Return what the template needs besides: names, the mapped tasks, each one's patience, and who waits for whom."""
    mapped = [task for task in workflow.train_tasks if len(task.steps) == 1]
    names = {task.name: "train" if task in mapped else re.sub(r"\W", "_", task.name) for task in workflow}
    singles = {names[task.name]: task for task in workflow if task not in mapped}
    usual = Counter(task.patience for task in workflow).most_common(1)[0][0]
    own = {task.name: [f"{key}={value}" for key, value in _patience(task.patience, usual).items()] for task in workflow}
    before_mapped = workflow.tasks[workflow.tasks.index(mapped[0]) - 1] if mapped else None
    return {
        "mapped": mapped,
        "mapped_after": names[before_mapped.name] if before_mapped else "",
        "singles": singles,
        "usual": _patience(usual),
        "own": own,
        "timed": any("timedelta" in word for word in [*_patience(usual).values(), *chain.from_iterable(own.values())]),
        "chains": _chains(workflow, names),
    }


def _chains(workflow: Workflow, names: Mapping[str, str]) -> list[list[str]]:
    """Return rows of names in which each waits for the one before it; names in brackets are several."""
    chains = [["plan()"]]
    for name, after in {names[task.name]: task.after for task in workflow}.items():
        before = list(dict.fromkeys(names[each] for each in after))
        last = f"[{', '.join(before)}]" if len(before) > 1 else (before or ["plan()"])[0]
        row = next((row for row in chains if row[-1] == last), None)
        if row is None:
            row = [last]
            chains.append(row)
        row.append(name)
    return chains


def _patience(patience: Patience, usual: Patience | None = None) -> dict[str, str]:
    """Return the patience in Airflow's words; where the usual one is given, only what differs from it."""
    words = {"retries": repr(patience.retries)}
    if patience.retries:
        words["retry_delay"] = f"timedelta(seconds={patience.delay:g})"
    if patience.timeout or (usual and usual.timeout):
        words["execution_timeout"] = f"timedelta(seconds={patience.timeout:g})" if patience.timeout else "None"
    known = {} if usual is None else _patience(usual)
    return {name: word for name, word in words.items() if known.get(name) != word}
