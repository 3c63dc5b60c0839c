"""Text cells to typed columns: what a CSV file means, and nothing more than it says.

A column is numeric or boolean only if every cell that is not null says so; otherwise it stays text, letter by letter.
Whatever a reader might have expected to be a number, and is not read as one, is told in a finding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

from tahona.core.findings import Finding
from tahona.sources.numbers import EXACT, LARGEST, infinite, too_large
from tahona.sources.reading import Reading, RowPlace

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pandas.api.extensions import ExtensionArray

    Values = NDArray[Any] | ExtensionArray
    """A column's values, ready for a DataFrame."""

__all__ = ["NULL_WORDS", "NUMBER", "as_text", "read_cells", "sniff_decimal", "without_nulls"]

Decimal = Literal[".", ","]

NULL_WORDS = ("-", "--", "?", "#N/A", "N/A", "NA", "NAN", "NIL", "NONE", "NULL", "N/D", "ND", "S/D", "<NA>")
"""Words that often mean "no value" (compared in upper case). They are kept as they stand, and told."""

NUMBER = {  # decimal mark → what a number looks like
    ".": r"^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$",
    ",": r"^\s*[+-]?(?:\d+,?\d*|,\d+)(?:[eE][+-]?\d+)?\s*$",
}
_WHOLE = r"^\s*[+-]?\d+\s*$"
_LEADING_ZERO = r"^\s*[+-]?0\d"
_INFINITE = r"(?i)^\s*[+-]?inf(?:inity)?\s*$"
_THOUSANDS = {  # with a comma, or with a point, between groups of three
    ",": re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?\s*"),
    ".": re.compile(r"\s*[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?\s*"),
}
_PEEK = 64
"""Cells looked at first: one that is no number in any sense settles that a column is text."""


