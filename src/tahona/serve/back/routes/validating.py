"""`POST /validate`: whether a CSV file fits a registered model, and how well the model does on it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from tahona.core.records import Version
from tahona.errors import DataError, InputError
from tahona.lifecycle.registry import CHAMPION, find_version, open_bundle
from tahona.room import room_in, temporary_folder
from tahona.serve.back.checking import WHERE, check_table
from tahona.serve.back.desk import AtDesk, Desk
from tahona.serve.back.examining import extension, upload_limits
from tahona.serve.back.openapi import form_body
from tahona.serve.back.receiving import is_multipart, read_form, write_bytes
from tahona.serve.back.refusing import Refused

router = APIRouter(tags=["predicting"])

SMALL = 1 << 20
"""Bytes up to which a file is checked in a thread; a larger one gets a process of its own."""
MOST_FIELDS, LONGEST_FIELD = 4, 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}(@[A-Za-z0-9_.-]{1,40})?")
_SHOWN = 8

_FORM = form_body(
    ["csv_file", "model_name"],
    {
        "csv_file": {"type": "string", "format": "binary", "description": "Raw rows as CSV."},
        "model_name": {
            "type": "string",
            "maxLength": LONGEST_FIELD,
            "description": "NAME (its champion) or NAME@VERSION.",
            "examples": ["hotel", "hotel@3"],
        },
    },
)


class ColumnFinding(BaseModel):
    """One thing that is odd about a column; rows are counted from 1."""

    kind: Annotated[str, Field(examples=["out_of_range"])]
    column: Annotated[str, Field(examples=["lead_time"])]
    rows: Annotated[int, Field(examples=[12])]
    share: Annotated[float, Field(examples=[0.01])]
    first_row: Annotated[int | None, Field(examples=[7])]
    stops: Annotated[bool, Field(description="Whether the table cannot be predicted for it.", examples=[False])]
    message: Annotated[str, Field(examples=["values outside the range that training saw"])]


class Measured(BaseModel):
    """A metric on the rows whose label is known, with its 95 % interval where that is cheap."""

    value: Annotated[float | None, Field(examples=[0.91])]
    low: Annotated[float | None, Field(examples=[0.88])]
    high: Annotated[float | None, Field(examples=[0.93])]


class Validated(BaseModel):
    """What the file is to the model. The last three are there with `detail=true` only."""

    status: Annotated[str, Field(description="valid or invalid.", examples=["valid"])]
    model_used: Annotated[str, Field(examples=["hotel@3"])]
    input_shape: Annotated[list[int], Field(description="Rows and columns.", examples=[[500, 31]])]
    predictions_count: Annotated[int, Field(examples=[500])]
    predictions: Annotated[
        list[str | None], Field(description="Labels in the order of the rows; [serve.limits] rows at most.")
    ]
    input_columns: Annotated[list[str], Field(examples=[["lead_time", "hotel"]])]
    message: Annotated[str, Field(examples=["500 rows fit hotel@3"])]
    findings: list[ColumnFinding] | None = None
    labelled_rows: int | None = None
    metrics: dict[str, Measured] | None = None


@router.post(
    "/validate",
    summary="Check a CSV file against a model",
    response_model_exclude_unset=True,
    openapi_extra=_FORM,
)
async def validate(
    request: Request,
    desk: AtDesk,
    detail: Annotated[bool, Query(description="Answer findings and metrics as data besides.")] = False,
) -> Validated:
    """Say what is missing, more, of another type or beyond what training saw, and how well the model does.

    Metrics are measured where the file has the label. What is predicted here is not kept in the prediction log.
    """
    limits = desk.opened.project.serve.limits
    async with _received(request, limits.upload) as (file, name):
        version = await run_in_threadpool(_version, desk, name)
        found = await _checked(desk, version, file)
    return _validated(f"{version.name}@{version.number}", found, limits.rows, detail=detail)


@asynccontextmanager
async def _received(request: Request, most: int) -> AsyncIterator[tuple[Path, str]]:
    """Read the two parts of the form; the file lies in a folder that is gone afterwards, under a name of ours."""
    if not is_multipart(request):
        raise Refused(415, "a file is sent as multipart/form-data", where="content-type")
    fix = "send a file `csv_file` and a field `model_name`"
    async with read_form(request, most, files=1, fields=MOST_FIELDS, longest=LONGEST_FIELD, fix=fix) as form:
        upload, name = form.get("csv_file"), form.get("model_name")
        if len(form.multi_items()) != 2 or not isinstance(upload, UploadFile) or not isinstance(name, str):
            raise Refused(422, "the form has to have a file `csv_file` and a field `model_name`, and nothing else")
        with temporary_folder("rows") as folder:
            file = folder / "table"
            with room_in(file):
                await run_in_threadpool(write_bytes, upload.file, file)
            _check_is_csv(file)
            yield file, name


def _check_is_csv(file: Path) -> None:
    if not file.stat().st_size:
        raise Refused(400, "the file is empty", where=WHERE, fix="send a file with a header and rows")
    try:
        kind = extension(file, where=WHERE)
    except DataError as error:
        raise Refused.by(error, 400) from None
    if kind != "csv":
        raise Refused(400, "the file is not CSV", where=WHERE, fix="save it as CSV")


def _version(desk: Desk, name: str) -> Version:
    """Look the model up in the ledger. Raise Refused (404) for one that is not there."""
    if _NAME.fullmatch(name):
        try:
            return find_version(desk.opened, name if "@" in name else f"{name}@{CHAMPION}")
        except InputError:
            pass
    raise Refused(404, "there is no such model", where="model_name", fix="GET /models lists them: NAME or NAME@VERSION")


async def _checked(desk: Desk, version: Version, file: Path) -> Mapping[str, Any]:
    """Check the table in a thread, or a large one in a process of its own. What is no table is refused with 400."""
    try:
        if file.stat().st_size > SMALL:
            bundle_file = await run_in_threadpool(desk.opened.store.get, version.bundle_digest)
            tables = {"bundle": str(bundle_file.resolve()), "file": str(file.resolve())}
            return await desk.workshop.examining.ask("tahona.serve.back.checker", tables)
        return await desk.batcher.aside(partial(_check_here, desk, version, file))
    except InputError as error:
        raise Refused.by(error, 400) from None
    except Refused as error:
        if error.problem.status != 422:
            raise
        raise Refused.of(error.problem, status=400) from None


def _check_here(desk: Desk, version: Version, file: Path) -> Mapping[str, Any]:
    serving, project = desk.keeper.serving(), desk.opened.project
    is_served = (serving.champion.version, serving.champion.digest) == (version.number, version.bundle_digest)
    bundle = serving.bundle if is_served else open_bundle(desk.opened, version)
    return check_table(bundle, project, file, upload_limits(project.serve.limits.upload))


def _validated(model: str, found: Mapping[str, Any], most: int, *, detail: bool) -> Validated:
    findings = [ColumnFinding(**each) for each in found["findings"]]
    metrics = {name: Measured(**each) for name, each in found["metrics"].items()}
    more: dict[str, Any] = {}
    if detail:
        more = {"findings": findings, "metrics": metrics, "labelled_rows": found.get("labelled_rows", 0)}
    return Validated(
        status="invalid" if any(each.stops for each in findings) else "valid",
        model_used=model,
        input_shape=[found["rows"], len(found["names"])],
        predictions_count=sum(label is not None for label in found["predictions"]),
        predictions=found["predictions"][:most],
        input_columns=found["names"],
        message=_message(model, found, findings, metrics),
        **more,
    )


def _message(
    model: str, found: Mapping[str, Any], findings: list[ColumnFinding], metrics: Mapping[str, Measured]
) -> str:
    """Say it all in a few sentences: what stops first, then what is odd, then how good it is."""
    stops = any(each.stops for each in findings)
    said = [f"{found['rows']:,} rows {'do not fit' if stops else 'fit'} {model}."]
    told = sorted(findings, key=lambda each: (not each.stops, -each.rows))
    said += [f"{each.column or 'the table'}: {each.message} ({each.rows:,} rows)." for each in told[:_SHOWN]]
    if len(told) > _SHOWN:
        said.append(f"{len(told) - _SHOWN} more findings: ?detail=true lists them.")
    if metrics:
        shown = ", ".join(
            f"{name} {metrics[name].value:.4f}"
            for name in ("accuracy", "f1", "roc_auc")
            if metrics[name].value is not None
        )
        said.append(f"On {found['labelled_rows']:,} rows with a label: {shown}.")
    return " ".join(said)
