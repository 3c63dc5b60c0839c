"""select: put the families in order, turn scores into probabilities, mix if that helps, choose a threshold, bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding
from tahona.core.schema import Schema
from tahona.digests import digest_file, digest_json
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import first_rows, read_arrays, read_folds, read_json, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tahona.core.plan import Step
    from tahona.learn.calibration import Calibrator
    from tahona.learn.ensemble import DecisionRule, Mixture
    from tahona.project.model import DecisionPart, Project

NEEDS = {
    "clean": ("cleaning.json",),
    "split": ("train.parquet", "train_labels.npz", "folds.npz", "schema.json"),
    "train": ("search.json", "oof.npz", "model/*"),
}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("numpy", "scikit-learn", "skops", "lightgbm", "xgboost-cpu")
DUMMY = "dummy"


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    train = project.part("train")["train"]
    return project.part("decision") | {
        "name": project.name,
        "seed": project.split.seed,
        **{key: train[key] for key in ("metric", "models", "calibrate", "ensemble", "budget")},
    }


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A searched family, or the mixture: what it said out of fold, as probabilities, and how it decides."""

    family: str
    values: tuple[float, ...]
    proba: NDArray[np.float64]
    threshold: float | None
    calibrator: Calibrator | None
    trials: int
    params: Mapping[str, Any]


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `leaderboard.json`, `selection.json`, `versions.json` and `bundle.zip`.

    The selection holds each family's calibrator and threshold.
    """
    import numpy as np

    from tahona.core.metrics import METRICS
    from tahona.learn.ensemble import greedy_weights

    project, files = context.project, inputs["split"]
    schema = Schema.from_dict(read_json(files["schema.json"]))
    y = read_arrays(files["train_labels.npz"])["y"]
    folds = read_folds(files["folds.npz"])
    candidates = {
        family: _candidate(project, schema, y, folds, family, results) for family, results in trained(inputs).items()
    }
    metric = METRICS[project.train.metric]
    ranked = sorted(candidates.values(), key=lambda each: -metric.sign * float(np.nanmean(each.values)))
    best = next((each for each in ranked if each.family != DUMMY), ranked[0])
    weights = {best.family: 1.0}
    families = {name: each.proba for name, each in candidates.items() if name != DUMMY}
    if families and project.train.ensemble and project.decision.rule == "threshold":
        mixture = greedy_weights(
            families,
            y,
            folds,
            project.train.metric,
            rule=decision_rule(project.decision),
        )
        if mixture.weights:
            weights = dict(mixture.weights)
            best = _mixture(project.decision, y, candidates, mixture)
            ranked = sorted([*ranked, best], key=lambda each: -metric.sign * float(np.nanmean(each.values)))
    sizes = [(len(fit), len(validate)) for fit, validate in folds]
    write_json(
        context.output("leaderboard.json"),
        {
            "metric": metric.name,
            "better": metric.better,
            "rows": [_row(each, metric.name, sizes) for each in ranked],
            "chosen": best.family,
            "weights": weights,
            "threshold": best.threshold,
            "threshold_reason": _reason(project, schema),
            "findings": [
                finding.to_dict()
                for finding in (
                    *_budget(project),
                    *(each for results in trained(inputs).values() for each in _noticed(results, len(y))),
                )
            ],
        },
    )
    write_json(
        context.output("selection.json"),
        {
            family: {"calibrator": each.calibrator.to_dict() if each.calibrator else None, "threshold": each.threshold}
            for family, each in candidates.items()
        },
    )
    _write_bundle(context, inputs, schema, candidates, weights, best.threshold)


def trained(inputs: Inputs) -> dict[str, Mapping[str, Path]]:
    """Return the results of every train step, by family."""
    return {name.partition("@")[2]: files for name, files in inputs.items() if name.startswith("train@")}


def _budget(project: Project) -> Iterator[Finding]:
    """Say that a run that ends with the time is not reproducible."""
    if project.train.limit is not None:
        clock, seconds = project.train.limit
        yield Finding("time_budget", facts={"budget": f"{seconds:g} s" + (" CPU" if clock == "cpu" else "")})


def _noticed(files: Mapping[str, Path], rows: int) -> Iterator[Finding]:
    """Say what a search could not do as it was asked."""
    from tahona.learn.families import FAMILIES

    found = read_json(files["search.json"])
    family = found["family"]
    if found["rows_used"] < rows:
        yield Finding("rows_capped", facts={"family": family, "used": found["rows_used"], "rows": rows})
    kind = FAMILIES[family]
    if kind.exact_rows is not None and found["rows_used"] > kind.exact_rows:
        facts = {"family": family, "landmarks": kind.landmarks, "rows": found["rows_used"]}
        yield Finding("landmarks_only", facts=facts)
    failed = [trial for trial in found["trials"] if trial["state"] == "failed"]
    if failed:
        facts = {"family": family, "failed": len(failed), "trials": len(found["trials"]), "error": failed[0]["error"]}
        yield Finding("failed_trials", facts=facts)


def _candidate(
    project: Project,
    schema: Schema,
    y: NDArray[np.int64],
    folds: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...],
    family: str,
    files: Mapping[str, Path],
) -> Candidate:
    import numpy as np

    from tahona.learn.calibration import fit_calibrator
    from tahona.learn.families import FAMILIES

    found = read_json(files["search.json"])
    scores = read_arrays(files["oof.npz"])["scores"]
    calibrator = fit_calibrator(
        scores,
        y,
        classes=len(schema.labels),
        kind="none" if family == DUMMY else project.train.calibrate,
        gives=FAMILIES[family].gives,
        folds=folds,
        seed=project.split.seed,
    )
    proba = _apply(calibrator, scores, len(schema.labels))
    return Candidate(
        family=family,
        values=tuple(np.nan if value is None else value for value in found["fold_values"]),
        proba=proba,
        threshold=_threshold(project.decision, y, proba),
        calibrator=calibrator,
        trials=len(found["trials"]),
        params=found["params"],
    )


def _apply(calibrator: Calibrator, scores: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Calibrate the rows that some fold validated; the others stay NaN."""
    import numpy as np

    known = np.isfinite(scores if scores.ndim == 1 else scores[:, 0])
    proba = np.full((len(scores), classes), np.nan)
    proba[known] = calibrator.apply(scores[known])
    return proba


