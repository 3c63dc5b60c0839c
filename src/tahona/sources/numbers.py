"""Refusals of numbers that a table cannot hold as they stand, alike for every format."""

from __future__ import annotations

from tahona.errors import DataError
from tahona.sources.headers import shown

__all__ = ["EXACT", "LARGEST", "infinite", "too_large"]

LARGEST = 2**63 - 1
"""The largest whole number of 64 bits with a sign."""
EXACT = 2**53
"""Beyond this, whole numbers lose digits when a model reads them as floating point."""


def too_large(column: str, place: str) -> DataError:
    return DataError(
        f"the whole number in column {shown(column)} does not fit in 64 bits",
        where=place,
        fix='If it is a name rather than a quantity, declare the column as "id" in [data.types].',
    )


def infinite(column: str, place: str) -> DataError:
    return DataError(
        f"the number in column {shown(column)} is infinite or too large for floating point",
        where=place,
        fix='Correct it or leave it empty; if the column is no quantity, declare it "text" in [data.types].',
    )
