"""A fitted model with its encoding: asked, written, read back. Nothing here is a pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from tahona.errors import IntegrityError
from tahona.learn.families import FAMILIES, Family
from tahona.learn.families.boosting import read_lightgbm, read_xgboost
from tahona.learn.families.family import Codes, Estimator, Limit, Matrix, Scores, Setting, is_sparse, likeliest
from tahona.learn.families.linear import with_intercept
from tahona.learn.folds import tidy
from tahona.learn.light import LIGHT, Head, light_estimators
from tahona.learn.threads import one_thread

if TYPE_CHECKING:
    from tahona.learn.columns import Columns
    from tahona.learn.encoding import Encoding

FORMAT = 2

# Every name that a skops file of ours may hold, and nothing else: skops itself would allow all of scikit-learn, and of
# what stands here it mistrusts three. `functools.partial` and `check_array` are in the preprocessing of
# HistGradientBoosting; a partial can only call what is on this list. `TreePredictor` holds indices into arrays that
# scikit-learn does not check, so a forged file could crash a prediction: a bundle's digest is checked before this.
TRUSTED = frozenset(
    {
        "builtins.bool",
        "builtins.dict",
        "builtins.float",
        "builtins.int",
        "builtins.list",
        "builtins.slice",
        "builtins.str",
        "builtins.tuple",
        "functools.partial",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "numpy.random._generator.Generator",
        "numpy.uint64",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn.compose._column_transformer.ColumnTransformer",
        "sklearn.dummy.DummyClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.multiclass.OneVsRestClassifier",
        "sklearn.naive_bayes.ComplementNB",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.preprocessing._encoders.OrdinalEncoder",
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "sklearn.preprocessing._label.LabelBinarizer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.svm._classes.LinearSVC",
        "sklearn.svm._classes.SVC",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
        "tahona.learn.families.landmarks.Kernel",
        "tahona.learn.families.landmarks.LandmarkMachine",
    }
)


_NO_MATRIX = np.empty((0, 0))
"""Stands where a decision is made by the scores alone."""


@dataclass(frozen=True, slots=True)
class FittedModel:
    """One family's estimator, fitted, with the encoding of its raw columns; or a few, whose scores are averaged.

    ``seen`` are the class codes that its training rows showed, in order; ``classes`` counts all of the schema.
    ``rows_used`` is less than the training rows where the family learns from a sample.
    """

    family: str
    params: Mapping[str, Any]
    encoding: Encoding
    estimators: tuple[Estimator, ...]
    classes: int
    seen: tuple[int, ...] = ()
    rows_used: int = 0
    weights: tuple[float, ...] = (1.0,)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def scores(self, columns: Columns) -> Scores:
        """Return (n, k) probabilities; of margin families (n,) margins of class 1, or (n, k) with more classes."""
        return self.predict(columns)[0]

    def decide(self, columns: Columns) -> Codes:
        """Return the estimator's own decision, (n,) class codes."""
        return self.predict(columns)[1]

    def predict(self, columns: Columns) -> tuple[Scores, Codes]:
        """Return scores and the estimator's own decision. A row gets the same bits alone and in any batch."""
        family = FAMILIES[self.family]
        if self.encoding.wide and family.of_margins and all(hasattr(each, "coef_") for each in self.estimators):
            answers = (self._directly(family, family.of_margins, each, columns) for each in self.estimators)
        else:
            matrix = tidy(self.encoding.apply(columns))
            answers = (ask(family, each, matrix, self.seen, self.classes) for each in self.estimators)
        scores, decided = next(answers)
        if len(self.estimators) == 1:
            return scores, decided
        total = scores * self.weights[0]
        for (more, _), weight in zip(answers, self.weights[1:], strict=True):
            total = total + more * weight
        return total, likeliest(None, _NO_MATRIX, total)

    def _directly(
        self, family: Family, of_margins: Callable[[Scores], Scores], estimator: Estimator, columns: Columns
    ) -> tuple[Scores, Codes]:
        """Ask a linear estimator without its matrix, to the same bits: wide ones are mostly zeros."""
        scores = of_margins(with_intercept(self.encoding.products(columns, estimator.coef_), estimator))
        decided = family.decide(estimator, _NO_MATRIX, scores)
        return _spread(scores, self.seen, self.classes, family), np.asarray(self.seen, dtype=np.int64)[decided]