def _mixture(
    decision: DecisionPart, y: NDArray[np.int64], candidates: Mapping[str, Candidate], mixture: Mixture
) -> Candidate:
    from tahona.learn.ensemble import mix

    proba = mix({name: candidates[name].proba for name in mixture.weights}, mixture.weights)
    return Candidate(
        family="ensemble",
        values=mixture.fold_values,
        proba=proba,
        threshold=_threshold(decision, y, proba),
        calibrator=None,
        trials=0,
        params={name: round(weight, 4) for name, weight in mixture.weights.items()},
    )


def decision_rule(decision: DecisionPart) -> DecisionRule:
    """Return how the project file wants a threshold found."""
    from tahona.learn.ensemble import DecisionRule

    return DecisionRule(decision.threshold, decision.maximize, decision.prices)


def _threshold(decision: DecisionPart, y: NDArray[np.int64], proba: NDArray[np.float64]) -> float | None:
    return None if decision.rule == "estimator" else decision_rule(decision).find(y, proba)


def _reason(project: Project, schema: Schema) -> str:
    decision, language = project.decision, project.project.language
    if decision.rule == "estimator":
        return {"en": "The estimator's own decision.", "es": "La decisión propia del estimador."}[language]
    if not schema.binary:
        return {"en": "The likeliest class.", "es": "La clase más probable."}[language]
    from tahona.core.decision import threshold_reason

    return threshold_reason(
        threshold=decision.threshold, maximize=decision.maximize, cost=decision.prices, language=language
    )


def _row(each: Candidate, metric: str, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    from tahona.core.intervals import fold_interval
    from tahona.core.metrics import METRICS

    interval = fold_interval(
        each.values,
        [fit for fit, _ in sizes],
        [validate for _, validate in sizes],
        floor=METRICS[metric].floor,
        ceiling=METRICS[metric].ceiling,
    )
    return {
        "model": each.family,
        "metric": metric,
        **interval.to_dict(),
        "trials": each.trials,
        "params": dict(each.params),
        "calibration": each.calibrator.kind if each.calibrator else "",
    }


def _write_bundle(
    context: StepContext,
    inputs: Inputs,
    schema: Schema,
    candidates: Mapping[str, Candidate],
    weights: Mapping[str, float],
    threshold: float | None,
) -> None:
    from tahona.bundle.bundle import Bundle, Cleaning, Member, save_bundle

    results = trained(inputs)
    members = []
    for family, weight in weights.items():
        calibrator = candidates[family].calibrator
        assert calibrator is not None
        members.append(Member(fitted_model(results[family]), calibrator, weight))
    cleaning = read_json(inputs["clean"]["cleaning.json"])
    bundle = Bundle(
        name=context.project.name,
        schema=schema,
        members=tuple(members),
        threshold=threshold,
        rule=context.project.decision.rule,
        cleaning=Cleaning(tuple(cleaning["functions"]), cleaning["digest"], cleaning["raw_types"]),
        training_digest=_training_digest(inputs["split"]),
        versions=library_versions(),
    )
    write_json(context.output("versions.json"), bundle.versions)
    rows = judged_rows(inputs["split"]["train.parquet"], schema, context.project.split.seed)
    save_bundle(bundle, context.output("bundle.zip"), rows)


def judged_rows(train: Path, schema: Schema, seed: int) -> list[dict[str, object]]:
    """Return the rows, training rows with cells changed, on which a bundle's compiled form is judged."""
    from tahona.bundle.parity import ROWS, ROWS_OF_TEXT, mutate

    most = ROWS_OF_TEXT if schema.of_kind("text") else ROWS
    return mutate(first_rows(train, most), schema, seed)


def _training_digest(files: Mapping[str, Path]) -> str:
    """Return the digest of the rows and labels that were trained on: the test rows leave no trace in a bundle."""
    return digest_json({name: digest_file(files[name]) for name in ("train.parquet", "train_labels.npz")})


def fitted_model(files: Mapping[str, Path]) -> Any:  # noqa: ANN401 - FittedModel, imported late
    """Load the model among a train step's results, whose files lie in the store under their digests."""
    import shutil

    from tahona.learn.model import load_model
    from tahona.room import temporary_folder

    with temporary_folder("model") as folder:
        for name, path in files.items():
            if name.startswith("model/"):
                shutil.copyfile(path, folder / name.removeprefix("model/"))
        return load_model(folder)


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a bundle's answers depend on."""
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    found = {"python": python_version()}
    for name in ("tahona", "numpy", "pandas", "pyarrow", "scikit-learn", "lightgbm", "xgboost-cpu", "skops"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
