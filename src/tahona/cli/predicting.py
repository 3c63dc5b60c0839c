"""The command `tahona predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set

if TYPE_CHECKING:
    from tahona.core.findings import Finding


def predict(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A CSV or Parquet file of raw rows.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUTPUT", help="A .csv or .parquet file.")],
    version: Annotated[str, typer.Option("--model", metavar="VERSION", help="A version or an alias.")] = "champion",
    row_id: Annotated[
        str | None,
        typer.Option("--id", metavar="COLUMN", help="Column to keep as row id; else the row's number, from 0."),
    ] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Predict every row of a file of any length, in bounded memory: label, probabilities, version, warnings."""
    from dataclasses import asdict

    from tahona.cli.terminal import out, print_json
    from tahona.errors import InputError
    from tahona.lifecycle.predicting import predict_file
    from tahona.wiring import open_project, open_table

    opened = open_project(directory, env=env, overrides=set_ or ())
    if output.exists() and source.exists() and output.samefile(source):
        raise InputError("the output is the input", where=str(output), fix="name another file with -o")
    told: list[Finding] = []
    done = predict_file(
        opened,
        lambda bundle: open_table(opened.project, source, bundle, row_id, told.append),
        output,
        reference=version,
        row_id=row_id,
    )
    if json:
        print_json({**asdict(done), "output": str(output), "findings": [finding.to_dict() for finding in told]})
        return
    for finding in told:
        out().print(finding.message(opened.project.project.language), markup=False)
    out().print(f"{done.rows} rows predicted with {done.model} version {done.version} → {output}", markup=False)
    if done.warned:
        out().print(f"{done.warned} of them with a warning (column `warnings`)", markup=False)