def ask(
    family: Family, estimator: Estimator, matrix: Matrix, seen: tuple[int, ...], classes: int
) -> tuple[Scores, Codes]:
    """Return scores and decision for rows already encoded, with every class of the schema in its place."""
    ready = family.prepare(matrix)
    with nullcontext() if isinstance(estimator, LIGHT) else one_thread():
        scores = family.scores(estimator, ready)
        decided = family.decide(estimator, ready, scores)
    return _spread(scores, seen, classes, family), np.asarray(seen, dtype=np.int64)[decided]


def _spread(scores: Scores, seen: tuple[int, ...], classes: int, family: Family) -> Scores:
    """Give classes that the training rows did not show their column: probability 0, or the least margin."""
    if len(seen) == classes:
        return scores
    if family.gives == "probability":
        whole = np.zeros((len(scores), classes))
    else:
        scores = np.column_stack((-scores, scores)) if scores.ndim == 1 else scores
        whole = np.repeat(scores.min(axis=1, keepdims=True), classes, axis=1)
    whole[:, list(seen)] = scores
    return whole


def fit_estimator(
    family: Family,
    params: Mapping[str, Any],
    matrix: Matrix,
    y: NDArray[np.int64],
    *,
    seed: int,
    categorical: tuple[int, ...] = (),
    watched: tuple[Matrix, NDArray[np.int64]] | None = None,
    limit: Limit | None = None,
) -> tuple[Estimator, tuple[int, ...], int | None]:
    """Return what is kept of the fit, the class codes seen, and how many rounds were best on the watched rows.

    ``limit`` bounds the time of a fit that watches rows. Whatever the library raises goes through.
    """
    seen, codes = np.unique(y, return_inverse=True)
    ready = family.prepare(matrix)
    setting = Setting(len(seen), seed, 1, categorical, is_sparse(matrix), int(matrix.shape[1]))
    if watched is not None:
        setting = replace(setting, watched=_of_classes(seen, *watched), limit=limit)
    estimator = family.build(params, setting)
    with one_thread():
        rounds = family.fit(estimator, ready, codes, setting)
    return family.freeze(estimator), tuple(int(code) for code in seen), rounds


def _of_classes(seen: NDArray[np.int64], matrix: Matrix, y: NDArray[np.int64]) -> tuple[Matrix, NDArray[np.int64]]:
    """Return the rows whose class was seen in fitting, with its code there."""
    known = np.isin(y, seen)
    return (matrix if known.all() else matrix[known]), np.searchsorted(seen, y[known])


