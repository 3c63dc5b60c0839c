"""The tasks of a run, as the project file wants them, and a look at the store and the ledger before they begin."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tahona.core.plan import Plan
from tahona.core.workflow import Patience, Task, Workflow, make_workflow
from tahona.digests import digest_bytes
from tahona.errors import SetupError
from tahona.lifecycle.opened import OpenProject
from tahona.project.functions import load_functions
from tahona.project.imports import project_modules
from tahona.project.load import FILE_NAME
from tahona.project.model import RunPart, StepRunPart, seconds_of


def lay_workflow(opened: OpenProject, plan: Plan, options: Sequence[str] = ()) -> Workflow:
    """Lay the plan into tasks with the retries, the time and the schedule of `[run]`."""
    part = opened.project.run
    workflow = make_workflow(
        opened.project.name,
        plan,
        fuse=part.fuse,
        patience={"": _patience(part, StepRunPart())}
        | {name: _patience(part, own) for name, own in part.steps.items()},
        schedule=part.schedule,
        options=options,
    )
    tasks = tuple(replace(task, files=_files(opened, task)) for task in workflow)
    file = opened.project.file.name
    return replace(workflow, tasks=tasks, file="" if file == FILE_NAME else file)


def lay_steps(opened: OpenProject, plan: Plan, step_ids: Sequence[str]) -> Workflow:
    """Lay just these steps into one task each, in this order, with the retries and the time that each is given."""
    part = opened.project.run
    own = {step_id: part.steps.get(step_id.partition("@")[0], StepRunPart()) for step_id in step_ids}
    tasks = (Task(step_id, (step_id,), (), _patience(part, each)) for step_id, each in own.items())
    return Workflow(opened.project.name, plan.run, tuple(tasks))


def _files(opened: OpenProject, task: Task) -> tuple[str, ...]:
    """Name the files of this machine that the task's steps read, from the project's folder where they lie in it."""
    root, stations = opened.project.root, {step.partition("@")[0] for step in task.steps}
    files: set[Path] = set()
    if "ingest" in stations:
        source = opened.project.data.source.removeprefix("sqlite:///").partition("?")[0]
        files |= {root / source} if "://" not in source and (root / source).is_file() else set()
    if "clean" in stations:
        for function in load_functions(opened.project):
            files |= set(project_modules(root, function.module).values())
    named = (each.relative_to(root) if each.is_relative_to(root) else each for each in files)
    return tuple(sorted(each.as_posix() for each in named))


def _patience(part: RunPart, own: StepRunPart) -> Patience:
    timeout = own.timeout or part.timeout
    return Patience(
        retries=part.retries if own.retries is None else own.retries,
        delay=seconds_of(own.retry_delay or part.retry_delay),
        timeout=None if timeout is None else seconds_of(timeout),
    )


def preflight(opened: OpenProject, workflow: Workflow) -> Iterator[str]:
    """Put a few bytes into the store and read them back, ask the ledger, and say what every boundary passes through.

    Raise SetupError where the store does not give back what it was given: nothing has run by then.
    """
    proof = b"tahona pre-flight\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proof"
        file.write_bytes(proof)
        digest = opened.store.put(file)
    if digest != digest_bytes(proof) or opened.store.get(digest).read_bytes() != proof:
        raise SetupError("the artefact store does not give back what it was given", where="stores.artifacts")
    opened.ledger.runs(opened.project.name)
    place = opened.project.mask(opened.project.stores.artifacts)
    between = sum(len(task.after) for task in workflow)
    yield f"pre-flight: {len(workflow.tasks)} tasks; all {between} boundaries between them are stored in {place}"
    if "://" not in place:
        yield "pre-flight: that folder is on this machine; tasks on other machines need a store such as s3://bucket/prefix"
