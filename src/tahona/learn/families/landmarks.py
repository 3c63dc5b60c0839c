"""A support vector machine for many rows: each row is compared with a few hundred landmarks, not with all the others.

The landmarks are training rows drawn at random. Nyström's map (Williams and Seeger 2001) turns the kernel between a row
and the landmarks into features, and a linear machine with squared hinge loss is fitted to the features of every row by
Newton's method in the primal (Chapelle 2007). Map and machine then fold into one weight per landmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.learn.families.family import Codes, Matrix, Scores, is_sparse
from tahona.learn.families.linear import row_products

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Features = NDArray[np.float32]

_BLOCK = 4_096
"""Rows compared with the landmarks at a time."""
_WIDEST = 5_000
"""Columns up to which landmarks are held densely; beyond, they hold words."""
_LEAST = 1e-7
"""Directions of the kernel weaker than this share of the strongest are noise in float32."""
_MOST_PASSES = 20
_GAIN = 1e-3
"""A pass that lowers the loss by less than this share is the last."""


@dataclass(frozen=True)
class Kernel:
    """How alike two rows are, in SVC's words."""

    name: str
    gamma: float
    degree: int
    coef0: float

    def between(self, matrix: Matrix, landmarks: Matrix) -> Scores:
        """Return (n, m) kernel values with landmarks given as columns. A row has the same bits in every batch."""
        from scipy.sparse import csr_matrix

        rows = csr_matrix(matrix)  # SciPy adds up a sparse row in its order, BLAS adds up a dense one as it likes
        products = rows @ landmarks
        values: Scores = np.asarray(products.toarray() if is_sparse(products) else products, dtype=np.float64)
        if self.name == "linear":
            return values
        if self.name == "rbf":
            values *= -2.0
            values += np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64)
            values += _lengths(landmarks)
            np.maximum(values, 0.0, out=values)
            values *= -self.gamma
            return np.exp(values, out=values)
        values *= self.gamma
        values += self.coef0
        return np.tanh(values) if self.name == "sigmoid" else values**self.degree


@dataclass(frozen=True)
class LandmarkMachine:
    """Margin = kernel(row, landmarks) · weights + intercept; one machine for two classes, else one per class."""

    kernel: Kernel
    landmarks: Matrix
    weights: Scores
    intercepts: Scores

    def margins(self, matrix: Matrix) -> Scores:
        """Return (n,) margins of class 1, or (n, k)."""
        count = int(matrix.shape[0])
        found = np.empty((count, len(self.weights)))
        for start in range(0, count, _BLOCK):
            rows = slice(start, start + _BLOCK)
            found[rows] = row_products(self.kernel.between(matrix[rows], self.landmarks), self.weights)
        found += self.intercepts
        return found[:, 0] if found.shape[1] == 1 else found


def fit_landmarks(
    matrix: Matrix, codes: Codes, params: Mapping[str, Any], *, landmarks: int, seed: int
) -> LandmarkMachine:
    """Fit on every row with SVC's parameters. Raises ValueError where the kernel's values are not finite."""
    from sklearn.utils.class_weight import compute_class_weight

    kernel = _kernel(matrix, params)
    chosen = np.sort(np.random.default_rng(seed).choice(int(matrix.shape[0]), landmarks, replace=False))
    columns = _columns(matrix[chosen])
    strengths, directions = np.linalg.eigh(kernel.between(matrix[chosen], columns))
    kept = strengths > _LEAST * strengths[-1]
    root = directions[:, kept] / np.sqrt(strengths[kept])
    features = np.empty((int(matrix.shape[0]), root.shape[1]), dtype=np.float32)
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        features[rows] = kernel.between(matrix[rows], columns) @ root
    if not np.isfinite(features).all():
        raise ValueError("the kernel's values do not fit in 32 bits")
    classes = np.unique(codes)
    costs = params["C"] * compute_class_weight(params["class_weight"], classes=classes, y=codes)[codes]
    sides = [np.where(codes == code, 1.0, -1.0) for code in (classes[1:] if len(classes) == 2 else classes)]
    machines = [_separate(features, side, costs) for side in sides]
    weights = np.stack([root @ machine[:-1] for machine in machines])
    return LandmarkMachine(kernel, columns, weights, np.array([machine[-1] for machine in machines]))


def _separate(features: Features, side: Scores, costs: Scores) -> Scores:
    """Return the weights, intercept last, that minimise ½|w|² + Σ cost · max(0, 1 - side · margin)²."""
    width = features.shape[1]
    machine = best = np.zeros(width + 1)
    least = np.inf
    for _ in range(_MOST_PASSES):
        slack = 1.0 - side * (features @ machine[:-1].astype(np.float32) + machine[-1])
        wrong = np.flatnonzero(slack > 0.0)
        loss = 0.5 * float(machine[:-1] @ machine[:-1]) + float(costs[wrong] @ slack[wrong] ** 2)
        if loss < least:
            best = machine
        if not len(wrong) or loss > (1.0 - _GAIN) * least:
            break
        least = loss
        machine = _step(features, side, costs, wrong)
    return best


def _step(features: Features, side: Scores, costs: Scores, wrong: NDArray[np.int64]) -> Scores:
    """Solve the least squares problem of the rows on the wrong side of their margin."""
    width = features.shape[1]
    curvature = np.diag(np.append(np.ones(width), 1e-9))
    pull = np.zeros(width + 1)
    for start in range(0, len(wrong), _BLOCK):
        rows = wrong[start : start + _BLOCK]
        part, weight = features[rows], (2.0 * costs[rows]).astype(np.float32)
        weighted = part * weight[:, None]
        total = weighted.sum(axis=0)
        curvature[:width, :width] += weighted.T @ part
        curvature[:width, width] += total
        curvature[width, :width] += total
        curvature[width, width] += weight.sum()
        pull[:width] += weighted.T @ side[rows].astype(np.float32)
        pull[width] += weight @ side[rows]
    found: Scores = np.linalg.solve(curvature, pull)
    return found


def _kernel(matrix: Matrix, params: Mapping[str, Any]) -> Kernel:
    """Read SVC's parameters; gamma "scale" and "auto" are what they are there."""
    gamma, width = params["gamma"], int(matrix.shape[1])
    if gamma == "scale":
        spread = (
            matrix.multiply(matrix).mean() - matrix.mean() ** 2 if is_sparse(matrix) else np.var(np.asarray(matrix))
        )
        gamma = 1.0 / (width * float(spread)) if spread else 1.0
    elif gamma == "auto":
        gamma = 1.0 / width
    return Kernel(params["kernel"], float(gamma), int(params["degree"]), float(params["coef0"]))


def _columns(chosen: Matrix) -> Matrix:
    """Return the landmarks as columns, side by side for one landmark after the other."""
    if not is_sparse(chosen):
        return np.ascontiguousarray(chosen.T)
    turned: csr_matrix = chosen.T.tocsr()
    return turned if turned.shape[0] > _WIDEST else turned.toarray()


def _lengths(landmarks: Matrix) -> Scores:
    """Return the squared length of each column."""
    squares = landmarks.power(2) if is_sparse(landmarks) else np.asarray(landmarks) ** 2
    lengths: Scores = np.asarray(squares.sum(axis=0)).ravel()
    return lengths
