"""The table of all families. A new one is a row in the file of its kin, and here nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tahona.learn.families import boosting, linear, simple, trees, vectors
from tahona.learn.families.family import Family

__all__ = ["FAMILIES", "Family"]

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for kin in (simple, trees, vectors, linear, boosting) for family in kin.FAMILIES}
)
