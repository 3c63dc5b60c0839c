"""The compiled form of a bundle: what the row scorer reads in place of estimators, and how it was judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tahona.bundle.parity import compare
from tahona.learn.families.family import Estimator
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.load import FORMAT, NAME, build_scorer

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle

Head = Mapping[str, Any]
Row = Mapping[str, object]


def write_compiled(bundle: Bundle, folder: Path, rows: Sequence[Row]) -> None:
    """Write `scorer.json`, and the files that it names, beside the bundle's own in its folder.

    The scorer made of them answers ``rows`` one by one; it is accepted if the bundle gives them the same bits.
    """
    compiled: dict[str, Any] = {"format": FORMAT, "slow": "", "members": [], "verdict": None}
    try:
        _check(bundle, rows)
        compiled["members"] = [
            [_head(bundle, folder, member, place) for place in range(len(bundle.members[member].model.estimators))]
            for member in range(len(bundle.members))
        ]
        scorer = build_scorer(lambda name: (folder / name).read_bytes(), compiled)
    except NotCompiledError as reason:
        compiled |= {"slow": reason.what, "members": []}
    else:
        verdict = compare(bundle, scorer, rows)
        compiled |= {"verdict": verdict.to_dict(), "slow": "" if verdict.accepted else verdict.why}
    text = json.dumps(compiled, sort_keys=True, indent=1, ensure_ascii=False)
    (folder / NAME).write_text(text + "\n", "utf-8")


def _check(bundle: Bundle, rows: Sequence[Row]) -> None:
    if bundle.cleaning.functions:
        raise NotCompiledError("the project's cleaning functions come before it, which a bundle does not hold")
    if not rows:
        raise NotCompiledError("it was written without rows on which a compiled form could be judged")


def _head(bundle: Bundle, folder: Path, member: int, place: int) -> Head:
    """Return what stands for one estimator."""
    model = bundle.members[member].model
    compile_one = _COMPILERS.get(model.family)
    if compile_one is None:
        raise NotCompiledError(f"{model.family} has no compiled form")
    return compile_one(model.estimators[place], _Place(folder, f"members/{member}", f"_{place}" if place else ""))


class _Place:
    """Where an estimator's own file lies in the bundle, and where more may be written."""

    def __init__(self, folder: Path, member: str, suffix: str) -> None:
        self.folder = folder
        self.own = f"{member}/model{suffix}"

    def write(self, ending: str, data: bytes) -> str:
        """Write a file of the compiled form and return its name."""
        name = f"{self.own}.{ending}"
        (self.folder / name).write_bytes(data)
        return name


def _lightgbm(_estimator: Estimator, place: _Place) -> Head:
    return {"engine": "lightgbm", "file": f"{place.own}.txt"}


def _logistic_regression(estimator: Estimator, _place: _Place) -> Head:
    if hasattr(estimator, "estimators_"):
        lines = [line for part in estimator.estimators_ for line in part.coef_.tolist()]
        biases = [bias for part in estimator.estimators_ for bias in _biases(part)]
        return {"engine": "linear", "coefficients": lines, "intercepts": biases, "link": "one against rest"}
    link = "logistic" if len(estimator.coef_) == 1 else "softmax"
    return _linear(estimator) | {"link": link}


def _linear_svc(estimator: Estimator, _place: _Place) -> Head:
    return _linear(estimator) | {"link": "margin"}


def _linear(estimator: Estimator) -> dict[str, Any]:
    return {"engine": "linear", "coefficients": estimator.coef_.tolist(), "intercepts": _biases(estimator)}


def _biases(estimator: Estimator) -> list[float]:
    """Return an intercept per line of coefficients; scikit-learn has one 0.0 where none was fitted."""
    found: list[float] = np.broadcast_to(estimator.intercept_, len(estimator.coef_)).tolist()
    return found


def _dummy(estimator: Estimator, _place: _Place) -> Head:
    return {"engine": "constant", "shares": estimator.class_prior_.tolist()}


_COMPILERS: Mapping[str, Callable[[Estimator, _Place], Head]] = {
    "dummy": _dummy,
    "lightgbm": _lightgbm,
    "linear_svc": _linear_svc,
    "logistic_regression": _logistic_regression,
}
