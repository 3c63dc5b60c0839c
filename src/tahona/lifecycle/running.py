"""Run a project: walk the plan, keep the ledger, lay out the reports, and say what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tahona.clock import now
from tahona.core.findings import Finding
from tahona.core.records import Interval, RunRecord, RunStatus, StepRecord, TrialRecord, Version
from tahona.core.workflow import Workflow
from tahona.errors import InputError, RefusedError, SetupError, TahonaError
from tahona.files import write_whole
from tahona.lifecycle.environments import locked
from tahona.lifecycle.notifying import notify_failure
from tahona.lifecycle.opened import OpenProject, silent
from tahona.lifecycle.presence import Presence, at_work, is_interrupted
from tahona.lifecycle.road import DECIDING, Road, plan_run
from tahona.lifecycle.tasks import lay_steps, lay_workflow, preflight
from tahona.ports import Gallery
from tahona.room import room_in
from tahona.steps.context import Progress

REPORTS = ("report.html", "report.md", "model_card.md")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run gave: the document of `tahona run --json`."""

    run: str
    status: RunStatus
    steps: tuple[StepRecord, ...]
    leaderboard: tuple[Mapping[str, Any], ...] = ()
    test: Mapping[str, Interval] = field(default_factory=dict)
    candidates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    model: str = ""
    family: str = ""
    version: int = 0
    champion: bool = False
    gate: Mapping[str, Any] = field(default_factory=dict)
    report: Path | None = None
    published: str = ""

    @property
    def nothing_to_do(self) -> bool:
        """Whether every step had its result already."""
        return all(step.state == "cached" for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "status": self.status,
            "nothing_to_do": self.nothing_to_do,
            "steps": [
                {"id": step.id, "state": step.state, "seconds": step.seconds, "cpu_seconds": step.cpu_seconds}
                for step in self.steps
            ],
            "leaderboard": [dict(row) for row in self.leaderboard],
            "test": {name: interval.to_dict() for name, interval in self.test.items()},
            "candidates": {name: dict(metrics) for name, metrics in self.candidates.items()},
            "findings": [finding.to_dict() for finding in self.findings],
            "model": self.model,
            "family": self.family,
            "version": self.version,
            "champion": self.champion,
            "gate": dict(self.gate),
            "report": None if self.report is None else str(self.report),
            "published": self.published or None,
        }


def run_project(
    opened: OpenProject,
    progress: Progress = silent,
    *,
    options: Sequence[str] = (),
    tell: Callable[[str], None] = silent,
) -> RunSummary:
    """Take the project from its source to a registered version and a report; finished steps are not run again.

    ``options`` are the words of the command line that choose the project's overlays: an orchestrator's tasks need them
    too. ``tell`` hears the pre-flight. Raises what a step raises, after the ledger and whoever is to be notified were
    told; the error's ``document`` holds the summary so far. A refusal (audit) leaves a run with status "refused".
    """
    plan = plan_run(opened)
    road = Road(opened, plan, progress)
    known = _known(road)
    if known is not None and known.status == "done" and _all_stored(road):
        for step in plan:
            road.run_step(step.id)
        return _finish(road)
    workflow = lay_workflow(opened, plan, options)
    with at_work(opened.folder, plan.run) as presence:
        for line in preflight(opened, workflow):
            tell(line)
        return _walked(road, workflow, presence)


def _walked(road: Road, workflow: Workflow, presence: Presence) -> RunSummary:
    opened, plan = road.opened, road.plan
    stored = {step.id for step in plan if road.result(step.id) is not None}
    try:
        with _kept(road, presence):
            try:
                opened.orchestrator.walk(workflow, road.run_step)
            except SetupError as error:
                raise road.failure() or error from error  # what went wrong in a step says more than how it ended
            road.adopt(stored)
        return _finish(road)
    except TahonaError as error:
        notify_failure(opened, plan.run, error)
        raise


