"""A table of raw rows as CSV, and its answers as CSV, both in files that are gone afterwards."""

from __future__ import annotations

import tempfile
from codecs import lookup
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tahona.bundle.predict import Read, Scored, raw_columns, score_read
from tahona.bundle.raw import column_forms
from tahona.errors import DataError
from tahona.lifecycle.answer_file import csv_lines
from tahona.room import room_in, temporary_folder
from tahona.serve.back.answering import Asked, write_down
from tahona.serve.back.asking import pieces_of_body, too_many
from tahona.serve.back.examining import extension
from tahona.serve.back.refusing import Refused
from tahona.serve.bodies import unknown
from tahona.serve.front.mistakes import MOST_EXTRA
from tahona.sources.encoding import check_encoding
from tahona.wiring import open_table

if TYPE_CHECKING:
    import pandas as pd

    from tahona.bundle.bundle import Bundle
    from tahona.core.findings import Finding
    from tahona.project.model import Project
    from tahona.serve.back.batching import Row
    from tahona.serve.back.desk import Desk
    from tahona.serve.front.rows import Reader

_NO_TEXTS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})
"""Codecs of Python's that no table is written in; some take time that grows with the square of the text."""
PIECE = 2_000
"""Rows that are in memory at a time."""
_BLOCK = 1 << 16
_OWN = ("label", "version", "warnings", "prediction_id")


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTable:
    """Some rows of a table with what was said of them; ``first`` is how many stand before them."""

    first: int
    frame: pd.DataFrame
    rows: list[Row]
    scored: Scored


@asynccontextmanager
async def received_table(request: Request, most: int) -> AsyncIterator[Path]:
    """Write the body to a file, which is gone afterwards.

    Raises Refused: 413 beyond so many bytes, 415 for what is no text by its first bytes.
    """
    with temporary_folder("rows") as folder:
        file = folder / "body"
        with room_in(file), file.open("wb") as stream:
            async for piece in pieces_of_body(request, most):
                stream.write(piece)
        _check_is_csv(file)
        yield file


def _check_is_csv(file: Path) -> None:
    try:
        kind = extension(file, where="body")
    except DataError as error:
        raise Refused.by(error, 415) from None
    if kind != "csv":
        raise Refused(415, "the body is sent as CSV and is something else", fix="name what it is in Content-Type")


def scored_table(
    desk: Desk, asked: Asked, file: Path, charset: str, row_id: str | None, told: list[Finding]
) -> Iterator[ScoredTable]:
    """Read and score the table piece by piece; ``told`` gets how it is read.

    Raises DataError with line or row and column; Refused (413) beyond the rows of a request, (415) for a charset that
    nobody knows, (422) where no row can have the id that is asked for.
    """
    bundle, project = asked.serving.bundle, _as_sent(desk.opened.project, charset)
    most, rows, needed = project.serve.limits.rows, 0, list(column_forms(bundle))
    for piece in open_table(project, file, bundle, row_id, told.append).batches(PIECE):
        _check_id(row_id, piece, bundle)
        if rows + len(piece) > most:
            raise too_many(most)
        read = Read(len(piece), *raw_columns(bundle, piece, rows))
        yield ScoredTable(rows, piece, plain_rows(piece[needed]), score_read(bundle, [read])[0])
        rows += len(piece)


def _as_sent(project: Project, charset: str) -> Project:
    """Return the project as one whose tables have the charset that the client declares."""
    if not charset:
        return project
    try:
        check_encoding(charset, where="content-type")
        if lookup(charset).name in _NO_TEXTS:
            raise DataError("no encoding of tables")
    except DataError:
        raise Refused(415, "there is no such charset", where="content-type") from None
    return project.model_copy(update={"data": project.data.model_copy(update={"encoding": charset})})


def _check_id(row_id: str | None, piece: pd.DataFrame, bundle: Bundle) -> None:
    if row_id is None:
        return
    if row_id not in piece.columns:
        raise Refused(422, "the table has no column of this name", where="id", fix="name a column of the table")
    if row_id in {*_OWN, *(f"probability_{label}" for label in bundle.schema.labels)}:
        raise Refused(422, "the answers have a column of this name", where="id", fix="rename the table's column")


def plain_rows(frame: pd.DataFrame) -> list[Row]:
    """Return the rows as plain values, None where nothing is."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): cell for name, cell in row.items()} for row in rows]


def answered_table(
    desk: Desk, asked: Asked, reader: Reader, file: Path, charset: str, row_id: str | None
) -> tuple[IO[bytes], list[Finding]]:
    """Predict a table of raw rows; return the answers, in a file without a name, and how the table was read.

    Nothing is written down for the prediction log until every row is answered.
    """
    told: list[Finding] = []
    extra = unknown(_unread(desk, asked, reader, file, charset, row_id))
    output = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    try:
        with room_in(Path(tempfile.gettempdir())):
            for piece in list(scored_table(desk, asked, file, charset, row_id, told)):
                names = write_down(desk, asked, piece.rows, piece.scored, first=piece.first)
                output.write(csv_lines(_answers(asked, piece, row_id, names, extra), header=piece.first == 0))
        output.seek(0)
    except BaseException:
        output.close()
        raise
    return output, told


def _unread(desk: Desk, asked: Asked, reader: Reader, file: Path, charset: str, row_id: str | None) -> tuple[str, ...]:
    """Return the table's columns that the model does not know. Raise Refused (413) for more than JSON may have."""
    table = open_table(_as_sent(desk.opened.project, charset), file, asked.serving.bundle, row_id)
    known = {row_id, *(column.name for column in reader.columns), *reader.ignored}
    names = tuple(name for name in table.csv_names() if name not in known)
    if len(names) > MOST_EXTRA:
        raise Refused(413, f"more than {MOST_EXTRA:,} columns that the model does not know", where="body")
    return names


def _answers(asked: Asked, piece: ScoredTable, row_id: str | None, names: list[str | None], extra: str) -> pd.DataFrame:
    import pandas as pd

    frame, scored = piece.frame, piece.scored
    classes = asked.serving.bundle.schema.labels
    identity = np.arange(piece.first, piece.first + len(frame)) if row_id is None else frame[row_id].array
    return pd.DataFrame(
        {
            row_id or "row": identity,
            "label": scored.labels.tolist(),
            **{f"probability_{label}": scored.probabilities[:, code] for code, label in enumerate(classes)},
            "version": asked.serving.champion.version,
            "warnings": [f"{said}; {extra}" if said and extra else said or extra for said in scored.warnings.tolist()],
            "prediction_id": np.asarray(names, dtype=object),
        }
    )


async def pieces_of(output: IO[bytes]) -> AsyncGenerator[bytes, None]:
    """Give the file's bytes piece by piece and close it."""
    with closing(output):
        while piece := await run_in_threadpool(output.read, _BLOCK):
            yield piece
