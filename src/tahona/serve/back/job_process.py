"""A job as a process: `python -m tahona.serve.back.job_process FOLDER`, started by the foreman.

It runs the served project on the ordered data set and notes what happens. Steps that were finished before are not run
again. Whoever ends it (SIGTERM) says why; it says itself how it ended otherwise.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.errors import RefusedError, TahonaError
from tahona.serve.back.jobs import Job, Order, held, read_order

if TYPE_CHECKING:
    from types import FrameType

    from tahona.lifecycle.opened import OpenProject
    from tahona.lifecycle.road import Road

SELDOM = 0.2
"""Seconds between two trials that are told of: there may be thousands."""
TAKEN = 75
"""Exit code when another process has the job, or had it and is done."""


def main(folder: Path) -> int:
    """Do the job and return the exit code."""
    signal.signal(signal.SIGTERM, _end)
    os.nice(10)
    job = Job(folder, read_order(folder))
    with held(job.lock) as mine:
        if not mine or job.look().ended:
            return TAKEN
        job.tell("state", state="running")
        words = _Words(job.order.place)
        try:
            result = words.plain(_work(job, words))
        except TahonaError as error:
            state = "refused" if isinstance(error, RefusedError) else "failed"
            summary = _summed(error.document) or None
            job.tell("state", state=state, error=words.plain(_said(error)), result=words.plain(summary))
            return error.exit_code
        except KeyboardInterrupt:
            return 128 + signal.SIGTERM
        except Exception:
            job.tell("state", state="failed", error={"what": "a fault in Tahona; the server has the job's log"})
            raise
        job.tell("state", state="done", result=result)
    return 0


@dataclass(slots=True)
class _Words:
    """Makes texts fit for clients: without the project's secrets, and without the names of this machine's folders."""

    place: str
    mask: Callable[[str], str] = str

    def plain(self, value: Any) -> Any:  # noqa: ANN401 - plain data
        if isinstance(value, Mapping):
            return {name: self.plain(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item) for item in value]
        return self.mask(value).replace(f"{self.place}/", "") if isinstance(value, str) else value


def _end(_: int, __: FrameType | None) -> None:
    """Stop as Ctrl-C stops a run: what is finished is kept, and the run counts as interrupted."""
    raise KeyboardInterrupt


def _work(job: Job, words: _Words) -> Mapping[str, Any]:
    from tahona.lifecycle.road import Road, plan_run
    from tahona.lifecycle.running import run_project
    from tahona.wiring import open_project

    order = job.order
    opened = open_project(Path(order.place), env=order.env, overrides=order.overrides)
    words.mask = opened.project.mask
    plan = plan_run(opened)
    road = Road(opened, plan)
    job.tell("plan", run=plan.run, steps=[step.id for step in plan])

    told = 0.0

    def progress(event: str, facts: Mapping[str, Any]) -> None:
        nonlocal told
        if event == "trial":
            if time.monotonic() - told < SELDOM:
                return
            told = time.monotonic()
        job.tell(event, **facts)
        if event == "step" and facts["state"] in {"done", "cached"} and facts["step"].startswith("train@"):
            job.tell("family", **_searched(road, facts["step"]))

    result = _summed(run_project(opened, progress).to_dict())
    return {**result, "test_file": _judged(opened, order, result["version"])} if order.test else result


def _searched(road: Road, step: str) -> dict[str, Any]:
    """Return a family's row of the leaderboard so far: its best trial."""
    from tahona.core.metrics import METRICS
    from tahona.lifecycle.running import document

    found = document(road, step, "search.json")
    metric = found["metric"]
    values = [trial["value"] for trial in found["trials"] if trial["state"] == "done" and trial["value"] is not None]
    best = max(values, key=lambda value: METRICS[metric].sign * value)
    return {"model": found["family"], "metric": metric, "value": best, "trials": len(found["trials"])}


def _summed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a run's summary a client is told."""
    told = ("run", "status", "model", "family", "version", "champion", "gate", "test", "leaderboard", "findings")
    return {name: document[name] for name in told if name in document}


def _judged(opened: OpenProject, order: Order, version: int) -> Mapping[str, Any]:
    """Measure the new version on the test file; what is wrong with that file does not undo the version."""
    from tahona.lifecycle.registry import find_version, open_bundle
    from tahona.serve.back.measuring import measure_file

    try:
        bundle = open_bundle(opened, find_version(opened, str(version)))
        return measure_file(opened.project, bundle, Path(order.test), where="test")
    except TahonaError as error:
        return {"error": _said(error)}


def _said(error: TahonaError) -> dict[str, str]:
    return {"what": error.what, "where": error.where, "fix": error.fix}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
