"""report: figures, the page that a manager can read, its Markdown twin and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tahona.core.schema import Schema
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import read_findings, read_json

if TYPE_CHECKING:
    from tahona.core.plan import Step
    from tahona.project.model import Project

NEEDS = {
    "ingest": ("ingest.json",),
    "split": ("split.json", "schema.json"),
    "audit": ("audit.json",),
    "train": ("search.json",),
    "select": ("leaderboard.json", "versions.json"),
    "evaluate": ("evaluation.json",),
    "register": ("registration.json",),
}
SEES = {"train": ("timing.json",), "register": ("registered.json",)}
"""What a family cost and when the version was made differ from run to run; they do not make a new report."""
LIBRARIES = ("matplotlib", "jinja2")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads: the report shows all of it."""
    return project.part("project", "data", "split", "train", "decision", "gate", "audit")


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `report.html`, `report.md`, `model_card.md` and `figures/<topic>_<dataset>_.png|svg`."""
    from tahona.report.facts import ReportFacts
    from tahona.report.figures import draw_figures
    from tahona.report.page import write_report

    project = context.project
    ingested, split = read_json(inputs["ingest"]["ingest.json"]), read_json(inputs["split"]["split.json"])
    evaluation = read_json(inputs["evaluate"]["evaluation.json"])
    timings = {
        name.partition("@")[2]: read_json(files["timing.json"])
        for name, files in inputs.items()
        if name.startswith("train@")
    }
    leaderboard = with_costs(read_json(inputs["select"]["leaderboard.json"]), timings)
    figures = context.output("figures/x").parent
    draw_figures(evaluation, leaderboard, figures, project.name, project.project.language)
    facts = ReportFacts(
        project=project,
        run=context.run,
        created=read_json(inputs["register"]["registered.json"])["created"][:10],
        schema=Schema.from_dict(read_json(inputs["split"]["schema.json"])),
        findings=(*read_findings(inputs["audit"]["audit.json"]), *read_findings(inputs["select"]["leaderboard.json"])),
        leaderboard=leaderboard,
        evaluation=evaluation,
        registration=read_json(inputs["register"]["registration.json"]),
        split=split,
        data={
            "rows": ingested["rows"],
            "columns": ingested["columns"],
            "digest": ingested["digest"],
            "source": project.part("data")["data"]["source"],
        },
        versions=read_json(inputs["select"]["versions.json"]),
        figures=figures,
    )
    write_report(facts, context.scratch)


def with_costs(leaderboard: Mapping[str, Any], timings: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return the leaderboard with the seconds that each family took; a mixture costs what its members cost."""
    rows = []
    for row in leaderboard["rows"]:
        members = row["params"] if row["model"] == "ensemble" else (row["model"],)
        spent = [timings[name] for name in members if name in timings]
        rows.append(row | {key: round(sum(each[key] for each in spent), 3) for key in ("seconds", "cpu_seconds")})
    return {**leaderboard, "rows": rows}
