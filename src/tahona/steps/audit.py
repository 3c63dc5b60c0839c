"""audit: look for what would make the numbers untrue, before any training time is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tahona.core.schema import Schema
from tahona.errors import RefusedError
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import read_arrays, read_findings, read_json, read_table, write_findings

if TYPE_CHECKING:
    from tahona.core.plan import Step
    from tahona.project.model import Project

NEEDS = {
    "ingest": ("ingest.json",),
    "clean": ("clean.json",),
    "split": ("train.parquet", "test.parquet", "train_labels.npz", "schema.json", "split.json"),
}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("pandas", "numpy", "scikit-learn")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    return project.part("split") | {"allow": project.audit.allow, "drop": project.data.drop}


def run(context: StepContext, inputs: Inputs) -> RefusedError | None:
    """Write `audit.json`, every finding so far included; return a refusal if one of them must stop the run."""
    from tahona.learn.audit import audit_data, refusal, run_audit

    files, project = inputs["split"], context.project
    data = audit_data(
        read_table(files["train.parquet"]),
        read_table(files["test.parquet"]),
        read_arrays(files["train_labels.npz"])["y"],
        Schema.from_dict(read_json(files["schema.json"])),
        project.split,
        dropped=project.data.drop,
    )
    earlier = (
        *read_findings(inputs["ingest"]["ingest.json"]),
        *read_findings(inputs["clean"]["clean.json"]),
        *read_findings(files["split.json"]),
    )
    findings = run_audit(data, project.audit.allow, earlier)
    write_findings(context.output("audit.json"), findings)
    return refusal(findings)
