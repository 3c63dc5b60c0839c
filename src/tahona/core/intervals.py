"""The interval of a mean over folds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tahona.core.bootstrap import LEVEL
from tahona.core.records import Interval


def fold_interval(
    values: Sequence[float],
    fit_rows: Sequence[int],
    validate_rows: Sequence[int],
    *,
    floor: float = -math.inf,
    ceiling: float = math.inf,
) -> Interval:
    """Return the mean of a metric over folds with its corrected resampled t interval (Nadeau & Bengio 2003).

    Folds share training rows, so their values vary less than those of independent experiments. The variance of the mean
    is therefore taken as ``(1/k + validate/fit) · s²`` instead of ``s²/k``, with k - 1 degrees of freedom. The ends are
    cut to what the metric can reach. Folds whose value is NaN are left out; with fewer than two, both ends are NaN.
    """
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    if not known:
        return Interval(math.nan, math.nan, math.nan)
    kept = np.array([values[place] for place in known])
    mean = float(kept.mean())
    k = len(kept)
    if k < 2:
        return Interval(mean, math.nan, math.nan)
    from scipy.special import stdtrit

    share = float(np.mean([validate_rows[place] / fit_rows[place] for place in known]))
    half = float(stdtrit(k - 1, (1 + LEVEL) / 2)) * math.sqrt((1 / k + share) * float(kept.var(ddof=1)))
    return Interval(mean, max(floor, mean - half), min(ceiling, mean + half))
