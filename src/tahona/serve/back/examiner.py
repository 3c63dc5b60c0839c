"""Looks at an upload, in a process of its own that is soon gone.

Its memory, time and files are bounded, it asks no address and unpickles nothing. `python -m tahona.serve.back.examiner`
takes an order on standard input: see `tahona.serve.back.examining`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.errors import InputError, TahonaError

if TYPE_CHECKING:
    import pandas as pd

    from tahona.core.findings import Finding
    from tahona.core.schema import Column, Schema
    from tahona.project.model import Project
    from tahona.sources.limits import Limits

Document = dict[str, Any]

LOOKED_AT = 50_000
"""Rows that the audit looks at here; training looks at all."""
MOST_COLUMNS = 1_000
MOST_FINDINGS = 200
SHOWN_LEVELS = 20
WRITTEN = 64 << 20
"""Bytes that a file may have which this process writes."""
_FORBIDDEN = frozenset({"socket.connect", "socket.getaddrinfo", "pickle.find_class"})


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be examined, and how."""

    train: Path
    test: Path | None
    target: str | None
    """The label that the client names; None: the project's, where the table has it."""
    project: Project
    limits: Limits

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Order:
        from tahona.sources.limits import Limits

        test = Path(data["test"]) if data["test"] else None
        return cls(Path(data["train"]), test, data["target"], project_of(data), Limits(**data["limits"]))


def project_of(order: Mapping[str, Any]) -> Project:
    """Return the project by which the tables of an order are read."""
    from tahona.project.model import Project

    return Project.model_validate_json(json.dumps(order["project"])).model_copy(update={"root": Path(order["root"])})


def main() -> None:
    """Answer the order on standard input."""
    reply(lambda order: examine(Order.from_dict(order)))


def reply(work: Callable[[Mapping[str, Any]], Document]) -> None:
    """Answer the order with one JSON document on standard output: what was found, or why it is refused."""
    order = json.load(sys.stdin.buffer)
    confine(order["memory"], order["cpu_seconds"])
    try:
        answer = work(order)
    except MemoryError:
        answer = {"no_memory": True}
    except TahonaError as error:
        answer = {"refused": {"what": error.what, "where": error.where, "fix": error.fix}}
    json.dump(answer, sys.stdout, allow_nan=False)


def confine(memory: int, cpu_seconds: int) -> None:
    """Bound this process: bytes of address space, processor seconds, files; it can ask nobody and unpickle nothing."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"{event} is forbidden here")


def examine(order: Order) -> Document:
    """Read the tables as training would; say what they are and what is odd. Raise what reading raises."""
    from tahona.sources.file import FileSource
    from tahona.steps.clean import clean_frame

    project = order.project
    table = FileSource(order.train, project.data, where="train", limits=order.limits).fetch()
    raw, frame = table.frame, clean_frame(project, table.frame)
    schema, findings = _schema(order, frame)
    return {
        "rows": len(raw),
        "column_names": [str(name) for name in raw.columns],
        "reading": _told(table.findings),
        "schema": {
            "target": schema.target or None,
            "labels": list(schema.labels[:SHOWN_LEVELS]),
            "positive": schema.positive,
            "columns": [_described(column) for column in schema.columns[:MOST_COLUMNS]],
            "columns_in_all": len(schema.columns),
        },
        "findings": _told(findings),
        "audit": _audit(project, frame, schema) if schema.target else None,
        "test": _test(order, raw, schema) if order.test else None,
    }


def _schema(order: Order, frame: pd.DataFrame) -> tuple[Schema, Sequence[Finding]]:
    """Return what the columns are, with the label if it is known which one that is."""
    from tahona.core.schema import Schema
    from tahona.core.spelling import did_you_mean
    from tahona.learn.inference import infer_column, infer_schema
    from tahona.learn.reading import with_ranges

    project, names = order.project, [str(name) for name in frame.columns]
    if order.target is not None and order.target not in names:
        hint = did_you_mean(order.target, names) or "name a column of the table"
        raise InputError("the table has no column of this name", where="target", fix=hint)
    target = order.target or project.project.target
    data = project.data
    if target in names:
        same = target == project.project.target
        positive = project.project.positive if same else None
        return infer_schema(
            frame, target=target, positive=positive, drop=data.drop, types=data.types, formats=data.formats
        )
    found, cells, findings = [], {}, []
    for name in names:
        column, values, noticed = infer_column(frame[name], name, data.types.get(name), data.formats.get(name, ""))
        findings += noticed
        if column is not None:
            found.append(column)
            cells[name] = values
    return with_ranges(Schema(tuple(found), "", ()), cells), findings


def _audit(project: Project, frame: pd.DataFrame, schema: Schema) -> Document:
    """Cut the rows as the project does and look for what would make the numbers untrue; training looks again."""
    from tahona.learn.audit import audit_data, refusal, run_audit
    from tahona.learn.labels import to_labels
    from tahona.learn.split import split_rows
    from tahona.steps.clean import group_column, kept_columns, typed_frame, without_group

    rows = frame if len(frame) <= LOOKED_AT else frame.sample(LOOKED_AT, random_state=0).sort_index()
    schema, told = without_group(schema, group_column(project))
    try:
        typed = typed_frame(rows, schema, keep=kept_columns(project))
        y = to_labels(typed[schema.target], schema)
        cut = split_rows(typed, y, schema, project.split)
        features = typed.drop(columns=[schema.target])
        data = audit_data(
            features.iloc[cut.train],
            features.iloc[cut.test],
            y[cut.train],
            schema,
            project.split,
            dropped=project.data.drop,
        )
        found = run_audit(data, project.audit.allow, (*told, *cut.findings))
        stop: TahonaError | None = refusal(found)
    except InputError as error:
        found, stop = (), error
    return {
        "rows": len(rows),
        "findings": _told(found),
        "stops": None if stop is None else {"what": stop.what, "where": stop.where, "fix": stop.fix},
    }


def _test(order: Order, raw: pd.DataFrame, schema: Schema) -> Document:
    """Read the test table as a file to be judged is read, and say whether it fits."""
    import pandas as pd

    from tahona.serve.back.agreement import agreement
    from tahona.sources.file import FileSource
    from tahona.steps.clean import clean_frame

    assert order.test is not None
    project = order.project
    texts = {str(name): "category" for name in raw.columns if isinstance(raw[name].dtype, pd.StringDtype)}
    data = project.data.model_copy(update={"types": {**texts, **project.data.types}})
    table = FileSource(order.test, data, where="test", limits=order.limits).fetch()
    dropped = frozenset((*project.data.drop, *(str(name) for name in raw.columns)))
    found = agreement(schema, clean_frame(project, table.frame), dropped=dropped)
    return {"reading": _told(table.findings), **found}


def _described(column: Column) -> Document:
    return {
        "name": column.name,
        "kind": column.kind,
        "nullable": column.nullable,
        "low": column.low,
        "high": column.high,
        "levels": len(column.levels),
        "most_frequent": list(column.levels[:SHOWN_LEVELS]),
    }


def _told(findings: Sequence[Finding]) -> list[Document]:
    return [finding.to_dict() for finding in findings[:MOST_FINDINGS]]


if __name__ == "__main__":
    main()
