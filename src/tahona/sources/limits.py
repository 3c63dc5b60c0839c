"""How much a source accepts. All bounds stand here, and every refusal names the one it met."""

from __future__ import annotations

from dataclasses import dataclass


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
    name_characters: int = 1_000
    cell_characters: int = 10_000_000


LIMITS = Limits()