def sample_rows(y: NDArray[np.int64], most: int | None, seed: int) -> NDArray[np.int64] | None:
    """Return the positions of at most ``most`` rows with the classes in their shares, or None if all may stay."""
    if most is None or len(y) <= most:
        return None
    draw = np.random.default_rng(seed)
    chosen = []
    for code in np.unique(y):
        rows = np.flatnonzero(y == code)
        wanted = max(1, len(rows) * most // len(y))
        chosen.append(draw.permutation(rows)[:wanted])
    return np.sort(np.concatenate(chosen))


def save_model(model: FittedModel, folder: Path) -> None:
    """Write encoding.json, model.json and the estimator in its own format: model.skops, model.txt or model.ubj."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "format": FORMAT,
        "family": model.family,
        "params": dict(model.params),
        "classes": model.classes,
        "seen": list(model.seen),
        "rows_used": model.rows_used,
        "weights": list(model.weights),
    }
    _write_json(folder / "model.json", facts)
    _write_json(folder / "encoding.json", model.encoding.to_dict())
    for place, estimator in enumerate(model.estimators):
        _write_estimator(FAMILIES[model.family].file, estimator, folder / _stem(place))


def _stem(place: int) -> str:
    return f"model_{place}" if place else "model"


def _write_estimator(kind: str, estimator: Estimator, path: Path) -> None:
    if kind == "lightgbm":
        path.with_suffix(".txt").write_text(estimator.model_to_string(), "utf-8")
    elif kind == "xgboost":
        path.with_suffix(".ubj").write_bytes(bytes(estimator.save_raw("ubj")))
    else:
        from tahona.learn.skops_file import write_estimator

        write_estimator(estimator, path.with_suffix(".skops"))


def load_model(folder: Path, heads: Sequence[Head] | None = None) -> FittedModel:
    """Read a model back; raise IntegrityError if a file is missing, broken, or names a type not in ``TRUSTED``.

    By ``heads``, the bundle's compiled form of its estimators, these come without their library where they can.
    """
    from tahona.learn.encoding import Encoding

    facts = _read_json(folder / "model.json")
    if facts.get("format") != FORMAT or facts.get("family") not in FAMILIES:
        raise IntegrityError(
            "The model was written by another Tahona.",
            where=str(folder / "model.json"),
            fix="Read it with the version that wrote it, or train again.",
        )
    encoding = Encoding.from_dict(_read_json(folder / "encoding.json"))
    light = light_estimators(heads, folder.parents[1], texts=bool(encoding.texts)) if heads is not None else None
    return FittedModel(
        family=facts["family"],
        params=facts["params"],
        encoding=encoding,
        estimators=light
        or tuple(
            _read_estimator(FAMILIES[facts["family"]].file, folder / _stem(place))
            for place in range(len(facts["weights"]))
        ),
        classes=facts["classes"],
        seen=tuple(facts["seen"]),
        rows_used=facts["rows_used"],
        weights=tuple(facts["weights"]),
    )


def _read_estimator(kind: str, file: Path) -> Estimator:
    if kind == "lightgbm":
        from lightgbm.basic import LightGBMError

        path = file.with_suffix(".txt")
        try:
            return read_lightgbm(_read_bytes(path).decode("utf-8"))
        except (LightGBMError, UnicodeDecodeError) as error:
            raise _broken(path) from error
    if kind == "xgboost":
        path = file.with_suffix(".ubj")
        data = bytearray(_read_bytes(path))
        try:
            return read_xgboost(data)
        except ValueError as error:  # XGBoostError is one
            raise _broken(path) from error
    path = file.with_suffix(".skops")
    _check_types(path)
    import skops.io

    return skops.io.load(path, trusted=sorted(TRUSTED))


def _check_types(path: Path) -> None:
    """Raise IntegrityError naming the first type in a skops file that is not on our own list."""
    _read_bytes(path)
    try:
        with ZipFile(path) as archive:
            schema = json.loads(archive.read("schema.json"))
    except (BadZipFile, KeyError, ValueError) as error:
        raise _broken(path) from error
    strange = sorted(named_types(schema) - TRUSTED)
    if strange:
        raise IntegrityError(
            f"The model file names a type that is not on the list of trusted types: {strange[0]}.",
            where=str(path),
            fix="Take the model from where it was made; never load a file of unknown origin.",
        )


def named_types(node: object) -> set[str]:
    """Return every ``module.name`` that a skops schema would look up."""
    found: set[str] = set()
    if isinstance(node, Mapping):
        if "__class__" in node and "__module__" in node:
            found.add(f"{node['__module__']}.{node['__class__']}")
        for part in node.values():
            found |= named_types(part)
    elif isinstance(node, list):
        for part in node:
            found |= named_types(part)
    return found


def _broken(path: Path) -> IntegrityError:
    return IntegrityError("The model file cannot be read.", where=str(path), fix="Restore it, or train again.")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError("A file of the model is missing.", where=str(path), fix="Restore it.") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(_read_bytes(path))
    except ValueError as error:
        raise _broken(path) from error
    if not isinstance(data, dict):
        raise _broken(path)
    return data


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, sort_keys=True, ensure_ascii=False, indent=1) + "\n", "utf-8")
