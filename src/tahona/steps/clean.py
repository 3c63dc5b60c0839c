"""clean: run the user's functions, settle what kind each column is, and keep the typed table."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding
from tahona.core.schema import ROW, Column
from tahona.errors import DataError
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import read_json, read_table, write_findings, write_json, write_table

if TYPE_CHECKING:
    import pandas as pd

    from tahona.core.plan import Step
    from tahona.core.schema import Schema
    from tahona.project.model import Project, TextPart

NEEDS = {"ingest": ("raw.parquet", "ingest.json")}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("pandas", "pyarrow", "numpy")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    data = project.part("data")["data"]
    return {
        "target": project.project.target,
        "positive": project.project.positive,
        "keep": kept_columns(project),
        "group": group_column(project),
        **{key: data[key] for key in ("drop", "clean", "types", "formats", "text")},
    }


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `interim.parquet` (features, label, `_row`), `schema.json`, `clean.json` and `cleaning.json`."""
    from tahona.learn.columns import infer_schema

    project = context.project
    raw = read_table(inputs["ingest"]["raw.parquet"])
    frame = clean_frame(project, raw)
    schema, findings = infer_schema(
        frame,
        target=project.project.target,
        positive=project.project.positive,
        drop=project.data.drop,
        types=project.data.types,
        formats=project.data.formats,
    )
    schema, told = without_group(schema, group_column(project))
    schema, findings = with_words(schema, project.data.text), (*findings, *told)
    write_table(context.output("interim.parquet"), typed_frame(frame, schema, keep=kept_columns(project)))
    write_json(context.output("schema.json"), schema.to_dict())
    write_findings(context.output("clean.json"), findings, rows=len(frame), dropped_rows=len(raw) - len(frame))
    types = read_json(inputs["ingest"]["ingest.json"])["types"]
    write_json(context.output("cleaning.json"), describe_cleaning(project, types, schema))


def clean_frame(project: Project, raw: pd.DataFrame) -> pd.DataFrame:
    """Return the table after the user's functions; its index is the row's place in the raw table."""
    from tahona.project.functions import apply, load_functions

    frame = raw
    for function in load_functions(project):
        frame = apply(function, frame)
        if not frame.index.isin(raw.index).all() or frame.index.has_duplicates:
            raise DataError(
                "the function gave rows that were not there before",
                where=function.name,
                fix="change or drop rows, and keep the index of those that stay (no reset_index)",
            )
    return frame


def kept_columns(project: Project) -> tuple[str, ...]:
    """Name the columns that are no features but that the split or the evaluation reads."""
    named = (project.split.by, *project.audit.slices)
    return tuple(dict.fromkeys(name for name in named if name))


def group_column(project: Project) -> str:
    """Name the column whose values are the groups of the split, unless the project file says what kind it is."""
    by = project.split.by if project.split.kind == "group" else None
    return "" if by is None or by in project.data.types else by


def without_group(schema: Schema, name: str) -> tuple[Schema, tuple[Finding, ...]]:
    """Return the schema with the group's column as an identifier, and a finding that says so.

    The groups of test rows, and of rows to come, are not those that were trained on: their names tell nothing. A
    column of texts (or times) is left a feature, for rows that share one can still be alike in what it says.
    """
    found = next((column for column in schema.features if column.name == name), None)
    if found is None or found.kind not in ("category", "numeric"):
        return schema, ()
    columns = tuple(Column(name, "id") if column is found else column for column in schema.columns)
    return replace(schema, columns=columns), (Finding("group_no_feature", name),)


def with_words(schema: Schema, text: TextPart) -> Schema:
    """Return the schema with how its text columns are read; raise SetupError if that needs a missing package."""
    from tahona.learn.lemmas import check_lemmas

    declared = {"lemmas": text.lemmas or "", "stop_words": text.stop_words, "characters": text.characters}
    if not any(declared.values()):
        return schema
    if not schema.of_kind("text"):
        raise DataError(
            "no column of the table is text", where="[data.text]", fix='Name one in [data.types]: COLUMN = "text".'
        )
    if text.lemmas:
        check_lemmas()
    return replace(
        schema,
        columns=tuple(
            Column.from_dict({**asdict(column), **declared}) if column.kind == "text" else column
            for column in schema.columns
        ),
    )


def typed_frame(frame: pd.DataFrame, schema: Schema, keep: tuple[str, ...]) -> pd.DataFrame:
    """Return `_row`, the feature columns in their kinds, the columns to keep besides, and the label."""
    from tahona.learn.columns import conform

    missing = [name for name in keep if name not in frame.columns]
    if missing:
        raise DataError(f"there is no column '{missing[0]}'", where="split.by or audit.slices")
    wanted = [name for name in dict.fromkeys((*schema.names, *keep)) if name != schema.target]
    typed = conform(frame, schema)[wanted]
    typed.insert(0, ROW, frame.index.to_numpy(dtype="int64"))
    typed[schema.target] = label_texts(frame[schema.target]).array
    return typed.reset_index(drop=True)


def label_texts(labels: pd.Series) -> pd.Series:
    """Return the labels as canonical text, whatever library wrote them."""
    import pandas as pd

    from tahona.learn.columns import canonical

    return pd.Series([canonical(value) for value in labels], dtype="str")


def describe_cleaning(project: Project, raw_types: dict[str, str], schema: Schema) -> dict[str, object]:
    """Say what a raw row consists of and which functions it passes: what a bundle must know."""
    from tahona.project.functions import load_functions, source_digest

    functions = load_functions(project)
    left_out = {schema.target, *project.data.drop}
    return {
        "functions": list(project.data.clean),
        "digest": source_digest(functions) if functions else "",
        "raw_types": {name: kind for name, kind in raw_types.items() if name not in left_out},
    }
