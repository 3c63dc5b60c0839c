"""Columns that give the label away: alone, one level of them, or the distance between two dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tahona.core.findings import Fact, Finding
from tahona.learn.audit.data import AuditData
from tahona.learn.duplicates import Codes, column_codes

LEAK_AUC = 0.99
LEAK_ACCURACY = 0.97
"""With many classes one class may be easy (a flower's petal); a leak tells all of them apart."""
SURE_SHARE = 0.98
FOLDS = 5
BINS = 256
LEAST_ROWS = 5
"""Rows a class needs before its separation means anything."""

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """How well one column alone tells the classes apart: AUC of each class against the rest, and balanced accuracy."""

    aucs: NDArray[np.float64]
    accuracy: float

    @property
    def auc(self) -> float:
        return float(np.nanmean(self.aucs)) if np.isfinite(self.aucs).any() else 0.5


def single_feature_leaks(data: AuditData) -> Iterator[Finding]:
    """Name every column that alone separates the classes, and with many classes those that give one class away."""
    for column in data.schema.features:
        found = separation(data.train[column.name], data.codes[column.name][: data.rows], data.y, len(data.counts))
        if found.auc > LEAK_AUC and (data.schema.binary or found.accuracy > LEAK_ACCURACY):
            yield Finding("leak", column.name, {"auc": _shown(found.auc)})
        elif not data.schema.binary and np.nanmax(found.aucs, initial=0.0) > LEAK_AUC:
            label = int(np.nanargmax(found.aucs))
            facts: dict[str, Fact] = {"label": data.schema.labels[label], "auc": _shown(float(found.aucs[label]))}
            yield Finding("leak_one_class", column.name, facts)


def date_distance_leaks(data: AuditData) -> Iterator[Finding]:
    """Name pairs of dates whose distance separates the classes: one of them was written after the outcome."""
    dates = [column.name for column in data.schema.of_kind("datetime")][:12]
    for one, other in combinations(dates, 2):
        distance = data.train[other] - data.train[one]
        found = separation(distance, column_codes(distance), data.y, len(data.counts))
        if found.auc > LEAK_AUC and (data.schema.binary or found.accuracy > LEAK_ACCURACY):
            late, early = (one, other) if data.split.by == other else (other, one)
            yield Finding("leak_distance", late, {"other": early, "auc": _shown(found.auc)})


def near_deterministic_levels(data: AuditData) -> Iterator[Finding]:
    """Name category levels that are frequent and nearly always of one class, where that class is not the usual one."""
    classes, usual = len(data.counts), data.counts / max(data.rows, 1)
    for column in data.schema.of_kind("category"):
        codes = data.codes[column.name][: data.rows]
        table = np.bincount(codes * classes + data.y, minlength=(int(codes.max()) + 1) * classes).reshape(-1, classes)
        rows = table.sum(axis=1)
        share = table.max(axis=1) / np.maximum(rows, 1)
        likely = table.argmax(axis=1)
        hits = np.flatnonzero((rows >= max(100, 0.05 * data.rows)) & (share >= SURE_SHARE) & (usual[likely] < 0.9))
        for level in hits.tolist():
            text = data.train[column.name][int(np.flatnonzero(codes == level)[0])]
            facts: dict[str, Fact] = {
                "level": "(null)" if text is None else str(text),
                "label": data.schema.labels[int(likely[level])],
                "share": round(100 * float(share[level]), 1),
                "rows": int(rows[level]),
            }
            yield Finding("near_deterministic_level", column.name, facts)


def separation(values: NDArray[np.generic], codes: Codes, y: NDArray[np.int64], classes: int) -> Separation:
    """Judge one column by itself, out of fold.

    Every value is replaced by the class shares that the *other* folds saw with it (numbers with many values are cut
    into 256 quantile bins first, null is a value), so that a column of unique values does not look like a leak. Numbers
    are also judged by their plain order, null as the least and as the greatest. A class with fewer than five rows on
    either side has no AUC (NaN).
    """
    numeric = values.dtype.kind == "f"
    codes = np.unique(codes, return_inverse=True)[1]
    levels = int(codes.max()) + 1
    ordered = _ordered_counts(values, codes, y, classes) if numeric else None
    if numeric and levels > BINS:
        codes = _quantile_bins(values.astype(np.float64))
        levels = int(codes.max()) + 1
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    cells = np.bincount((fold * levels + codes) * classes + y, minlength=FOLDS * levels * classes)
    counts = cells.reshape(FOLDS, levels, classes).astype(np.float64)
    usual = counts.sum(axis=(0, 1)) / len(y)
    others = counts.sum(axis=0)[None] - counts
    shares = (others + usual) / (others.sum(axis=2, keepdims=True) + 1.0)
    flat_counts, flat_shares = counts.reshape(-1, classes), shares.reshape(-1, classes)
    seen = flat_counts.sum(axis=1) > 0
    flat_counts, flat_shares = flat_counts[seen], flat_shares[seen]
    aucs = np.full(classes, np.nan)
    for label in [1] if classes == 2 else range(classes):
        own = flat_counts[:, label]
        rest = flat_counts.sum(axis=1) - own
        if min(own.sum(), rest.sum()) < LEAST_ROWS:
            continue
        aucs[label] = _auc(*_merge_ties(flat_shares[:, label], own, rest))
        for table in ordered or ():
            auc = _auc(table[:, label], table.sum(axis=1) - table[:, label])
            aucs[label] = max(aucs[label], auc, 1 - auc)
    return Separation(aucs, _balanced_accuracy(flat_counts, flat_shares / usual.clip(1e-12)))


def _ordered_counts(
    values: NDArray[np.generic], codes: Codes, y: NDArray[np.int64], classes: int
) -> tuple[Counts, Counts]:
    """Count classes per distinct value in ascending order: null first, and null last."""
    levels = int(codes.max()) + 1
    table = np.bincount(codes * classes + y, minlength=levels * classes).reshape(levels, classes).astype(np.float64)
    shown = np.empty(levels)
    shown[codes] = values
    order = np.argsort(shown, kind="stable")  # NaN comes last
    last = table[order]
    return np.roll(last, int(np.isnan(shown).any()), axis=0), last


def _quantile_bins(values: NDArray[np.float64]) -> Codes:
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS)[1:-1])) if len(known) else np.empty(0)
    bins = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), len(edges) + 1, bins).astype(np.int64)


def _merge_ties(scores: NDArray[np.float64], own: Counts, rest: Counts) -> tuple[Counts, Counts]:
    """Add up the counts of equal scores, in ascending order of score."""
    _, place = np.unique(scores, return_inverse=True)
    return np.bincount(place, weights=own).astype(np.float64), np.bincount(place, weights=rest).astype(np.float64)


def _auc(own: Counts, rest: Counts) -> float:
    """Return the chance that a row of the class stands above one of the rest, ties counted half (Mann–Whitney U)."""
    below = np.cumsum(rest) - rest
    return float((own * (below + rest / 2)).sum() / (own.sum() * rest.sum()))


def _balanced_accuracy(counts: Counts, lift: NDArray[np.float64]) -> float:
    """Return the mean recall when each cell is given to the class whose share it raises most."""
    guessed = lift.argmax(axis=1)
    hits = np.array([counts[guessed == label, label].sum() for label in range(counts.shape[1])])
    rows = counts.sum(axis=0)
    return float((hits[rows > 0] / rows[rows > 0]).mean())


def _shown(auc: float) -> float:
    return round(auc, 4)