def without_nulls(cells: pa.ChunkedArray, nulls: tuple[str, ...]) -> pa.ChunkedArray:
    """Return the cells with exactly the declared null cells set to null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not nulls:
        return cells
    absent = pc.is_in(cells, value_set=pa.array(nulls, cells.type))
    return pc.if_else(absent, pa.scalar(None, cells.type), cells)


def sniff_decimal(columns: Mapping[str, pa.ChunkedArray], reading: Reading) -> tuple[Decimal, tuple[Finding, ...]]:
    """Return the table's decimal mark, and a finding for each column that it leaves as text.

    A comma is taken where some column can only be read with it (``3,5``; not ``1,234``, which may be a thousand)
    and no column can only be read with a point. The columns are undeclared ones, their nulls already null.
    """
    evidence = {name: _decimal_evidence(cells) for name, cells in columns.items() if not reading.is_text(name)}
    clear = {mark: {name for name, (found, sure) in evidence.items() if found == mark and sure} for mark in ".,"}
    unsure = {mark: {name for name, (found, sure) in evidence.items() if found == mark and not sure} for mark in ".,"}
    decimal: Decimal = reading.decimal or ("," if clear[","] and not clear["."] else ".")
    other = "." if decimal == "," else ","
    left = clear[other] | unsure[other]
    thousands = {name for name, (found, _) in evidence.items() if found == "thousands"}
    return decimal, tuple(Finding("unclear_decimal", name) for name in columns if name in left | thousands)


def read_cells(
    name: str, cells: pa.ChunkedArray, decimal: Decimal, reading: Reading, place: RowPlace
) -> tuple[Values, tuple[Finding, ...]]:
    """Return a column (an array that a DataFrame takes as it is) of the cells, whose nulls are null already.

    Whole numbers become int64 (Int64 with nulls), reals float64, ``true``/``false`` bool, all else text. Raises
    DataError with row and column for numbers that are infinite or beyond 64 bits, unless the column is declared a name.
    """
    import pyarrow.compute as pc

    present = len(cells) - cells.null_count
    if reading.is_text(name) or present == 0:
        return as_text(cells), ()
    if _is_boolean(cells):
        return as_boolean(pc.equal(pc.utf8_lower(cells), "true")), ()
    numbers = pc.sum(pc.match_substring_regex(cells, NUMBER[decimal])).as_py()
    if numbers == present:
        return _read_numbers(name, cells, decimal, reading, place)
    are_words = _are_null_words(cells)
    words = pc.sum(are_words).as_py()
    if numbers:
        are_infinite = pc.match_substring_regex(cells, _INFINITE)
        infinities = pc.sum(are_infinite).as_py()
        if infinities and numbers + infinities + words == present:
            raise infinite(name, place(pc.index(are_infinite, True).as_py()))
    return as_text(cells), _told_text(name, cells, numbers, are_words)


def as_text(cells: pa.ChunkedArray) -> Values:
    """Return text (Arrow's large_string) in pandas' `str` type, null as NaN."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    kinds = {pa.large_string(): pd.StringDtype(na_value=np.nan)}
    return cast("Values", cells.to_pandas(types_mapper=kinds.get).array)


def as_boolean(cells: pa.ChunkedArray) -> Values:
    """Return bool, or pandas' `boolean` where there are nulls."""
    import pandas as pd
    import pyarrow as pa

    kinds = {pa.bool_(): pd.BooleanDtype()}
    return cast("Values", cells.to_pandas(types_mapper=kinds.get).array if cells.null_count else cells.to_numpy())


def as_whole(cells: pa.ChunkedArray) -> Values:
    """Return int64, or pandas' `Int64` where there are nulls."""
    import pandas as pd
    import pyarrow as pa

    kinds = {pa.int64(): pd.Int64Dtype()}
    return cast("Values", cells.to_pandas(types_mapper=kinds.get).array if cells.null_count else cells.to_numpy())


def _read_numbers(
    name: str, cells: pa.ChunkedArray, decimal: Decimal, reading: Reading, place: RowPlace
) -> tuple[Values, tuple[Finding, ...]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(cells)
    if pc.all(pc.match_substring_regex(cells, _WHOLE)).as_py():
        zeros = pc.sum(pc.match_substring_regex(cells, _LEADING_ZERO)).as_py()
        if zeros and reading.kinds.get(name) != "numeric":
            distinct = pc.count_distinct(cells).as_py()
            return as_text(cells), (Finding("leading_zeros", name, {"distinct": distinct}),)
        try:
            whole = pc.cast(pc.utf8_ltrim(trimmed, "+"), pa.int64())
        except pa.ArrowInvalid:
            raise too_large(name, place(_first_too_large(trimmed))) from None
        bounds = pc.min_max(whole).as_py()
        wide = bounds["max"] > EXACT or bounds["min"] < -EXACT
        return as_whole(whole), (Finding("wide_integers", name),) if wide else ()
    if decimal == ",":
        trimmed = pc.replace_substring(trimmed, ",", ".")
    reals = pc.cast(trimmed, pa.float64()).to_numpy(zero_copy_only=False)
    beyond = np.flatnonzero(np.isinf(reals))
    if beyond.size:
        raise infinite(name, place(int(beyond[0])))
    return reals, ()


def _first_too_large(cells: pa.ChunkedArray) -> int:
    for index, cell in enumerate(cells.to_pylist()):
        if cell is not None:
            digits = cell.lstrip("+-").lstrip("0")
            if len(digits) > 19 or int(digits or "0") > LARGEST + cell.startswith("-"):
                return index
    raise AssertionError("the cast found a number that is too large")


def _is_boolean(cells: pa.ChunkedArray) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    def only(part: pa.ChunkedArray) -> bool:
        truth = pa.array(["true", "false"], part.type)
        return bool(pc.all(pc.is_in(pc.utf8_lower(part), value_set=truth)).as_py())

    return only(cells.drop_null().slice(0, _PEEK)) and only(cells.drop_null())


def _are_null_words(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell which cells read like "no value" (cells of blanks only among them); null stays null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pa.array(["", *NULL_WORDS], cells.type)
    found = pc.is_in(pc.utf8_upper(pc.utf8_trim_whitespace(cells)), value_set=words)
    return pc.if_else(pc.is_null(cells), pa.scalar(None, pa.bool_()), found)


def _told_text(name: str, cells: pa.ChunkedArray, numbers: int, are_words: pa.ChunkedArray) -> tuple[Finding, ...]:
    """Say what a column that stays text holds that a reader might have taken for a number or for no value."""
    import pyarrow.compute as pc

    present = len(cells) - cells.null_count
    words = pc.sum(are_words).as_py()
    told: tuple[Finding, ...] = ()
    if words:
        found = sorted(set(pc.unique(pc.utf8_upper(pc.utf8_trim_whitespace(cells.filter(are_words)))).to_pylist()))
        facts = {"count": words, "words": ", ".join(f'"{word}"' if word else '" "' for word in found)}
        if numbers and numbers + words == present:
            return (Finding("literal_nulls", name, facts),)
        told = (Finding("null_words", name, facts),)
    truths = pc.sum(pc.match_substring_regex(cells, r"(?i)^\s*(?:true|false)\s*$")).as_py()
    if numbers + truths and 2 * (numbers + truths) >= present:
        counts = {"number": numbers, "boolean": truths, "date": 0, "text": present - numbers - truths}
        told = (*told, Finding("mixed_types", name, counts))
    return told


def _decimal_evidence(cells: pa.ChunkedArray) -> tuple[str, bool]:
    """Return the mark that all numbers of a column use, if any, and whether it can be nothing but a decimal mark.

    That is ``("", False)`` where none is used, and ``("thousands", True)`` where groups of three and a decimal mark
    stand together (``1.234,50``).
    """
    import pyarrow.compute as pc

    some = cells.drop_null().slice(0, _PEEK).to_pylist()
    for mark, other in ((",", "."), (".", ",")):
        number = re.compile(NUMBER[mark])
        if some and all(number.match(cell) for cell in some):
            marked = pc.match_substring(cells, mark)
            if not pc.any(marked).as_py() or not pc.all(pc.match_substring_regex(cells, NUMBER[mark])).as_py():
                continue
            group = _THOUSANDS[mark].pattern
            grouped = pc.all(pc.match_substring_regex(cells.filter(marked), f"^(?:{group})$")).as_py()
            return mark, not grouped
        grouping = _THOUSANDS[mark]
        whole = re.compile(_WHOLE)
        if any(grouping.fullmatch(cell) for cell in some) and all(
            grouping.fullmatch(cell) or whole.match(cell) or re.match(NUMBER[other], cell) for cell in some
        ):
            return "thousands", True
    return "", False
