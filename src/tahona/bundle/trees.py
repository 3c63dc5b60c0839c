"""Trees of other libraries in LightGBM's text format, so that one engine asks them all, in double precision.

A row goes left at ``value <= threshold``, at a null where ``null_left`` says so, and at a category (a whole number)
that is among ``lefts``. LightGBM takes numbers up to 1e-35 for 0: a threshold of exactly 0 needs care of whoever writes
the row (`zero_columns`), and thresholds nearer to it are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.scorer.errors import NotCompiledError

TINY = 2e-35
_FINITE = 1e300
"""Stands for an infinite threshold: rows hold no number beyond float32."""
_CATEGORY, _NULL_LEFT, _NULLS = 1, 2, 8


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """One tree as arrays over its nodes, the root first."""

    leaf: NDArray[np.bool_]
    left: NDArray[Any]
    right: NDArray[Any]
    column: NDArray[Any]
    threshold: NDArray[np.float64]
    null_left: NDArray[np.bool_]
    lefts: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Node → its categories that go left; its null goes the way of a category too."""
    rows: NDArray[np.int64] | None = None
    """Training rows in each node: what LightGBM needs for SHAP values, and for nothing else."""


def model_text(trees: Iterable[tuple[Nodes, NDArray[np.float64] | None]], *, width: int, classes: int = 1) -> bytes:
    """Return the model of these trees, which take turns at the classes, each with its leaves' values.

    Without values, the model is for asking which leaf a row falls into: 0, 1, … in the order of the nodes.
    """
    written = [_tree_text(place, nodes, values) for place, (nodes, values) in enumerate(trees)]
    head = (
        "tree",
        "version=v4",
        f"num_class={classes}",
        f"num_tree_per_iteration={classes}",
        "label_index=0",
        f"max_feature_idx={width - 1}",
        "feature_names=" + " ".join(f"c{column}" for column in range(width)),
        "feature_infos=" + " ".join(["none"] * width),
        "tree_sizes=" + " ".join(str(len(text)) for text in written),
        "",
        "",
    )
    return ("\n".join(head) + "".join(written) + "end of trees\n").encode("ascii")


def constant(value: float) -> tuple[Nodes, NDArray[np.float64]]:
    """Return a tree of one leaf."""
    none = np.zeros(1, dtype=np.int64)
    nodes = Nodes(np.ones(1, dtype=bool), none, none, none, np.zeros(1), np.zeros(1, dtype=bool))
    return nodes, np.array([value])


def zero_columns(trees: Iterable[Nodes]) -> list[int]:
    """Return the columns that are split at 0. Raise NotCompiledError for a split so near it that LightGBM errs."""
    found: set[int] = set()
    for nodes in trees:
        numeric = ~nodes.leaf
        numeric[list(nodes.lefts)] = False
        near = numeric & (np.abs(nodes.threshold) <= TINY)
        if (nodes.threshold[near] != 0.0).any():
            raise NotCompiledError("a tree splits closer to 0 than LightGBM can tell")
        found.update(nodes.column[near].tolist())
    return sorted(found)


def _tree_text(place: int, nodes: Nodes, values: NDArray[np.float64] | None) -> str:
    inner = np.flatnonzero(~nodes.leaf)
    leaves = len(nodes.leaf) - len(inner)
    lines = [f"Tree={place}", f"num_leaves={leaves}", f"num_cat={len(nodes.lefts)}"]
    shown = "0 " * (leaves - 1) + "0" if values is None else _joined(values.tolist(), repr)
    if len(inner):
        number = np.where(nodes.leaf, np.cumsum(nodes.leaf) * -1, np.cumsum(~nodes.leaf) - 1)  # leaf i is ~i
        kinds = _NULLS + _NULL_LEFT * nodes.null_left[inner].astype(np.int64)
        thresholds: list[Any] = np.clip(nodes.threshold[inner], -_FINITE, _FINITE).tolist()
        bounds, words = [0], list[int]()
        for index, node in enumerate(inner.tolist()):
            if node in nodes.lefts:
                thresholds[index], kinds[index] = len(bounds) - 1, _CATEGORY | _NULLS
                words += _bits(nodes.lefts[node])
                bounds.append(len(words))
        lines += [
            f"split_feature={_joined(nodes.column[inner].tolist(), str)}",
            f"threshold={_joined(thresholds, repr)}",
            f"decision_type={_joined(kinds.tolist(), str)}",
            f"left_child={_joined(number[nodes.left[inner]].tolist(), str)}",
            f"right_child={_joined(number[nodes.right[inner]].tolist(), str)}",
        ]
        if nodes.rows is not None:
            lines.append(f"internal_count={_joined(nodes.rows[inner].tolist(), str)}")
        if nodes.lefts:
            lines += [f"cat_boundaries={_joined(bounds, str)}", f"cat_threshold={_joined(words, str)}"]
    if nodes.rows is not None:
        lines.append(f"leaf_count={_joined(nodes.rows[nodes.leaf].tolist(), str)}")
    return "\n".join([*lines, f"leaf_value={shown}", "is_linear=0", "shrinkage=1", "", "", ""])


def _joined(values: Iterable[Any], write: Any) -> str:  # noqa: ANN401 - str or repr
    return " ".join(map(write, values))


def _bits(members: Sequence[int]) -> list[int]:
    """Return a set of whole numbers as 32-bit words."""
    words = [0] * (max(members, default=0) // 32 + 1)
    for member in members:
        words[member // 32] |= 1 << member % 32
    return words
