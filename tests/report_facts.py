"""Facts as a run would hand them to the report: breast cancer (two classes) and medical abstracts (five)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from tahona.core.findings import Finding
from tahona.core.metrics import METRICS
from tahona.core.schema import Column, Schema
from tahona.project.model import Project
from tahona.report.facts import ReportFacts

VERSIONS = {"scikit-learn": "1.9.1", "pandas": "3.1.1", "numpy": "2.4.0"}


def spread(value: float, rows: int, floor: float = 0.0, ceiling: float = 1.0) -> dict[str, float]:
    """Return a value with an interval of a plausible width."""
    half = 1.96 * math.sqrt(max(value * (1 - value), 0.004) / rows) if 0 <= value <= 1 else 0.1
    return {"value": value, "low": max(floor, value - half), "high": min(ceiling, value + half)}


def board_row(model: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
    row = {"model": model, "metric": metric, **spread(value, 100), "cpu_seconds": 4.321, "seconds": 2.87}
    return row | {"trials": 12, "params": {}, "calibration": "sigmoid"} | more


def binary_metrics(precision: float, recall: float, f1: float, auc: float) -> dict[str, dict[str, float]]:
    values = {
        "accuracy": 0.9825, "balanced_accuracy": 0.9795, "precision": precision, "recall": recall, "f1": f1,
        "roc_auc": auc, "pr_auc": 0.9968, "log_loss": 0.0671, "brier": 0.0162, "mcc": 0.9624, "kappa": 0.9622,
        "expected_cost": 0.0351,
    }  # fmt: skip
    return {name: spread(value, 171) for name, value in values.items()}


DUMMY = {
    "accuracy": 0.6316, "balanced_accuracy": 0.5, "precision": 0.0, "recall": 0.0, "f1": 0.0, "f1_macro": 0.3871,
    "roc_auc": 0.5, "pr_auc": 0.3684, "log_loss": 0.6582, "brier": 0.2327, "mcc": 0.0,
    "kappa": 0.0, "expected_cost": 1.8421,
}  # fmt: skip


def write_figures(folder: Path, dataset: str) -> Path:
    """Draw the four figures as the smallest drawings that have a shape."""
    folder.mkdir(parents=True, exist_ok=True)
    for topic in ("roc_curve", "pr_curve", "calibration", "threshold_cost", "confusion_matrix"):
        curve = '<path d="M4 36 Q8 4 56 4" fill="none" stroke="#0b6858"/>'
        drawing = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 40">{curve}</svg>'
        (folder / f"{topic}_{dataset}_.svg").write_text(drawing, "utf-8")
    return folder


def cancer(language: str = "en", **changes: Any) -> ReportFacts:
    """Two classes; the class that matters has code 1 and stands last in the schema."""
    names = ("mean radius", "mean texture", "worst area", "worst concave points", "worst perimeter")
    schema = Schema(tuple(Column(name, "numeric") for name in names), "diagnosis", ("benign", "malignant"), "malignant")
    project = Project.model_validate(
        {
            "project": {"name": "breast_cancer", "target": "diagnosis", "positive": "malignant", "language": language},
            "data": {"source": "sample:breast_cancer", "drop": ("patient_number",)},
            "split": {"test": 0.3, "stratify": False, "shuffle": False},
            "train": {"metric": "f1", "models": ("tree", "svc", "knn", "logistic_regression")},
            "decision": {"cost": {"false_positive": 1.0, "false_negative": 5.0}},
            "gate": {"min": {"f1": 0.9}},
            "audit": {"allow": {"worst area": "measured before the biopsy"}},
        }
    )
    families = {
        "logistic_regression": binary_metrics(0.9688, 0.9841, 0.9764, 0.9979),
        "svc": binary_metrics(0.9839, 0.9683, 0.9760, 0.9979),
        "knn": binary_metrics(0.9677, 0.9524, 0.9600, 0.9815),
        "tree": binary_metrics(0.9667, 0.9206, 0.9431, 0.9496),
    }
    confusions = {
        "logistic_regression": (106, 2, 1, 62),
        "svc": (107, 1, 2, 61),
        "knn": (106, 2, 3, 60),
        "tree": (106, 2, 5, 58),
    }
    matrices = {name: [[a, b], [c, d]] for name, (a, b, c, d) in confusions.items()}
    params = {
        "logistic_regression": {"C": 1.0, "max_iter": 10000, "penalty": "l2", "solver": "lbfgs"},
        "svc": {"C": 0.1, "gamma": "scale", "kernel": "linear"},
        "knn": {"metric": "manhattan", "n_neighbors": 3, "weights": "uniform"},
        "tree": {"criterion": "entropy", "max_depth": None, "min_samples_leaf": 2, "min_samples_split": 10},
    }
    values = {"logistic_regression": 0.9701, "svc": 0.9668, "knn": 0.9487, "tree": 0.9134}
    rows = [board_row(name, "f1", value, params=params[name]) for name, value in values.items()]
    rows.append(
        board_row("dummy", "f1", 0.0, trials=1, low=0.0, high=0.0, cpu_seconds=0.01, seconds=0.01, calibration="none")
    )
    facts = ReportFacts(
        project=project,
        run="20260301-101500-a1b2",
        created="2026-03-01",
        schema=schema,
        findings=(
            Finding("read_as", facts={"format": "sample", "details": "scikit-learn"}),
            Finding("leak", "worst area", {"auc": "0.9912"}, accepted="measured before the biopsy"),
            Finding("small_test", facts=_facts_of("small_test")),
        ),
        leaderboard={
            "metric": "f1",
            "better": "higher",
            "rows": rows,
            "chosen": "logistic_regression",
            "weights": {},
            "threshold": 0.4172,
            "threshold_reason": "cost",
        },
        evaluation={
            "rows": 171,
            "labels": ["benign", "malignant"],
            "positive": "malignant",
            "chosen": "logistic_regression",
            "threshold": 0.4172,
            "metrics": families["logistic_regression"],
            "dummy": {name: spread(value, 171) for name, value in DUMMY.items()},
            "candidates": families,
            "confusion": {"labels": ["benign", "malignant"], "matrix": matrices["logistic_regression"]},
            "confusions": matrices,
            "curves": {},
            "importance": [{"column": name, **spread(0.2 / (i + 1), 60)} for i, name in enumerate(names)],
            "per_class": [
                {"label": "benign", "rows": 108, "precision": 0.9907, "recall": 0.9815, "f1": 0.9860},
                {"label": "malignant", "rows": 63, "precision": 0.9688, "recall": 0.9841, "f1": 0.9764},
            ],
            "slices": [],
            "findings": [],
        },
        registration={
            "name": "breast_cancer",
            "version": 3,
            "bundle_digest": "9f" * 32,
            "champion": True,
            "previous_champion": 2,
            "gate": {
                "passed": True,
                "reasons": {
                    "en": ["F1 is 0.9764; at least 0.9000 was asked."],
                    "es": ["F1: 0,9764; se pedía al menos 0,9000."],
                }[language],
                "comparison": {"metric": "f1", "difference": 0.0004, "low": -0.01, "high": 0.011},
            },
        },
        split={"kind": "random", "by": None, "train": 398, "test": 171, "folds": 5, "seed": 42},
        data={"rows": 569, "columns": 31, "digest": "ab" * 32, "source": "sample:breast_cancer"},
        versions=VERSIONS,
    )
    return replace(facts, **changes)


def abstracts(language: str = "en", **changes: Any) -> ReportFacts:
    """Five classes from raw text, kept together by text; no probability curves, no cost, not promoted."""
    labels = ("1", "2", "3", "4", "5")
    columns = (
        Column("medical_abstract", "text"),
        Column("journal", "category", levels=("A", "B")),
        Column("pages", "numeric"),
    )
    project = Project.model_validate(
        {
            "project": {"name": "clinical", "target": "condition_label", "language": language},
            "data": {"source": "data/raw/medical_abstracts.csv"},
            "split": {"duplicates": "together"},
            "train": {"metric": "f1_macro", "models": ("linear_svc", "logistic_regression", "naive_bayes")},
        }
    )
    shown = {name: spread(0.61, 578) for name in METRICS if name not in ("log_loss", "brier", "expected_cost")}
    shown |= {
        "log_loss": {"value": 1.021, "low": 0.95, "high": 1.09},
        "brier": {"value": 0.51, "low": 0.48, "high": 0.55},
    }
    values = {
        "ensemble": 0.6031,
        "linear_svc": 0.5987,
        "logistic_regression": 0.5904,
        "naive_bayes": 0.5511,
        "dummy": 0.0803,
    }
    matrix = [[92, 6, 9, 8, 12], [10, 38, 2, 4, 6], [14, 3, 52, 9, 7], [9, 4, 11, 88, 10], [40, 12, 31, 33, 68]]
    facts = cancer(language)
    return replace(
        facts,
        project=project,
        schema=Schema(columns, "condition_label", labels),
        findings=(Finding("conflicting_labels", facts={"rows": 1412, "share": "3.1"}),),
        leaderboard={
            "metric": "f1_macro",
            "better": "higher",
            "chosen": "ensemble",
            "threshold": None,
            "threshold_reason": "",
            "weights": {"linear_svc": 0.6, "logistic_regression": 0.4, "naive_bayes": 0.0},
            "rows": [board_row(name, "f1_macro", value) for name, value in values.items()],
        },
        evaluation={
            "rows": 578,
            "labels": list(labels),
            "positive": None,
            "chosen": "ensemble",
            "threshold": None,
            "metrics": shown,
            "dummy": {name: spread(0.2, 578) for name in shown},
            "candidates": dict.fromkeys(values, shown),
            "confusion": {"labels": list(labels), "matrix": matrix},
            "confusions": {"ensemble": matrix},
            "curves": {},
            "importance": [{"column": "medical_abstract", "value": 0.52, "low": 0.49, "high": 0.55}],
            "per_class": [
                {"label": label, "rows": sum(matrix[i]), "precision": 0.6, "recall": 0.5 + i / 20, "f1": 0.58}
                for i, label in enumerate(labels)
            ],
            "slices": [
                {"column": "journal", "level": level, "rows": 289, "metric": "f1_macro", **spread(0.6 + i / 30, 289)}
                for i, level in enumerate(("A", "B"))
            ],
            "findings": [],
        },
        registration={
            "name": "clinical",
            "version": 2,
            "bundle_digest": "77" * 32,
            "champion": False,
            "previous_champion": 1,
            "gate": {"passed": False, "reasons": [], "comparison": None},
        },
        split={"kind": "random", "by": None, "train": 2310, "test": 578, "folds": 5, "seed": 7},
        data={"rows": 2888, "columns": 4, "digest": "cd" * 32, "source": "data/raw/medical_abstracts.csv"},
        **changes,
    )


def _facts_of(kind: str) -> dict[str, str | int | float]:
    """Return a number for every gap of a finding's sentence."""
    import string

    from tahona.core.findings import FINDINGS

    gaps = {name for _, name, _, _ in string.Formatter().parse(FINDINGS[kind].en) if name}
    return dict.fromkeys(gaps - {"column"}, 12)
