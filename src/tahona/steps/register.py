"""register: let the gate judge the candidate, give it a number, and make it champion if it passed."""

from __future__ import annotations

import getpass
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.clock import now
from tahona.core.records import AliasEvent, Version
from tahona.core.schema import ROW
from tahona.errors import RefusedError
from tahona.ports import Gallery
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import read_json, read_table, write_json

if TYPE_CHECKING:
    from tahona.core.gate import Comparison, PredictedRows, Verdict
    from tahona.core.plan import Step
    from tahona.project.model import Project

NEEDS = {
    "split": ("test.parquet",),
    "select": ("bundle.zip",),
    "evaluate": ("evaluation.json", "predictions.parquet"),
}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("numpy",)
CHAMPION, CHALLENGER = "champion", "challenger"
ATTEMPTS = 50
"""How often the gate judges anew when an alias was moved meanwhile. Each time some other run has come to its end."""


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    return project.part("gate", "decision") | {
        "name": project.name,
        "metric": project.train.metric,
        "seed": project.split.seed,
        "language": project.project.language,
    }


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `registration.json`, and when. May run twice for one run: the ledger gives the same version again.

    Where another run makes its version champion after the gate has judged this one, the gate judges once more.
    """
    evaluation = read_json(inputs["evaluate"]["evaluation.json"])
    for attempt in range(ATTEMPTS):
        versions = context.ledger.versions(context.project.name)
        champion = _champion_before(context, versions)
        verdict = _judge(context, inputs, evaluation, champion)
        version = _enter(context, inputs, evaluation, verdict)
        try:
            _point(context, version, verdict, versions)
            break
        except RefusedError:  # an alias went elsewhere meanwhile
            if attempt == ATTEMPTS - 1:
                raise
    write_json(
        context.output("registration.json"),
        {
            "name": version.name,
            "version": version.number,
            "bundle_digest": version.bundle_digest,
            "champion": verdict.passed,
            "previous_champion": champion.number if champion else None,
            "gate": verdict.to_dict(),
        },
    )
    write_json(context.output("registered.json"), {"created": version.created})


def _enter(context: StepContext, inputs: Inputs, evaluation: dict[str, Any], verdict: Verdict) -> Version:
    """Keep the version in the ledger; one that is there already stays as it is."""
    ledger, store, project = context.ledger, context.store, context.project
    version = Version(
        name=project.name,
        run=context.run,
        bundle_digest=store.put(inputs["select"]["bundle.zip"]),
        model=evaluation["chosen"],
        metrics={name: value for name, value in _values(evaluation).items() if not math.isnan(value)},
        created=now(),
        data_digest=evaluation["data_digest"],
        predictions_digest=store.put(inputs["evaluate"]["predictions.parquet"]),
        gate_passed=verdict.passed,
        gate_reasons=verdict.reasons,
    )
    if isinstance(ledger, Gallery):
        ledger.show_model(version, inputs["select"]["bundle.zip"], _modules(project))
    return ledger.add_version(version)


def _point(context: StepContext, version: Version, verdict: Verdict, versions: Sequence[Version]) -> None:
    """Let the alias that the verdict gives point at the version. Raise RefusedError if it moved since ``versions``."""
    alias = CHAMPION if verdict.passed else CHALLENGER
    if not _moved_before(context, version, alias):
        previous = next((v.number for v in versions if alias in v.aliases), 0)
        context.ledger.move_alias(
            AliasEvent(
                name=version.name,
                alias=alias,
                version=version.number,
                previous=previous,
                action="register",
                who=getpass.getuser(),
                why=" ".join(verdict.reasons),
                when=now(),
            )
        )


def _champion_before(context: StepContext, versions: Sequence[Version]) -> Version | None:
    """Return who is champion; for a run that became it in an attempt that was killed, who was champion before."""
    own = next((v.number for v in versions if v.run == context.run), 0)
    number = next((v.number for v in versions if CHAMPION in v.aliases), 0)
    for event in context.ledger.history(context.project.name) if number == own else ():
        if event.alias == CHAMPION and event.version == own and event.action == "register":
            number = event.previous
    return next((v for v in versions if v.number == number and v.number != own), None)


def _judge(context: StepContext, inputs: Inputs, evaluation: dict[str, Any], champion: Version | None) -> Verdict:
    from tahona.core.gate import compare, judge

    project = context.project
    comparison: Comparison | None = None
    incomparable = ""
    if champion is not None and project.gate.beats_champion:
        labels, digest = tuple(evaluation["labels"]), evaluation["data_digest"]
        candidate = _predicted(inputs["evaluate"]["predictions.parquet"], labels, digest)
        previous = _champion_rows(context, inputs, champion, candidate)
        if previous is None:
            incomparable = INCOMPARABLE[project.project.language].format(version=champion.number)
        else:
            comparison = compare(
                project.train.metric, candidate, previous, cost=project.decision.prices, seed=project.split.seed
            )
    return judge(
        _values(evaluation),
        project.gate.min,
        comparison=comparison,
        incomparable=incomparable,
        language=project.project.language,
    )


def _modules(project: Project) -> dict[str, Path]:
    """Return the project's modules that clean raw rows: path in the project → file."""
    from tahona.project.functions import load_functions

    root = project.root.resolve()
    files = [file for function in load_functions(project) for file in function.space.files.values()]
    return {file.relative_to(root).as_posix(): file for file in files}