def run_task(
    opened: OpenProject,
    step_ids: Sequence[str],
    run_id: str | None = None,
    progress: Progress = silent,
    *,
    patient: bool = False,
) -> Road:
    """Run these steps of a run one after another, and keep the ledger: all that an orchestrator's task does.

    ``patient``: try again, end in time and tell of a failure as `[run]` says, for an orchestrator that does not.
    Returns the road, which has their records and results. Raises InputError if the project is another run by now.
    """
    plan = plan_run(opened)
    if run_id is not None and run_id != plan.run:
        error = InputError(
            f"the project is now run '{plan.run}', not '{run_id}': project file, data or code changed since",
            where="--run",
            fix="plan again (tahona plan), or bring back what changed (tahona why STEP)",
        )
        Road(opened, plan).note_failure(step_ids[0], error, run_id)
        raise error
    road = Road(opened, plan, progress)
    try:
        with at_work(opened.folder, plan.run) as presence, _kept(road, presence):
            if patient:
                opened.orchestrator.walk(lay_steps(opened, plan, step_ids), road.run_step)
            else:
                for step_id in step_ids:
                    road.run_step(step_id)
        if _all_stored(road):
            _publish(road)
    except TahonaError as error:
        if patient:
            notify_failure(opened, plan.run, error)
        raise
    return road


def _finish(road: Road) -> RunSummary:
    """Lay out the reports and what the project publishes; a failure of the latter is told with the whole summary."""
    summary = summarise(road, "done")
    try:
        return replace(summary, published=_publish(road))
    except TahonaError as error:
        error.document = summary.to_dict()
        raise


def _publish(road: Road) -> str:
    if road.opened.publisher is None:
        return ""
    from tahona.lifecycle.publishing import publish_run

    return publish_run(road)


@contextmanager
def _kept(road: Road, presence: Presence) -> Iterator[None]:
    """Keep the run's record in the ledger: that it goes on, how it failed, that it is done once all steps are.

    What the ledger could not be told is left to the mark of this process, which then stays.
    """
    ledger, records = road.opened.ledger, road.opened.ledger.runs(road.opened.project.name)
    known = next((record for record in records if record.id == road.plan.run), None)
    started = known.started if known is not None else _now_after(record.started for record in records)
    road.came_to = presence.came_to
    if known is None or (known.status != "running" and not _all_stored(road)):
        ledger.save_run(_record(road, "running", started))
    try:
        with room_in(road.opened.folder):
            yield
    except RefusedError as error:
        _keep_end(road, presence, "refused", started, str(error))
        error.document = summarise(road, "refused").to_dict()
        raise
    except TahonaError as error:
        _keep_end(road, presence, "failed", started, str(error))
        error.document = RunSummary(road.plan.run, "failed", _steps(road)).to_dict()
        raise
    except Exception as error:
        _keep_end(road, presence, "failed", started, f"a bug in Tahona: {type(error).__name__}")
        raise
    done = _all_stored(road)
    if done and (known is None or known.status != "done"):
        record = _record(road, "done", started)
        if isinstance(ledger, Gallery):
            ledger.show_run(record, _trials(road), road.files("report"))
        ledger.save_run(record)
    presence.leave(done=done)


def _keep_end(road: Road, presence: Presence, status: RunStatus, started: str, error: str) -> None:
    """Tell the ledger how the run ended. If it cannot be told now, what ended the run is still what counts."""
    with suppress(TahonaError):
        road.opened.ledger.save_run(_record(road, status, started, error))
        presence.leave()


def _now_after(times: Iterable[str]) -> str:
    """Return the time, or a moment after the latest of these: a clock that was set back changes no order."""
    latest = max(times, default="")
    if now() > latest:
        return now()
    return (datetime.fromisoformat(latest) + timedelta(milliseconds=1)).isoformat(timespec="milliseconds")


def known_runs(opened: OpenProject) -> Sequence[RunRecord]:
    """Return the project's runs, the newest first; one that is "running" by the ledger alone is "interrupted"."""
    return tuple(
        replace(record, status="interrupted")
        if record.status == "running" and is_interrupted(opened.folder, record.id)
        else record
        for record in opened.ledger.runs(opened.project.name)
    )


def _trials(road: Road) -> tuple[TrialRecord, ...]:
    """Return every trial of every family, in the order of the plan."""
    searches = (document(road, step.id, "search.json") for step in road.plan if step.station == "train")
    return tuple(
        TrialRecord(found["family"], trial["number"], trial["params"], found["metric"], trial["value"], trial["state"])
        for found in searches
        for trial in found["trials"]
    )


def _known(road: Road) -> RunRecord | None:
    return {record.id: record for record in road.opened.ledger.runs(road.opened.project.name)}.get(road.plan.run)


