"""What a bundle says of itself, read from its zip without loading a model."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tahona.core.schema import Schema


@dataclass(frozen=True, slots=True)
class Contents:
    """Columns and classes of a bundle."""

    schema: Schema
    raw_columns: tuple[str, ...]
    """What a row has to have when it is sent."""


def read_contents(file: Path) -> Contents:
    """Read a bundle whose digest the caller has checked."""
    with zipfile.ZipFile(file) as archive:
        data = json.loads(archive.read("bundle.json"))
    schema = Schema.from_dict(data["schema"])
    cleaning = data["cleaning"]
    raw = tuple(cleaning["raw_types"]) if cleaning["functions"] else tuple(column.name for column in schema.features)
    return Contents(schema, raw)
