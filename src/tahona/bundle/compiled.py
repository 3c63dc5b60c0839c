"""The compiled form of a bundle: what the row scorer reads in place of estimators, and how it was judged."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.bundle.parity import compare
from tahona.bundle.trees import Nodes, constant, model_text, zero_columns
from tahona.learn.families.family import Estimator
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.load import FORMAT, NAME, build_scorer

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle

MOST_LEAVES = 2_500_000
"""Of a forest: about 250 MB in each worker."""

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


def _logistic_regression(estimator: Estimator, place: _Place) -> Head:
    parts = getattr(estimator, "estimators_", None)
    if parts is not None:
        return _linear(parts, place, "one against rest")
    return _linear([estimator], place, "logistic" if len(estimator.coef_) == 1 else "softmax")


def _linear_svc(estimator: Estimator, place: _Place) -> Head:
    return _linear([estimator], place, "margin")


def _linear(estimators: Sequence[Estimator], place: _Place, link: str) -> Head:
    lines = np.concatenate([np.asarray(each.coef_, dtype=np.float64) for each in estimators])
    return {
        "engine": "linear",
        "coefficients": place.write("npy", _array(lines)),
        "intercepts": [bias for each in estimators for bias in _biases(each)],
        "link": link,
    }


def _naive_bayes(estimator: Estimator, place: _Place) -> Head:
    if hasattr(estimator, "theta_"):
        constants = [-0.5 * float(np.sum(np.log(2.0 * np.pi * line))) for line in estimator.var_]
        return {
            "engine": "gaussian",
            "moments": place.write("npy", _array(np.stack([estimator.theta_, estimator.var_]))),
            "constants": constants,
            "priors": np.log(estimator.class_prior_).tolist(),
        }
    lines = np.ascontiguousarray(estimator.feature_log_prob_)
    return {
        "engine": "linear",
        "coefficients": place.write("npy", _array(lines)),
        "intercepts": [0.0] * len(lines),
        "link": "softmax",
        "floor": True,
    }


def _array(values: NDArray[np.float64]) -> bytes:
    """Return the bytes of a file of this array."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _biases(estimator: Estimator) -> list[float]:
    """Return an intercept per line of coefficients; scikit-learn has one 0.0 where none was fitted."""
    found: list[float] = np.broadcast_to(estimator.intercept_, len(estimator.coef_)).tolist()
    return found


def _dummy(estimator: Estimator, _place: _Place) -> Head:
    return {"engine": "constant", "shares": estimator.class_prior_.tolist()}


def _tree(estimator: Estimator, place: _Place) -> Head:
    return _forest_of([estimator], place)


def _forest(estimator: Estimator, place: _Place) -> Head:
    return _forest_of(estimator.estimators_, place)


def _forest_of(estimators: Sequence[Estimator], place: _Place) -> Head:
    """Write the trees, and beside them the class shares of each of their leaves."""
    found = [each.tree_ for each in estimators]
    if (leaves := sum(int(tree.n_leaves) for tree in found)) > MOST_LEAVES:
        raise NotCompiledError(f"its trees have {leaves:,} leaves, more than the {MOST_LEAVES:,} that a worker holds")
    nodes = [tree_nodes(tree) for tree in found]
    shares = np.concatenate([tree.value[:, 0, :][one.leaf] for tree, one in zip(found, nodes, strict=True)])
    return {
        "engine": "forest",
        "file": place.write("trees", model_text(((one, None) for one in nodes), width=int(found[0].n_features))),
        "shares": place.write("npy", _array(shares)),
        "leaves": [int(one.leaf.sum()) for one in nodes],
        "zeros": zero_columns(nodes),
    }


def tree_nodes(tree: Any) -> Nodes:  # noqa: ANN401 - scikit-learn's Tree
    """Return one of scikit-learn's trees."""
    return Nodes(
        tree.children_left < 0,
        tree.children_left,
        tree.children_right,
        tree.feature,
        tree.threshold,
        tree.missing_go_to_left.astype(bool),
    )


def _histograms(estimator: Estimator, place: _Place) -> Head:
    trees, order, codes = histogram_trees(estimator)
    width, classes = int(estimator.n_features_in_), int(estimator.n_trees_per_iteration_)
    return {
        "engine": "histograms",
        "file": place.write("trees", model_text(trees, width=width, classes=classes)),
        "order": order,
        "codes": codes,
        "zeros": [order[column] for column in zero_columns(nodes for nodes, _ in trees)],
        "link": "logistic" if classes == 1 else "softmax",
    }


def histogram_trees(estimator: Estimator) -> tuple[list[tuple[Nodes, Any]], list[int], list[Any]]:
    """Return scikit-learn's histogram trees behind one tree per class of its base, and the order of their columns.

    Categories stand first in that order; of each the codes that it knows, in their places, are returned as well.
    """
    width = int(estimator.n_features_in_)
    order, codes = list(range(width)), list[Any]()
    if estimator.is_categorical_ is not None:
        order = [
            *np.flatnonzero(estimator.is_categorical_).tolist(),
            *np.flatnonzero(~estimator.is_categorical_).tolist(),
        ]
        encoder = estimator._preprocessor.named_transformers_["encoder"]  # noqa: SLF001 - no other way to its tables
        codes = [[None if code != code else code for code in known.tolist()] for known in encoder.categories_]  # noqa: PLR0124
    known, places = estimator._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001
    trees: list[tuple[Nodes, Any]] = [constant(float(value)) for value in np.ravel(estimator._baseline_prediction)]  # noqa: SLF001
    trees += [
        (_histogram_nodes(each, codes, known, places), each.nodes["value"][each.nodes["is_leaf"] == 1])
        for line in estimator._predictors  # noqa: SLF001
        for each in line
    ]
    return trees, order, codes


def _histogram_nodes(predictor: Any, codes: Sequence[Sequence[Any]], known: Any, places: Any) -> Nodes:  # noqa: ANN401
    nodes = predictor.nodes
    lefts: dict[int, list[int]] = {}
    for node in np.flatnonzero((nodes["is_categorical"] == 1) & (nodes["is_leaf"] == 0)).tolist():
        column, null_left = int(nodes["feature_idx"][node]), bool(nodes["missing_go_to_left"][node])
        left, seen = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]], known[places[column]]
        # one code more than there are stands for null and for what the encoder does not know
        lefts[node] = [
            code
            for code in range(len(codes[column]) + 1)
            if (_has(left, code) or (null_left and not _has(seen, code)) if code < len(codes[column]) else null_left)
        ]
    return Nodes(
        nodes["is_leaf"] == 1,
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["missing_go_to_left"] == 1,
        lefts,
    )


def _has(bits: Any, code: int) -> bool:  # noqa: ANN401 - a row of 32-bit words
    return bool(int(bits[code // 32]) >> (code % 32) & 1)


_COMPILERS: Mapping[str, Callable[[Estimator, _Place], Head]] = {
    "dummy": _dummy,
    "extra_trees": _forest,
    "hist_gradient_boosting": _histograms,
    "lightgbm": _lightgbm,
    "linear_svc": _linear_svc,
    "logistic_regression": _logistic_regression,
    "naive_bayes": _naive_bayes,
    "random_forest": _forest,
    "tree": _tree,
}
