"""Estimators that predict without the library that fitted them, from a bundle's compiled form (`tahona.scorer`).

Importing scikit-learn, or LightGBM's Python code which imports it, takes more CPU (1.3 to 2 s) than predicting half a
million rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.learn.families.family import Estimator
from tahona.scorer.lightgbm import Trees

Head = Mapping[str, Any]
"""What the compiled form says of one estimator (`tahona.bundle.compiled`)."""
_PLAIN_LINKS = ("logistic", "softmax", "margin")


class LightLinear:
    """The attributes of scikit-learn's linear estimators that prediction reads."""

    def __init__(self, coefficients: NDArray[np.float64], intercepts: Sequence[float]) -> None:
        self.coef_ = coefficients
        self.intercept_ = np.array(intercepts)


LIGHT = (Trees, LightLinear)


def light_estimators(heads: Sequence[Head], folder: Path, *, texts: bool) -> tuple[Estimator, ...] | None:
    """Return what stands for a model's estimators, None where one needs its library; texts make sparse matrices."""
    found: list[Estimator] = []
    for head in heads:
        if head["engine"] == "lightgbm" and not texts:
            found.append(Trees((folder / head["file"]).read_bytes()))
        elif head["engine"] == "linear" and head["link"] in _PLAIN_LINKS and not head.get("floor"):
            found.append(LightLinear(np.load(folder / head["coefficients"], allow_pickle=False), head["intercepts"]))
        else:
            return None
    return tuple(found)
