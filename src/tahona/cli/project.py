"""Commands about the project file: check, schema, new."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set


def check(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Read the project file and say whether it can be run; nothing is run."""
    from tahona.cli.terminal import out, print_json
    from tahona.project.functions import load_functions
    from tahona.project.load import load_project

    loaded = load_project(directory, env=env, overrides=set_ or ())
    functions = load_functions(loaded.project)
    if json:
        print_json(
            {
                "project": loaded.project.name,
                "functions": len(functions),
                "findings": [finding.to_dict() for finding in loaded.findings],
            }
        )
        return
    for finding in loaded.findings:
        out().print(f"{finding.severity}: {finding.message()}", markup=False)
    out().print(f"{loaded.project.name}: the project file is right", markup=False)


def schema(directory: Folder = HERE, json: Json = False) -> None:  # noqa: ARG001 - the same anywhere, and JSON anyway
    """Print the JSON Schema of the project file, for editors and programs."""
    from tahona.cli.terminal import print_json
    from tahona.project.reference import json_schema

    print_json(json_schema())


def new(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A CSV, Parquet, JSON or Excel file.")],
    target: Annotated[str, typer.Option("--target", metavar="COLUMN", help="The column that holds the label.")],
    directory: Folder = HERE,
    json: Json = False,
) -> None:
    """Write a first `tahona.toml` for a table."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.beginning import begin_project

    file = begin_project(table, target, directory)
    if json:
        print_json({"project": str(file)})
        return
    out().print(f"{file} written; next: tahona run -C {directory}", markup=False)
