"""ingest: read the source once and keep exactly what was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tahona.core.schema import ROW
from tahona.digests import digest_file
from tahona.errors import DataError
from tahona.steps.context import Inputs, StepContext
from tahona.steps.documents import write_findings, write_table

if TYPE_CHECKING:
    from tahona.core.plan import Step
    from tahona.project.model import Project

NEEDS: dict[str, tuple[str, ...]] = {}
SEES: dict[str, tuple[str, ...]] = {}
LIBRARIES = ("pandas", "pyarrow")


def settings(project: Project, step: Step) -> dict[str, Any]:
    """Return what of the project file this step reads."""
    data = project.part("data")["data"]
    return {key: value for key, value in data.items() if key not in {"drop", "clean", "formats"}}


def run(context: StepContext, inputs: Inputs) -> None:
    """Write `raw.parquet` and `ingest.json` (rows, columns, digest, pandas dtypes, what was decided to read it)."""
    fetched = context.source.fetch()
    frame = fetched.frame
    if frame.empty:
        raise DataError("the table has 0 rows", where="data.source", fix="name a source that holds data")
    if ROW in frame.columns:
        raise DataError(f"'{ROW}' is a name that Tahona uses itself", where="data.source", fix="rename that column")
    write_table(context.output("raw.parquet"), frame)
    write_findings(
        context.output("ingest.json"),
        fetched.findings,
        rows=len(frame),
        columns=len(frame.columns),
        digest=digest_file(context.output("raw.parquet")),
        types={str(name): str(dtype) for name, dtype in frame.dtypes.items()},
    )
