"""Predict a file of any length, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.errors import InputError
from tahona.lifecycle.answer_file import answer_file, check_output
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.registry import find_version, open_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from tahona.bundle.bundle import Bundle
    from tahona.ports import Source

PIECE = 60_000
"""Rows that are in memory at a time …"""
CELLS = 8_000_000
"""… fewer where the matrices that models read have more cells than this (64 MB)."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """How many rows were predicted by what, and how many carry a warning."""

    rows: int
    warned: int
    model: str
    version: int


def predict_file(
    opened: OpenProject,
    table: Callable[[Bundle], Source],
    output: Path,
    *,
    reference: str = "champion",
    row_id: str | None = None,
) -> Predicted:
    """Write row id, label, probabilities, version and warnings for every row; the file appears whole or not at all.

    ``table`` opens the raw rows for a bundle (which says how its columns are to be read). Memory does not grow with the
    file; cleaning functions see one piece at a time. Raises InputError for an output that is neither .csv nor .parquet,
    and what reading and predicting raise, with the row's place in the whole file.
    """
    check_output(output)
    version = find_version(opened, reference)
    bundle = open_bundle(opened, version, light=True)
    rows, warned = write_answers(bundle, table(bundle), output, row_id, where="INPUT")
    return Predicted(rows, warned, version.name, version.number)


def write_answers(bundle: Bundle, source: Source, output: Path, row_id: str | None, *, where: str) -> tuple[int, int]:
    """Predict the source piece by piece into the output; return how many rows there were, and how many warnings."""
    rows = warned = 0
    with answer_file(output) as write:
        for piece in source.batches(_piece(bundle)):
            answer = _answer(bundle, piece, rows, row_id)
            write(answer)
            rows += len(answer)
            warned += int((answer["warnings"] != "").sum())
        if rows == 0:
            raise InputError("the file has 0 rows", where=where, fix="name a file that holds rows")
    return rows, warned


def _piece(bundle: Bundle) -> int:
    """Return how many rows are predicted at a time."""
    encodings = [member.model.encoding for member in bundle.members]
    width = max((len(each.names) for each in encodings if not (each.wide or each.texts)), default=1)
    return max(1, min(PIECE, CELLS // width))


def _answer(bundle: Bundle, piece: pd.DataFrame, start: int, row_id: str | None) -> pd.DataFrame:
    """Return the piece's answers behind the row's id; every piece's columns have the same types."""
    import numpy as np

    from tahona.bundle.predict import predict_frame

    if row_id is not None and row_id not in piece.columns:
        raise InputError(f"the input has no column '{row_id}'", where="--id", fix="name a column of the input")
    answer = predict_frame(bundle, piece, first=start)
    if row_id in answer.columns:
        raise InputError(f"'{row_id}' is a column of the answers", where="--id", fix="rename the input's column")
    if row_id is None:
        answer.insert(0, "row", np.arange(start, start + len(piece)))
    else:
        answer.insert(0, row_id, piece[row_id].array)
    return answer
