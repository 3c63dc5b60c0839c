"""Commands about runs: run, step, plan, why, runs, show, leaderboard, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Python, Set, overlay
from tahona.errors import InputError

if TYPE_CHECKING:
    from tahona.core.records import Interval, RunRecord
    from tahona.lifecycle.running import RunSummary

On = Annotated[
    str, typer.Option("--on", metavar="NAME", help="The orchestrator: local, prefect, metaflow, airflow or dvc.")
]


def run(
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
    on: On = "local",
    python: Python = None,
    up: Annotated[bool, typer.Option("--up", help="First start the servers that [up] names; they stay.")] = False,
) -> None:
    """Take the project from data to a registered version and a report; what is done already is not done again."""
    from tahona.cli.progress import shown_progress
    from tahona.cli.terminal import err, print_json
    from tahona.lifecycle.opened import silent
    from tahona.lifecycle.running import run_project
    from tahona.wiring import open_project, start_servers

    if up:
        start_servers(directory, env=env, overrides=set_ or (), tell=partial(err().print, markup=False))
    opened = open_project(directory, env=env, overrides=set_ or (), on=on, python=python)
    with closing(opened.executor), shown_progress(hush=json) as progress:
        tell = silent if json or on == "local" else partial(err().print, markup=False)
        summary = run_project(opened, progress, options=overlay(env, set_), tell=tell)
    if json:
        print_json(summary.to_dict())
    else:
        print_summary(summary)


def print_summary(summary: RunSummary) -> None:
    """Print what came of a run: leaderboard, test metrics, findings that matter, version, path of the report."""
    from tahona.cli.terminal import number, out

    console = out()
    print_leaderboard(summary.leaderboard, chosen=summary.family)
    _print_candidates(summary.leaderboard, summary.candidates)
    for finding in summary.findings:
        accepted = f" (accepted: {finding.accepted})" if finding.accepted else ""
        gravity = "note" if finding.severity == "info" else finding.severity
        console.print(f"{gravity}: {finding.message()}{accepted}", markup=False)
    shown = ", ".join(
        f"{name} {number(value.value)} ({number(value.low)} to {number(value.high)})"
        for name, value in summary.test.items()
        if name in {"roc_auc", "f1", "f1_macro"}
    )
    console.print(f"\n{summary.model} version {summary.version}: {summary.family}, {shown}", markup=False)
    console.print(_standing(summary), markup=False)
    if summary.nothing_to_do:
        console.print("Nothing to do: every step has its result already.", markup=False)
    console.print(f"Report: {summary.report}", markup=False)
    if summary.published:
        console.print(f"Published: {summary.published}", markup=False)


def _print_candidates(
    leaderboard: Sequence[Mapping[str, Any]], candidates: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> None:
    """Print what every model did on the test rows, in the order of the leaderboard."""
    from tahona.cli.terminal import print_table

    if not candidates:
        return
    names = ("precision", "recall", "f1", "roc_auc")
    order = [row["model"] for row in leaderboard]
    print_table(
        ("on the test rows", *names),
        [
            (model, *(candidates[model].get(name, {}).get("value") for name in names))
            for model in sorted(candidates, key=order.index)
        ],
    )


def _standing(summary: RunSummary) -> str:
    if summary.champion:
        return "This version is the champion."
    if summary.gate.get("passed"):
        again = f"tahona promote {summary.version} makes it champion again"
        return f"This version passed the gate, but another is champion by now; {again}."
    return "This version is not the champion. " + " ".join(summary.gate.get("reasons", []))


def print_leaderboard(rows: tuple[Mapping[str, Any], ...], *, chosen: str = "") -> None:
    from tahona.cli.terminal import number, print_table

    metric = rows[0]["metric"] if rows else "metric"
    print_table(
        ("model", metric, "95 % interval", "trials", "CPU s", ""),
        [
            (
                row["model"],
                row["value"],
                f"{number(row['low'])} … {number(row['high'])}",
                row.get("trials"),
                number(row.get("cpu_seconds"), 1),
                "← chosen" if row["model"] == chosen else "",
            )
            for row in rows
        ],
        title="Leaderboard (folds of the training rows)",
    )


def step(
    step_ids: Annotated[list[str], typer.Argument(metavar="STEP...", help="For example split, or train@tree.")],
    run_id: Annotated[
        str | None, typer.Option("--run", envvar="TAHONA_RUN", help="The run that these steps belong to.")
    ] = None,
    results: Annotated[
        bool, typer.Option("--results", help="With --json: say what the steps found, too, by the names of their files.")
    ] = False,
    patient: Annotated[
        bool, typer.Option("--patient", help="Try again, end in time and tell of a failure as [run] says.")
    ] = False,
    day: Annotated[
        datetime | None,
        typer.Option(
            "--lay-out",
            metavar="YYYYMMDD",
            formats=["%Y%m%d"],
            help="Lay the results out as files of the project, too; the day stands in the names of data files.",
        ),
    ] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Run one step, or a few in this order; what they wait for must be there. All that an orchestrator's task calls."""
    from tahona.cli.progress import shown_progress
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.laying_out import lay_out
    from tahona.lifecycle.running import documents, run_task
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    with closing(opened.executor), shown_progress(hush=json) as progress:
        road = run_task(opened, step_ids, run_id, progress, patient=patient)
        if day is not None:
            for step_id in step_ids:
                lay_out(road, step_id, day.date())
    records = [road.records[step_id] for step_id in step_ids]
    if json:
        steps = [
            {"step": r.id, "state": r.state, "seconds": r.seconds, "fingerprint": r.fingerprint}
            | ({"results": documents(road, r.id)} if results else {})
            for r in records
        ]
        print_json({"run": road.plan.run, "steps": steps})
        return
    for record in records:
        out().print(f"{record.id}: {record.state}", markup=False)


