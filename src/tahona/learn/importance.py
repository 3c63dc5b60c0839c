"""What a model looks at: how much worse it gets when one raw column is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.decision import decide
from tahona.core.metrics import METRICS, compute
from tahona.learn.columns import Columns, take

MOST_ROWS = 5_000
REPEATS, REPEATS_OF_FEW = 3, 5
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

    ``predict`` gives probabilities (n, k) for raw columns, so that everything made of a column (its levels, its words,
    its parts of a date) is shuffled at once. At most ``rows`` rows are drawn. ``value`` is the mean over ``repeats``
    shuffles, positive where the column helps, whatever the metric's direction; ``low`` and ``high`` are the least and
    the greatest drop seen. Columns that carry the same information hide one another.
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

    whole = value(predict(columns))
    # One call for all repeats of a column: a table three times as long costs a model less than three tables.
    long = {name: np.tile(values, repeats) for name, values in columns.items()}
    orders = [random.permutation(count) for _ in range(repeats)]
    table = []
    for name, values in columns.items():
        shuffled = np.concatenate([values[order] for order in orders])
        proba = predict({**long, name: shuffled})
        drops = [sign * (whole - value(proba[repeat * count : (repeat + 1) * count])) for repeat in range(repeats)]
        mean = sum(drops) / repeats
        table.append({"column": name, "value": mean, "low": min(drops), "high": max(drops)})
    return sorted(table, key=lambda row: (-float(row["value"]), str(row["column"])))
