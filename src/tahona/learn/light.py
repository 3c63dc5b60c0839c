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


class LightTrees:
    """As much of LightGBM's Booster as prediction asks of it; one thread, dense matrices."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._trees = Trees(text.encode("utf-8"))

    def model_to_string(self) -> str:
        return self._text

    def predict(self, matrix: NDArray[Any], *, num_threads: int = 1, raw_score: bool = False) -> NDArray[np.float64]:
        assert num_threads == 1
        found = self._trees.ask_many(np.ascontiguousarray(matrix, dtype=np.float64), "raw" if raw_score else "normal")
        return found[:, 0] if found.shape[1] == 1 else found


class LightLinear:
    """The attributes of scikit-learn's linear estimators that prediction reads."""

    def __init__(self, coefficients: NDArray[np.float64], intercepts: Sequence[float]) -> None:
        self.coef_ = coefficients
        self.intercept_ = np.array(intercepts)


LIGHT = (LightTrees, LightLinear)


def light_estimators(heads: Sequence[Head], folder: Path, *, texts: bool) -> tuple[Estimator, ...] | None:
    """Return what stands for a model's estimators, None where one needs its library; texts make sparse matrices."""
    found: list[Estimator] = []
    for head in heads:
        if head["engine"] == "lightgbm" and not texts:
            found.append(LightTrees((folder / head["file"]).read_text("utf-8")))
        elif head["engine"] == "linear" and head["link"] in _PLAIN_LINKS and not head.get("floor"):
            found.append(LightLinear(np.load(folder / head["coefficients"], allow_pickle=False), head["intercepts"]))
        else:
            return None
    return tuple(found)
