"""Write a first project file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tahona.errors import InputError

TEMPLATE = """\
# What every key means: tahona schema
[project]
name = {name}
target = {target}

[data]
source = {source}
drop = []                             # columns that are never features

[split]
kind = "random"                       # "group" or "time" with by = "COLUMN" where rows belong together or have an order
test = 0.2
seed = 42

[train]
metric = "roc_auc"
models = ["lightgbm", "logistic_regression"]
# trials = 40                         # search beyond each family's strong configurations
# budget = "5 min"                    # or search until the time is over
"""


def begin_project(table: Path, target: str, folder: Path) -> Path:
    """Write `tahona.toml` into the folder for a table inside it. Raise InputError if there is one, or no such table."""
    file = folder / "tahona.toml"
    if file.exists():
        raise InputError("there is a project file already", where=str(file), fix="edit it, or choose another folder")
    if not table.is_file():
        raise InputError("there is no such file", where=str(table), fix="name a CSV, Parquet, JSON or Excel file")
    root = folder.resolve()
    if not table.resolve().is_relative_to(root):
        raise InputError(
            "the table is outside the project's folder", where=str(table), fix=f"copy it below {folder}, or use -C"
        )
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", table.stem).strip("_-") or "project"
    source = table.resolve().relative_to(root).as_posix()
    text = TEMPLATE.format(name=json.dumps(name[:64]), target=_quoted(target), source=_quoted(source))
    file.write_text(text, "utf-8")
    return file


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