def _values(evaluation: dict[str, Any]) -> dict[str, float]:
    """Return the test metrics; one that does not exist on these rows (an AUC without a class) is NaN."""
    found = {name: interval["value"] for name, interval in evaluation["metrics"].items()}
    return {name: math.nan if value is None else float(value) for name, value in found.items()}


def _predicted(file: Path, labels: tuple[str, ...], digest: str) -> PredictedRows:
    from tahona.core.gate import PredictedRows

    frame = read_table(file)
    proba = frame[[f"probability_{label}" for label in labels]].to_numpy(dtype="float64")
    rows, y, decided = (frame[name].to_numpy(dtype="int64") for name in (ROW, "y", "decided"))
    return PredictedRows(digest, labels, rows, y, proba, decided)


def _champion_rows(
    context: StepContext, inputs: Inputs, champion: Version, candidate: PredictedRows
) -> PredictedRows | None:
    """Return what the champion says about the candidate's test rows, or None when it cannot read them."""
    from tahona.bundle.bundle import load_bundle
    from tahona.bundle.predict import score
    from tahona.core.gate import PredictedRows, same_test_rows
    from tahona.errors import DataError, IntegrityError
    from tahona.learn.columns import to_columns

    bundle = load_bundle(context.store.get(champion.bundle_digest))
    labels = candidate.labels
    if bundle.schema.labels != labels:
        return None
    if champion.data_digest == candidate.digest:
        said = _predicted(context.store.get(champion.predictions_digest), labels, candidate.digest)
        if same_test_rows(candidate, said):
            return said
    try:
        proba, decided = score(bundle, to_columns(read_table(inputs["split"]["test.parquet"]), bundle.schema))
    except (DataError, IntegrityError):
        return None
    return PredictedRows(candidate.digest, labels, candidate.rows, candidate.y, proba, decided)


def _moved_before(context: StepContext, version: Version, alias: str) -> bool:
    """Tell whether an earlier attempt of this step, killed before it could say so, moved the alias already."""
    return any(
        event.alias == alias and event.version == version.number and event.action == "register"
        for event in context.ledger.history(version.name)
    )


INCOMPARABLE = {
    "en": "The champion (version {version}) cannot read this table, so the two cannot be compared; "
    "promote with --override and a reason.",
    "es": "El campeón (versión {version}) no puede leer esta tabla, así que no se pueden comparar; "
    "promuévalo con --override y un motivo.",
}
