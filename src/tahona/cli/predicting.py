"""The command `tahona predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set

if TYPE_CHECKING:
    from tahona.core.findings import Finding
    from tahona.lifecycle.opened import OpenProject
    from tahona.lifecycle.predicting import Predicted
    from tahona.lifecycle.predicting_folder import PredictedFolder


def predict(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A CSV or Parquet file of raw rows, or a folder of such files.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUTPUT", help="A .csv or .parquet file; for a folder a folder.")
    ],
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
    """Predict every row of a file of any length, in bounded memory: label, probabilities, version, warnings.

    The files of a folder are predicted by the workers of [run] executor, which read and write them themselves.
    """
    from tahona.errors import InputError
    from tahona.lifecycle.predicting import predict_file
    from tahona.wiring import open_project, open_table

    opened = open_project(directory, env=env, overrides=set_ or ())
    if source.is_dir():
        _predict_folder(opened, source, output, version, row_id, json=json)
        return
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
    language = opened.project.project.language
    said = [finding.message(language) for finding in told]
    facts = {**asdict(done), "output": str(output), "findings": [finding.to_dict() for finding in told]}
    _tell(done, output, said, facts if json else None)


def _predict_folder(
    opened: OpenProject, source: Path, output: Path, version: str, row_id: str | None, *, json: bool
) -> None:
    from tahona.lifecycle.predicting_folder import predict_folder
    from tahona.wiring import table_opener

    with closing(opened.executor):
        done = predict_folder(
            opened, table_opener(opened.project, row_id), source, output, reference=version, row_id=row_id
        )
    language = opened.project.project.language
    said = [f"{name}: {finding.message(language)}" for name, finding in done.findings]
    findings = [{"file": name, **finding.to_dict()} for name, finding in done.findings]
    facts = {**asdict(replace(done, findings=())), "output": str(output), "findings": findings}
    _tell(done, output, said, facts if json else None)


def _tell(
    done: Predicted | PredictedFolder, output: Path, said: Sequence[str], document: Mapping[str, object] | None
) -> None:
    from tahona.cli.terminal import out, print_json

    if document is not None:
        print_json(document)
        return
    for sentence in said:
        out().print(sentence, markup=False)
    out().print(f"{done.rows} rows predicted with {done.model} version {done.version} → {output}", markup=False)
    if done.warned:
        out().print(f"{done.warned} of them with a warning (column `warnings`)", markup=False)
