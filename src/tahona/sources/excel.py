"""Excel workbooks (.xlsx): one sheet, its first row the header, types as the cells have them."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast
from xml.etree.ElementTree import ParseError

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.headers import shown
from tahona.sources.limits import check_cells, check_columns
from tahona.sources.values import canonical_text, table_of_values

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet
    from openpyxl.worksheet.worksheet import Worksheet

    from tahona.sources.reading import Reading

__all__ = ["read_excel"]


def read_excel(data: bytes, reading: Reading) -> FetchedTable:
    """Return the table of the declared sheet, else of the first.

    Raises DataError for a workbook that is damaged, a sheet that is not there, cells to the right of the header, and
    formulas without a stored value (a program wrote them; no Excel has computed them yet).
    """
    from openpyxl.utils.exceptions import InvalidFileException

    damage = (
        InvalidFileException,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        ParseError,
        LookupError,
        ValueError,
        TypeError,
    )
    try:
        with _workbook(data) as book:
            titles = [sheet.title for sheet in book.worksheets]  # charts have sheets of their own
            title = _sheet(titles, reading)
            rows = _rows(book.worksheets[titles.index(title)], reading)
        _refuse_uncomputed(data, title, rows, reading)
    except (*damage, AttributeError, EOFError, OSError, NotImplementedError) as error:
        raise DataError("the workbook is damaged", where=reading.where, fix="Save it again from Excel.") from error
    if not rows:
        raise DataError("the sheet is empty", where=reading.where, fix="Name another with `sheet` in [data].")
    header = ["" if cell is None else canonical_text(cell) for cell in rows[0]]
    while header and not header[-1].strip() and all(row[len(header) - 1 :] == [] for row in rows[1:]):
        header.pop()
    body = [_fitted(row, len(header), index, reading) for index, row in enumerate(rows[1:])]
    blank = sum(all(cell is None for cell in row) for row in body)
    kept = [(index, row) for index, row in enumerate(body) if any(cell is not None for cell in row)]
    told = [Finding("read_as", "", {"format": "Excel", "details": f"sheet={title!r}"})]
    if blank:
        told.append(Finding("blank_lines", "", {"count": blank}))
    nulls = frozenset(reading.nulls)
    columns = [
        [None if isinstance(row[i], str) and row[i] in nulls else row[i] for _, row in kept] for i in range(len(header))
    ]

    def place(row: int) -> str:
        return f"{reading.where}, row {kept[row][0] + 2:,}"

    return table_of_values(header, columns, reading, place, findings=told)


@contextmanager
def _workbook(data: bytes, *, formulas: bool = False) -> Iterator[Workbook]:
    """Open a workbook for its values, or for its formulas, without remarks on styles and validations it passes over."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="openpyxl")
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=not formulas)
        with closing(book):
            for sheet in book.worksheets:  # the stated size may be a million rows of sixteen thousand cells
                cast("ReadOnlyWorksheet", sheet).reset_dimensions()
            yield book


def _sheet(titles: list[str], reading: Reading) -> str:
    if reading.sheet is None:
        if not titles:
            raise DataError("the workbook has no sheet", where=reading.where, fix="Add a sheet with a table.")
        return titles[0]
    if reading.sheet in titles:
        return reading.sheet
    close = get_close_matches(reading.sheet, titles, n=1)
    listed = ", ".join(map(shown, titles[:10]))
    fix = f"Did you mean {shown(close[0])}?" if close else f"Its sheets: {listed}."
    raise DataError(f"the workbook has no sheet {shown(reading.sheet)}", where=reading.where, fix=fix)


def _rows(sheet: Worksheet, reading: Reading) -> list[list[object]]:
    """Return the rows without empty cells at their right, and without empty rows at the end."""
    rows: list[list[object]] = []
    widest = 0
    for values in sheet.iter_rows(values_only=True):
        row: list[object] = list(values)
        while row and row[-1] is None:
            row.pop()
        widest = max(widest, len(row))
        check_columns(widest, where=reading.where, limits=reading.limits)
        check_cells(len(rows), widest, reading.limits.values, where=reading.where)
        rows.append(row)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _fitted(row: list[object], width: int, index: int, reading: Reading) -> list[object]:
    if len(row) > width:
        raise DataError(
            f"the row has {len(row):,} cells, but the header has {width:,}: it is too long",
            where=f"{reading.where}, row {index + 2:,}",
            fix="Give every column a name in the first row of the sheet.",
        )
    return row + [None] * (width - len(row))


def _refuse_uncomputed(data: bytes, title: str, rows: list[list[object]], reading: Reading) -> None:
    """Refuse formulas whose value is not stored: they would read as empty cells."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        if not any(re.search(rb"<(?:\w+:)?f[\s>/]", archive.read(name)) for name in sheets):
            return
    with _workbook(data, formulas=True) as book:
        empty = [
            index
            for index, formulas in enumerate(book[title].iter_rows(values_only=True))
            for column, formula in enumerate(formulas)
            if formula is not None and (index >= len(rows) or column >= len(rows[index]) or rows[index][column] is None)
        ]
    if empty:
        raise DataError(
            f"{len(empty):,} formulas have no stored value",
            where=f"{reading.where}, row {empty[0] + 1:,}",
            fix="Open the workbook in Excel, save it, and use the saved one.",
        )
