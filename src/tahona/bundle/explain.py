"""Why a row got its score: what each raw column adds to it, from a base that is the same for every row.

``base`` + the sum of the contributions is the model's raw score, which calibration turns into a probability without
changing the order of rows. Trees: SHAP values along the trees' own paths (Lundberg et al. 2020). Linear models: weight
times value, where a standardised number counts from its training mean and everything else (levels, words) from absence.
What the encoding made of one raw column is added up again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.errors import InputError
from tahona.learn.columns import Columns, take
from tahona.learn.families import FAMILIES
from tahona.learn.families.family import Estimator, Matrix, Scores, is_sparse
from tahona.learn.families.linear import linear_margins
from tahona.learn.folds import tidy
from tahona.learn.threads import one_thread

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from tahona.bundle.bundle import Bundle
    from tahona.learn.model import FittedModel

Units = Literal["log-odds", "logit", "margin", "probability"]
"""log-odds: of the class against the other one, or against all others. logit: what softmax turns into probabilities.
margin: signed distance from the border of a support vector machine, in its own measure. probability: a forest's share
of the class."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Contributions (n, columns) to the raw scores (n,) of one class per row."""

    units: Units
    columns: tuple[str, ...]
    of: tuple[str, ...]
    """The class that each row's score speaks for: of two the positive one, of more the one decided for."""
    base: NDArray[np.float64]
    score: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one estimator says of one class: contributions of matrix columns (n, width), base and raw score (n,)."""

    units: Units
    values: NDArray[np.float64] | csr_matrix
    base: float
    score: Scores

    def turned(self) -> _Part:
        """Return the same for the other one of two classes."""
        whole = 1.0 if self.units == "probability" else 0.0
        return _Part(self.units, -self.values, whole - self.base, whole - self.score)


def explain(bundle: Bundle, columns: Columns, codes: NDArray[np.int64]) -> Explanation:
    """Explain the raw scores of rows (as `raw_columns` gives them) for which the bundle decided ``codes`` (n,).

    Of a mixture, and of models that are averaged, the raw scores and contributions are added up by their shares. Raises
    InputError for families that are not explained, and for a mixture of scores in different units.
    """
    of = np.ones(len(codes), dtype=np.int64) if bundle.schema.binary else codes
    names = tuple(column.name for column in bundle.schema.features)
    values, base, score = np.zeros((len(of), len(names))), np.zeros(len(of)), np.zeros(len(of))
    units: set[Units] = set()
    for member in bundle.members:
        model = member.model
        sums = _sums(model.encoding.sources, names)
        for code in np.unique(of):
            rows = np.flatnonzero(of == code)
            matrix = FAMILIES[model.family].prepare(tidy(model.encoding.apply(take(columns, rows))))
            for estimator, share in zip(model.estimators, model.weights, strict=True):
                part = _part(model, estimator, matrix, int(code))
                weight = member.weight * share
                units.add(part.units)
                values[rows] += weight * np.asarray(part.values @ sums)
                base[rows] += weight * part.base
                score[rows] += weight * part.score
    if len(units) > 1:
        raise InputError(f"a mixture of scores in different units ({', '.join(sorted(units))}) is not explained")
    labels = tuple(bundle.schema.labels[code] for code in of)
    return Explanation(units.pop(), names, labels, base, score, values)


def _sums(sources: tuple[str, ...], names: tuple[str, ...]) -> csr_matrix:
    """Return (width, columns) ones: what adds up the matrix columns of each raw column."""
    from scipy.sparse import csr_matrix

    place = {name: index for index, name in enumerate(names)}
    width = len(sources)
    cells = (np.arange(width), np.array([place[source] for source in sources]))
    return csr_matrix((np.ones(width), cells), shape=(width, len(names)))


def _part(model: FittedModel, estimator: Estimator, matrix: Matrix, code: int) -> _Part:
    ask = _FAMILIES.get(model.family)
    if ask is None or code not in model.seen:
        raise InputError(
            f"a model of the family {model.family} is not explained",
            fix=f"families that are: {', '.join(sorted(_FAMILIES))}",
        )
    place = model.seen.index(code)
    with one_thread():
        if len(model.seen) > 2:
            return ask(model, estimator, matrix, place)
        part = ask(model, estimator, matrix, 0)
    return part if place == 1 else part.turned()


def _linear(model: FittedModel, estimator: Estimator, matrix: Matrix, place: int) -> _Part:
    """Explain weights; ``place`` is the class's among those seen, 0 where one score speaks for two classes."""
    against_rest = hasattr(estimator, "estimators_")
    fitted, row = (estimator.estimators_[place], 0) if against_rest else (estimator, place)
    weights, margins = fitted.coef_[row], linear_margins(fitted, matrix)
    values = matrix.multiply(weights).tocsr() if is_sparse(matrix) else np.asarray(matrix) * weights
    two = against_rest or len(model.seen) == 2
    units: Units = "margin" if FAMILIES[model.family].gives == "margin" else "log-odds" if two else "logit"
    offset = np.broadcast_to(fitted.intercept_, len(fitted.coef_))[row]
    return _Part(units, values, float(offset), margins if margins.ndim == 1 else margins[:, row])


