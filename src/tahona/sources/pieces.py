"""A table that is in memory already, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sliced"]


def sliced(frame: pd.DataFrame, rows: int) -> Iterator[pd.DataFrame]:
    """Give the rows in order, at most so many at a time."""
    for start in range(0, len(frame), rows):
        yield frame.iloc[start : start + rows]
