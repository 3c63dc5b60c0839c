"""Which rows say the same thing: the groups that an honest cut must not tear apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tahona.core.schema import Schema

Codes = NDArray[np.int64]


def column_codes(values: NDArray[Any], *, fold_text: bool = False) -> Codes:
    """Give equal values of a column equal numbers: 0, 1, … in order of appearance; null is a value of its own.

    With ``fold_text`` texts that differ only in letter case or white space get the same number.
    """
    import pandas as pd

    if fold_text:
        values = np.array(
            [None if text is None else " ".join(text.split()).casefold() for text in values], dtype=object
        )
    codes, _ = pd.factorize(values, use_na_sentinel=False)
    return np.asarray(codes, dtype=np.int64)


def feature_codes(columns: Mapping[str, NDArray[Any]], schema: Schema) -> dict[str, Codes]:
    """Return the value numbers of every feature column; of text columns with case and white space folded."""
    texts = {column.name for column in schema.of_kind("text")}
    return {c.name: column_codes(columns[c.name], fold_text=c.name in texts) for c in schema.features}


def combine_codes(codes: Iterable[Codes], rows: int) -> Codes:
    """Give equal rows of several coded columns equal numbers (exact: no hashing, so no collision)."""
    import pandas as pd

    row_codes = np.zeros(rows, dtype=np.int64)
    for column in codes:
        if rows == 0:
            break
        # Both factors stay below the number of rows, so the product fits into 64 bits up to 3·10⁹ rows.
        pairs = row_codes * (int(column.max()) + 1) + column
        row_codes = np.asarray(pd.factorize(pairs)[0], dtype=np.int64)
    return row_codes


def equal_rows(codes: Mapping[str, Codes], rows: int) -> Codes:
    """Give rows with equal features equal numbers; without any feature each row is its own.

    Columns of kind ``id`` are no features (and would hide every repetition).
    """
    return combine_codes(codes.values(), rows) if codes else np.arange(rows, dtype=np.int64)


def join_groups(one: Codes, other: Codes) -> Codes:
    """Give equal numbers to rows that share a group of either kind, also through third rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones, others = int(one.max(initial=-1)) + 1, int(other.max(initial=-1)) + 1
    # A bipartite graph: the groups of the first kind on one side, those of the second on the other, a row is an edge.
    edges = coo_array((np.ones(len(one), dtype=np.int8), (one, other + ones)), shape=(ones + others, ones + others))
    _, part = connected_components(edges, directed=False)
    return np.asarray(part[one], dtype=np.int64)