def _kernel_machine(model: FittedModel, estimator: Estimator, matrix: Matrix, place: int) -> _Part:
    """Explain a support vector machine whose kernel is the plain product: of two classes, it is a linear model."""
    if getattr(estimator, "kernel", "") != "linear" or len(model.seen) > 2:
        raise InputError(
            "a support vector machine is explained for two classes and a linear kernel only",
            fix=f"families that are explained: {', '.join(sorted(_FAMILIES))}",
        )
    weights = estimator.coef_.toarray() if is_sparse(estimator.coef_) else estimator.coef_
    values = matrix.multiply(weights[place]).tocsr() if is_sparse(matrix) else np.asarray(matrix) * weights[place]
    margins = np.asarray(estimator.decision_function(matrix))
    return _Part("margin", values, float(estimator.intercept_[0]), margins)


def _lightgbm(model: FittedModel, estimator: Estimator, matrix: Matrix, place: int) -> _Part:
    given: Any = estimator.predict(matrix, pred_contrib=True, num_threads=1)
    score = np.asarray(estimator.predict(matrix, raw_score=True, num_threads=1))
    if isinstance(given, list):
        given = given[place]
    elif len(model.seen) > 2:
        width = matrix.shape[1] + 1
        given = given[:, place * width : (place + 1) * width]
    return _shapley(model, given, score if score.ndim == 1 else score[:, place])


def _xgboost(model: FittedModel, estimator: Estimator, matrix: Matrix, place: int) -> _Part:
    """Explain with XGBoost's own values, which it computes in single precision."""
    from xgboost import DMatrix

    coded = model.encoding.categorical
    kinds = ["c" if column in coded else "q" for column in range(matrix.shape[1])] if coded else None
    rows = DMatrix(matrix, feature_types=kinds, enable_categorical=bool(coded), nthread=1)
    given = np.asarray(estimator.predict(rows, pred_contribs=True), dtype=np.float64)
    score = np.asarray(estimator.predict(rows, output_margin=True), dtype=np.float64)
    given, score = (given[:, place], score[:, place]) if given.ndim == 3 else (given, score)
    return _shapley(model, given, score)


def _shapley(model: FittedModel, given: NDArray[np.float64] | csr_matrix, score: Scores) -> _Part:
    """Return boosters' values, whose last column is the base."""
    base = float(given[0, -1])
    return _Part("log-odds" if len(model.seen) == 2 else "logit", given[:, :-1], base, score)


def _forest(model: FittedModel, estimator: Estimator, matrix: Matrix, place: int) -> _Part:
    from tahona.bundle.shapley import forest_values

    told = forest_values(estimator, matrix, 1 if len(model.seen) == 2 else place)
    return _Part("probability", told.values, told.base, told.score)


def _histograms(model: FittedModel, estimator: Estimator, matrix: Matrix, place: int) -> _Part:
    from tahona.bundle.shapley import histogram_values

    told = histogram_values(estimator, matrix, place)
    return _Part("log-odds" if len(model.seen) == 2 else "logit", told.values, told.base, told.score)


_FAMILIES: Mapping[str, Callable[[FittedModel, Estimator, Matrix, int], _Part]] = {
    "logistic_regression": _linear,
    "linear_svc": _linear,
    "svc": _kernel_machine,
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "tree": _forest,
    "random_forest": _forest,
    "extra_trees": _forest,
    "hist_gradient_boosting": _histograms,
}