def summarise(road: Road, status: RunStatus) -> RunSummary:
    """Read a run's results back into one summary, and lay its reports out in the project's `reports/`."""
    evaluation = document(road, "evaluate", "evaluation.json")
    registration = document(road, "register", "registration.json")
    version = _version(road, registration)
    return RunSummary(
        run=road.plan.run,
        status=status,
        steps=_steps(road),
        leaderboard=leaderboard(road),
        test=_intervals(evaluation.get("metrics", {})),
        candidates=evaluation.get("candidates", {}),
        findings=findings(road),
        model=registration.get("name", ""),
        family=evaluation.get("chosen", ""),
        version=version.number if version else 0,
        champion=version is not None and "champion" in version.aliases,
        gate=registration.get("gate", {}),
        report=lay_out_reports(road, road.opened.project.root / "reports"),
    )


def findings(road: Road) -> tuple[Finding, ...]:
    """Return what was noticed: the audit's list (which has the earlier ones), the search's and the evaluation's."""
    said = [
        *document(road, "audit", "audit.json").get("findings", []),
        *document(road, "select", "leaderboard.json").get("findings", []),
        *document(road, "evaluate", "evaluation.json").get("findings", []),
    ]
    return (*road.opened.notices, *(Finding.from_dict(data) for data in said))


def leaderboard(road: Road) -> tuple[Mapping[str, Any], ...]:
    """Return the leaderboard, best first, with what each family cost."""
    from tahona.steps.report import with_costs

    board = document(road, "select", "leaderboard.json")
    if not board:
        return ()
    timings = {step.family: document(road, step.id, "timing.json") for step in road.plan if step.station == "train"}
    return tuple(with_costs(board, timings)["rows"])


def document(road: Road, step_id: str, name: str) -> dict[str, Any]:
    """Return a JSON result of a step, or an empty document when the step has no result yet."""
    result = road.result(step_id)
    if result is None or name not in result.outputs:
        return {}
    return dict(json.loads(road.opened.store.get(result.outputs[name]).read_text("utf-8")))


def documents(road: Road, step_id: str) -> dict[str, dict[str, Any]]:
    """Return the JSON results of a step by their names; files of its model are not among them."""
    result = road.result(step_id)
    names = () if result is None else result.outputs
    return {name: document(road, step_id, name) for name in names if name.endswith(".json") and "/" not in name}


def lay_out_reports(road: Road, folder: Path) -> Path | None:
    """Write the run's report, card and figures into the folder (files that are there already stay); return the page.

    The folder always shows the newest run; every earlier one is in the store (`tahona report RUN -o DIR`).
    """
    result = road.result("report")
    if result is None:
        return None
    with locked(road.opened.folder / "reports.lock"), room_in(folder):  # two runs at once show the whole of one of them
        for name, digest in result.outputs.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            content = road.opened.store.get(digest).read_bytes()
            if place.exists() and place.read_bytes() == content:
                continue
            write_whole(place, content)
    return folder / REPORTS[0]


def _version(road: Road, registration: Mapping[str, Any]) -> Version | None:
    """Return the version as this ledger has it now: in another ledger over the same store the number may differ."""
    if not registration:
        return None
    versions = road.opened.ledger.versions(registration["name"])
    same = [version for version in versions if version.bundle_digest == registration["bundle_digest"]]
    return next((each for each in same if each.number == registration["version"]), same[0] if same else None)


def _all_stored(road: Road) -> bool:
    return all(road.result(step.id) is not None for step in road.plan)


def _steps(road: Road) -> tuple[StepRecord, ...]:
    return tuple(road.records.get(step.id) or road.record(step.id) for step in road.plan)


def _intervals(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Interval]:
    return {name: Interval(**values) for name, values in metrics.items()}


def _record(road: Road, status: RunStatus, started: str, error: str = "") -> RunRecord:
    raw = road.known("ingest") if status != "running" else None
    evaluation = document(road, "evaluate", "evaluation.json") if status == "done" else {}
    return RunRecord(
        id=road.plan.run,
        project=road.opened.project.name,
        status=status,
        started=started,
        finished="" if status == "running" else max(now(), started),
        data_digest="" if raw is None else raw.outputs["raw.parquet"],
        params=road.opened.project.part(*DECIDING),
        steps=_steps(road),
        leaderboard=leaderboard(road) if status == "done" else (),
        test=_intervals(evaluation.get("metrics", {})),
        candidates={name: _intervals(metrics) for name, metrics in evaluation.get("candidates", {}).items()},
        chosen=evaluation.get("chosen", ""),
        error=error,
    )
