"""How good the predictions are, what they cost, and whether the difference to Tahona is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from peers.protocol import Task, read_task
from peers.runs import Result
from tahona.core.bootstrap import draw_counts, percentile_bounds
from tahona.core.metrics import METRICS, Sample, Weighted, compute

RESAMPLES = 2_000
SEED = 0
"""Of the resampling: the same rows are drawn for every peer, and for every seed whose test rows are the same."""
OURS = "tahona"
QUALITY = ("ROC AUC", "PR AUC", "log loss", "F1")
COST = ("CPU s", "wall s", "others' CPU s", "peak MB", "disk MB", "one row ms", "10,000 rows ms")
COLUMNS = ("seeds", *QUALITY, *COST, "measured")
Values = NDArray[np.float64]


class NotComparableError(Exception):
    """Predictions that are no probabilities of the test rows, or not those that Tahona has reported itself."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A result with its predictions judged on the test rows."""

    result: Result
    task: Task
    metrics: Mapping[str, float]
    """roc_auc, pr_auc, log_loss, f1 (of the likeliest class; macro with more than two)."""


def judge(result: Result, task: Path) -> Judged:
    """Judge a result's predictions. Raises NotComparableError."""
    about = read_task(task)
    y, proba = codes(about), result.predictions
    who = f"{result.peer} on {result.data}, seed {result.seed}"
    if proba.shape != (len(y), len(about.classes)):
        raise NotComparableError(f"{who}: {proba.shape} predictions of {len(y)} rows")
    if not np.isfinite(proba).all() or proba.min() < 0 or np.abs(proba.sum(axis=1) - 1).max() > 1e-3:
        raise NotComparableError(f"{who}: predictions are no probabilities")
    f1 = "f1" if len(about.classes) == 2 else "f1_macro"
    metrics = compute(("roc_auc", "pr_auc", "log_loss", f1), y, proba, proba.argmax(axis=1))
    for name, claimed in result.facts.get("claimed", {}).items():
        if name in ("roc_auc", "log_loss") and abs(claimed - metrics[name]) > 1e-9:
            raise NotComparableError(f"{who}: its report says {name} {claimed}, the predictions say {metrics[name]}")
    metrics["f1"] = metrics.pop(f1)
    return Judged(result, about, metrics)


def codes(task: Task) -> NDArray[np.int64]:
    """Return each test row's place among the classes."""
    return np.searchsorted(np.asarray(task.classes), task.labels()).astype(np.int64)


@cache
def resampled(judged: Judged, name: str) -> Values:
    """Return a metric on each resample of the test rows."""
    rows = Sample(codes(judged.task), judged.result.predictions, None)
    drawn = draw_counts(len(rows.y), RESAMPLES, seed=SEED)
    return np.concatenate([METRICS[name].measure(Weighted(rows, counts)) for counts in drawn])


@dataclass(frozen=True)
class Difference:
    """Ours less theirs, over the seeds that both have: mean, its 95 % interval, and each seed's."""

    mean: float
    low: float
    high: float
    per_seed: tuple[float, ...]

    def markdown(self) -> str:
        each = ", ".join(f"{one:+.4f}" for one in self.per_seed) if len(self.per_seed) > 1 else ""
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]{f' ({each})' if each else ''}"


def difference(pairs: Sequence[tuple[Judged, Judged]], name: str) -> Difference:
    """Compare on the same resamples. The interval is of the seeds' mean: seeds themselves are not resampled."""
    drawn = np.mean([resampled(ours, name) - resampled(theirs, name) for ours, theirs in pairs], axis=0)
    per_seed = tuple(ours.metrics[name] - theirs.metrics[name] for ours, theirs in pairs)
    return Difference(mean(per_seed), *percentile_bounds(drawn), per_seed)


def tables(title: str, judged: Sequence[Judged], titles: Mapping[str, str]) -> str:
    """Return a table of figures, and below it one of Tahona against each peer."""
    groups: dict[object, list[Judged]] = {}
    for one in judged:
        key = (one.result.peer, () if one.result.peer.startswith(OURS) else one.result.key)
        groups.setdefault(key, []).append(one)
    rows = list(groups.values())
    lines = [
        f"**{title}**",
        "",
        f"| | {' | '.join(COLUMNS)} |",
        f"|{'---|' * (len(COLUMNS) + 1)}",
        *(figures(row, titles) for row in rows),
    ]
    for ours in (row for row in rows if row[0].result.peer.startswith(OURS)):
        others = [row for row in rows if not row[0].result.peer.startswith(OURS)]
        compared = [against(ours, theirs, titles) for theirs in others]
        if any(compared):
            lines += [
                "",
                f"| {titles[ours[0].result.peer]} against | ROC AUC more by | log loss more by | CPU | disk |",
                "|---|---|---|---|---|",
                *filter(None, compared),
            ]
    return "\n".join(lines)


def name_of(group: Sequence[Judged], titles: Mapping[str, str]) -> str:
    """Return a peer's title with its version and arguments."""
    result = group[0].result
    package, version = next(iter(result.facts["versions"].items()))
    said = [f"{package} {version}", *(f"{key.replace('_', ' ')} {value}" for key, value in result.arguments.items())]
    return f"{titles[result.peer]} ({', '.join(said)})"


def figures(group: Sequence[Judged], titles: Mapping[str, str]) -> str:
    """Return one peer's line: means over its seeds."""
    results = [one.result for one in group]
    seeds = ", ".join(str(result.seed) for result in results)
    quality = [f"{mean(one.metrics[name] for one in group):.4f}" for name in ("roc_auc", "pr_auc", "log_loss", "f1")]
    cost = [
        short(mean(result.training[name] for result in results)) for name in ("cpu", "wall", "others_cpu", "peak_mb")
    ]
    told = ("disk_mb", "one_row_ms", "many_rows_ms")
    cost += [short(mean(result.facts[name] for result in results)) for name in told]
    dates = " to ".join(sorted({min(result.date for result in results), max(result.date for result in results)}))
    return f"| {' | '.join([name_of(group, titles), seeds, *quality, *cost, dates])} |"


def short(value: float) -> str:
    """Write a number with about three digits."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def against(ours: Sequence[Judged], theirs: Sequence[Judged], titles: Mapping[str, str]) -> str:
    """Return the line of one peer, nothing when no seed is common."""
    by_seed = {one.result.seed: one for one in theirs}
    pairs = [(one, by_seed[one.result.seed]) for one in ours if one.result.seed in by_seed]
    if not pairs:
        return ""
    cpu = mean(one.result.training["cpu"] / other.result.training["cpu"] for one, other in pairs)
    disk = mean(one.result.facts["disk_mb"] / other.result.facts["disk_mb"] for one, other in pairs)
    found = [difference(pairs, name).markdown() for name in ("roc_auc", "log_loss")]
    seeds = f"{len(pairs)} seeds" if len(pairs) > 1 else f"seed {pairs[0][0].result.seed}"
    return f"| {titles[theirs[0].result.peer]}, {seeds} | {' | '.join(found)} | {cpu:.3f}× | {disk:.4f}× |"
