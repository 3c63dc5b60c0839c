"""The rows of a request for predictions, straight from its bytes to typed objects.

Three forms are taken: ``{"rows": [{…}, …]}``, a list ``[{…}, …]``, and one row ``{…}`` by itself. What does not fit at
once is looked at again, slowly, by `tahona.serve.front.mistakes`, which says why or makes rows of it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import msgspec

Form = Literal["rows", "list", "row"]
_USUAL = b'{"rows": ['
_FORM = re.compile(rb'\s*(?:(\[)|\{\s*"rows"\s*:\s*\[)')


class Column(Protocol):
    """A feature, as `tahona.core.schema` has it."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def format(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How many rows, and how many characters in a cell."""

    rows: int
    cell: int


class Reader:
    """Reads rows of one schema. Each is an object with a field per feature: `f0`, `f1`, … in the schema's order."""

    def __init__(self, columns: Sequence[Column], ignored: Sequence[str], limits: Limits) -> None:
        self.columns = tuple(columns)
        self.ignored = frozenset(ignored)
        """Columns that may be there and say nothing: identifiers."""
        self.limits = limits
        fields: list[Any] = [(f"f{place}", cell_type(column, limits.cell)) for place, column in enumerate(columns)]
        names = {f"f{place}": column.name for place, column in enumerate(columns)}
        for place, name in enumerate(ignored):
            fields.append((f"i{place}", str | int | float | bool | None | msgspec.UnsetType, msgspec.UNSET))
            names[f"i{place}"] = name
        self._idle = tuple(f"i{place}" for place in range(len(ignored)))
        self.row_type: Any = msgspec.defstruct(
            "Row", fields, rename=names, forbid_unknown_fields=True, gc=False, omit_defaults=True
        )
        several = list[self.row_type]  # type: ignore[name-defined]
        wrapper: Any = msgspec.defstruct("Rows", [("rows", several)], forbid_unknown_fields=True, gc=False)
        self._wrapped = msgspec.json.Decoder(wrapper)
        self._listed = msgspec.json.Decoder(several)
        self._single = msgspec.json.Decoder(self.row_type)

    def read(self, body: bytes) -> list[Any] | None:
        """Return the rows, None when something about them has to be looked at."""
        form = form_of(body)
        try:
            if form == "rows":
                rows: list[Any] = self._wrapped.decode(body).rows
            elif form == "list":
                rows = self._listed.decode(body)
            else:
                rows = [self._single.decode(body)]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        if not 0 < len(rows) <= self.limits.rows or not self._each_once(body, form, rows):
            return None
        return rows

    def make(self, cells: Sequence[Any]) -> Any:  # noqa: ANN401 - a type that was made at run time
        """Return a row of these cells."""
        return self.row_type(*cells)

    def _each_once(self, body: bytes, form: Form, rows: list[Any]) -> bool:
        """Tell whether surely no column stands twice in a row (the last would win in silence).

        Every key has a colon, and every column is there: as many colons as columns leave no room for a key more. With
        colons in texts as well, those right behind a quotation mark are counted, unless one stands behind a blank.
        """
        keys = len(rows) * len(self.columns) + (form == "rows")
        for field in self._idle:
            keys += sum(getattr(row, field) is not msgspec.UNSET for row in rows)
        if body.count(b":") == keys:
            return True
        blank = b" :" in body or b"\t:" in body or b"\n:" in body or b"\r:" in body
        return not blank and body.count(b'":') == keys


def form_of(body: bytes) -> Form:
    """Tell how the rows are written."""
    if body.startswith(_USUAL):
        return "rows"
    found = _FORM.match(body)
    if found is None:
        return "row"
    return "list" if found[1] else "rows"


def cell_type(column: Column, longest: int) -> Any:  # noqa: ANN401 - types are objects
    """Return what a cell of the column may be at first sight."""
    text = Annotated[str, msgspec.Meta(max_length=longest)]
    if column.kind == "numeric":
        # A whole number beyond 64 bits is an identifier: it is looked at again.
        return Annotated[float, msgspec.Meta(gt=-(2.0**64), lt=2.0**64)] | None
    if column.kind == "datetime":
        return text | None
    return text | bool | int | float | None
