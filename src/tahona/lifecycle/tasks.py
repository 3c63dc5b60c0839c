"""The tasks of a run, as the project file wants them, and a look at the store and the ledger before they begin."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tahona.core.plan import Plan
from tahona.core.workflow import Patience, Workflow, make_workflow
from tahona.digests import digest_bytes
from tahona.errors import SetupError
from tahona.lifecycle.opened import OpenProject
from tahona.project.model import RunPart, StepRunPart, seconds_of


def lay_workflow(opened: OpenProject, plan: Plan, options: Sequence[str] = ()) -> Workflow:
    """Lay the plan into tasks with the retries, the time and the schedule of `[run]`."""
    part = opened.project.run
    return make_workflow(
        opened.project.name,
        plan,
        fuse=part.fuse,
        patience={"": _patience(part, StepRunPart())}
        | {name: _patience(part, own) for name, own in part.steps.items()},
        schedule=part.schedule,
        options=options,
    )


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
