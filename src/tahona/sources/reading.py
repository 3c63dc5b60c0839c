"""How cells are to be read: what the project file says about one table, in the form the readers use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tahona.core.findings import Finding
from tahona.core.schema import Form, Kind
from tahona.sources.limits import LIMITS, Limits

if TYPE_CHECKING:
    from tahona.project.model import DataPart

__all__ = ["Reading", "RowPlace", "Tell"]

RowPlace = Callable[[int], str]
"""Row of the table (from 0) → where to look for it: ``file:line`` or ``file, row N``."""
Tell = Callable[[Finding], None]
"""What takes the findings of a table that is read piece by piece."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the readers of every format need of ``[data]``; ``where`` is how messages call the table."""

    where: str
    kinds: Mapping[str, Kind]
    nulls: tuple[str, ...] = ("",)
    separator: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    sheet: str | None = None
    limits: Limits = LIMITS
    forms: Mapping[str, Form] | None = None
    """How each column is read whose type is known already; the others are passed over. None: types are found."""
    coded: frozenset[str] = frozenset()
    """Columns of text that a piece of Parquet may give as pandas' categories: each distinct text once."""

    @classmethod
    def of(
        cls, data: DataPart, where: str, limits: Limits = LIMITS, forms: Mapping[str, Form] | None = None
    ) -> Reading:
        return cls(
            where,
            data.types,
            data.nulls,
            data.separator,
            data.decimal,
            data.encoding,
            data.sheet,
            limits,
            forms,
        )

    def is_text(self, column: str) -> bool:
        """Whether the project declares the column's values to be names, not quantities."""
        return self.kinds.get(column) in {"category", "text", "id"}

    def wants(self, column: str) -> bool:
        """Whether the column is read at all."""
        return self.forms is None or column in self.forms

    def row(self, index: int) -> str:
        """Name a row of a format without lines."""
        return f"{self.where}, row {index + 1:,}"
