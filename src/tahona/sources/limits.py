"""How much a source accepts. All bounds stand here, and every refusal names the one it met."""

from __future__ import annotations

from dataclasses import dataclass

from tahona.errors import DataError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one table. The defaults are far above honest tables and far below what exhausts a machine."""

    table_bytes: int = 2 * 1024**3
    """Bytes of a file or a download, and of what an archive or a Parquet file unfolds to."""
    ratio: int = 200
    """How many times its own size an archive may unfold to …"""
    ratio_from: int = 64 * 1024**2
    """… once it has given this many bytes; small files compress as well as they like."""
    columns: int = 5_000
    cells: int = 250_000_000
    """Cells of a CSV or Parquet file, which are held in columns."""
    values: int = 50_000_000
    """Cells of JSON, Excel and SQL, which pass through Python objects."""
    name_characters: int = 1_000
    cell_characters: int = 10_000_000


LIMITS = Limits()


def check_columns(columns: int, *, where: str, limits: Limits) -> None:
    """Refuse a table with more columns than the limit."""
    if columns > limits.columns:
        raise DataError(
            f"the table has {columns:,} columns; the limit is {limits.columns:,}",
            where=where,
            fix="Keep the columns you need, or check the separator (`[data] separator`).",
        )


def check_cells(rows: int, columns: int, most: int, *, where: str) -> None:
    """Refuse a table with more cells, empty ones counted, than the limit."""
    if rows * columns > most:
        raise DataError(
            f"the table has {rows:,} rows and {columns:,} columns; the limit is {most:,} cells",
            where=where,
            fix="Use fewer rows or columns; CSV and Parquet may be larger than other formats.",
        )