def notify(
    run_id: Annotated[str | None, typer.Option("--run", help="The run that failed.")] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Tell whom `[run.on_failure]` names that the run failed: what an orchestrator calls when it has given up."""
    from tahona.cli.terminal import out, print_json
    from tahona.errors import SetupError, TahonaError
    from tahona.lifecycle.notifying import notify_failure
    from tahona.lifecycle.road import Road, plan_run
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    error: TahonaError | None
    try:
        road = Road(opened, plan_run(opened))
    except TahonaError as unplanned:  # what keeps it from being planned is why it failed
        run, error = run_id or "(not planned)", unplanned
    else:
        run, error = run_id or road.plan.run, road.failure(run_id or "")
    unknown = SetupError("a task ended before its step could say why", fix="read the task's log")
    told = notify_failure(opened, run, error or unknown)
    if json:
        print_json({"run": run, "told": list(told)})
        return
    out().print(f"told: {', '.join(told) or 'nobody, for [run.on_failure] names nobody'}", markup=False)


def plan(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Show the steps of the run, what each waits for, and which have their result already."""
    from tahona.cli.terminal import print_json, print_table
    from tahona.lifecycle.road import Road, plan_run
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    road = Road(opened, plan_run(opened))
    rows = [(each.id, list(each.after), road.result(each.id) is not None) for each in road.plan]
    if json:
        print_json({"run": road.plan.run, "steps": [{"id": i, "after": a, "stored": s} for i, a, s in rows]})
        return
    print_table(
        ("step", "waits for", "result"),
        [(name, ", ".join(after), "stored" if stored else "") for name, after, stored in rows],
        title=f"Run {road.plan.run}",
    )


def why(
    step_id: Annotated[str, typer.Argument(metavar="STEP", help="For example split, or train@tree.")],
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Say why a step will run again, or why it will not."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.road import Road, plan_run
    from tahona.lifecycle.why import explain
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    road = Road(opened, plan_run(opened))
    if step_id not in road.plan:
        raise InputError(f"there is no step '{step_id}'", where="command line", fix="tahona plan lists the steps")
    reasons = explain(road, step_id)
    if json:
        print_json({"step": step_id, "stored": road.result(step_id) is not None, "reasons": list(reasons)})
        return
    for reason in reasons:
        out().print(reason, markup=False)


def runs(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """List the project's runs, the newest first; "interrupted" is one whose process is gone."""
    from tahona.cli.terminal import print_json, print_table
    from tahona.lifecycle.running import known_runs
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    found = known_runs(opened)
    if json:
        print_json({"runs": [_run_facts(record) for record in found]})
        return
    print_table(
        ("run", "status", "started", "best", "value"),
        [
            (
                record.id,
                record.status,
                record.started[:19],
                record.leaderboard[0]["model"] if record.leaderboard else "",
                record.leaderboard[0]["value"] if record.leaderboard else None,
            )
            for record in found
        ],
    )


def show(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id; the newest when absent.")] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Show one run: parameters, steps, leaderboard, every model's test metrics."""
    from tahona.cli.terminal import out, print_json, print_table

    record = _find(run_id, directory, env, set_)
    if json:
        print_json(_run_facts(record))
        return
    out().print(f"Run {record.id}: {record.status}, started {record.started[:19]}", markup=False)
    if record.error:
        out().print(record.error, markup=False)
    print_table(("step", "state", "seconds"), [(s.id, s.state, f"{s.seconds:.2f}") for s in record.steps])
    print_leaderboard(record.leaderboard)
    _print_candidates(record.leaderboard, _plain(record.candidates))
    print_table(
        ("test metric", "value", "low", "high"),
        [(name, value.value, value.low, value.high) for name, value in record.test.items()],
    )


def leaderboard(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id; the newest when absent.")] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Show a run's leaderboard."""
    from tahona.cli.terminal import print_json

    record = _find(run_id, directory, env, set_)
    if json:
        print_json({"run": record.id, "leaderboard": [dict(row) for row in record.leaderboard]})
        return
    print_leaderboard(record.leaderboard)


def report(
    directory: Folder = HERE,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where to write it.")] = None,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Write the report of the project's present run again, with its figures, and print the page's path."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.road import Road, plan_run
    from tahona.lifecycle.running import lay_out_reports
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    page = lay_out_reports(Road(opened, plan_run(opened)), output or opened.project.root / "reports")
    if page is None:
        raise InputError("this project, as it stands, has not been run to its end", fix="tahona run")
    if json:
        print_json({"report": str(page)})
        return
    out().print(str(page), markup=False)


def _find(run_id: str | None, directory: Path, env: str | None, overrides: list[str] | None) -> RunRecord:
    from tahona.lifecycle.running import known_runs
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=overrides or ())
    found = known_runs(opened)
    for record in found:
        if run_id is None or record.id == run_id:
            return record
    raise InputError(
        "there is no run yet" if run_id is None else "there is no such run of this project",
        where=opened.project.name,
        fix="tahona run" if run_id is None else "tahona runs lists them",
    )


def _run_facts(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.id,
        "status": record.status,
        "started": record.started,
        "finished": record.finished,
        "data_digest": record.data_digest,
        "params": dict(record.params),
        "steps": [{"id": s.id, "state": s.state, "seconds": s.seconds} for s in record.steps],
        "leaderboard": [dict(row) for row in record.leaderboard],
        "test": {name: value.to_dict() for name, value in record.test.items()},
        "candidates": _plain(record.candidates),
        "error": record.error,
    }


def _plain(candidates: Mapping[str, Mapping[str, Interval]]) -> dict[str, dict[str, dict[str, float]]]:
    return {model: {name: value.to_dict() for name, value in metrics.items()} for model, metrics in candidates.items()}
