"""What a model looks at: how much worse it gets when one raw column is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.decision import decide
from tahona.core.metrics import METRICS, compute
from tahona.learn.columns import Columns, take

MOST_ROWS = 1_000
REPEATS, REPEATS_OF_FEW = 2, 5
"""Shuffles per column; more of a test part under 1,000 rows, where one shuffle says less."""

_FEW = 1_000

Predict = Callable[[Columns], NDArray[np.float64]]


def permutation_importance(
    predict: Predict,
    columns: Columns,
    y: NDArray[Any],
    *,
    metric: str,
    threshold: float | None = None,
    cost: Mapping[str, float] | None = None,
    repeats: int | None = None,
    rows: int = MOST_ROWS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the drop in the metric per raw column (Breiman 2001), the most important first.

    ``predict`` gives probabilities (n, k) for raw columns, each row for itself: everything made of a column (levels,
    words, parts of a date) is shuffled at once. At most ``rows`` rows are drawn. ``value`` is the mean over
    ``repeats`` shuffles, positive where the column helps, whatever the metric's direction; ``low`` and ``high`` are the
    least and the greatest drop seen. Columns that carry the same information hide one another.
    """
    random = np.random.default_rng(seed)
    if len(y) > rows:
        kept = np.sort(random.choice(len(y), rows, replace=False))
        columns, y = take(columns, kept), y[kept]
    count = len(y)
    repeats = repeats or (REPEATS_OF_FEW if count < _FEW else REPEATS)
    sign = METRICS[metric].sign

    def value(proba: NDArray[np.float64]) -> float:
        return compute([metric], y, proba, decide(proba, threshold), cost=cost)[metric]

    untouched = predict(columns)
    whole = value(untouched)
    orders = [random.permutation(count) for _ in range(repeats)]
    table = []
    for name in columns:
        proba = _shuffled(predict, columns, name, orders, untouched)
        drops = [sign * (whole - value(proba[repeat * count : (repeat + 1) * count])) for repeat in range(repeats)]
        mean = sum(drops) / repeats
        table.append({"column": name, "value": mean, "low": min(drops), "high": max(drops)})
    return sorted(table, key=lambda row: (-float(row["value"]), str(row["column"])))


def _shuffled(
    predict: Predict,
    columns: Columns,
    name: str,
    orders: Sequence[NDArray[np.int64]],
    untouched: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the probabilities after each of these shuffles of one column, (len(orders) · n, k).

    A row gets the same bits in any company, so the model is asked once for each pair of row and new value, and not at
    all where a row is given the value that it had: of a column that is nearly always 0 hardly anything is left.
    """
    values = columns[name]
    first, codes = _distinct(values)
    given = np.stack([codes[order] for order in orders])
    pairs = np.arange(len(codes)) * len(first) + given
    changed = (given != codes).ravel()
    proba = np.concatenate([untouched] * len(orders))
    if changed.any():
        asked, places = np.unique(pairs.ravel()[changed], return_inverse=True)
        rows = dict(take(columns, asked // len(first)))
        rows[name] = values[first[asked % len(first)]]
        proba[changed] = predict(rows)[places]
    return proba


def _distinct(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each distinct value first stands, and for each row (n,) which one it has. Floats differ by bits."""
    if values.dtype == np.float64:
        _, first, codes = np.unique(values.view(np.int64), return_index=True, return_inverse=True)
        return first, codes
    known: dict[Any, int] = {}
    codes = np.fromiter((known.setdefault(value, len(known)) for value in values.tolist()), np.int64, len(values))
    return np.unique(codes, return_index=True)[1], codes
