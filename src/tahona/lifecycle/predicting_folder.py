"""Predict a folder of files: one file of answers for each, made by the executor's workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.bundle.bundle import Bundle, load_bundle
from tahona.core.findings import Finding
from tahona.digests import digest_bytes
from tahona.errors import DataError, InputError, IntegrityError, SetupError
from tahona.lifecycle.answer_file import SUFFIXES
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.predicting import write_answers
from tahona.lifecycle.registry import bind_cleaning, find_version
from tahona.ports import Lost, Source
from tahona.room import temporary_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tahona.core.records import Version
    from tahona.project.functions import UserFunction

OpenTable = Callable[[Path, Bundle, Callable[[Finding], None]], Source]
"""Opens a file of raw rows for a bundle, and tells how it is read. It travels to the workers."""


@dataclass(frozen=True, slots=True)
class PredictedFolder:
    """How many files and rows were predicted by what, how many rows carry a warning, and how the files were read."""

    files: int
    rows: int
    warned: int
    model: str
    version: int
    findings: tuple[tuple[str, Finding], ...]
    """Name of the file and what was noticed in it."""


@dataclass(frozen=True)
class _Job:
    """By what every file is predicted. Equal digest and version are the same bundle."""

    digest: str
    version: int
    content: NDArray[np.uint8] = field(compare=False)
    """The bundle's bytes: an array, which workers beside this process need not copy."""
    functions: tuple[UserFunction, ...] = field(compare=False)
    table: OpenTable = field(compare=False)
    row_id: str | None = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Item:
    source: Path
    output: Path
    job: _Job


@dataclass(frozen=True, slots=True)
class _Done:
    rows: int
    warned: int
    findings: tuple[Finding, ...]


def predict_folder(
    opened: OpenProject,
    table: OpenTable,
    source: Path,
    output: Path,
    *,
    reference: str = "champion",
    row_id: str | None = None,
) -> PredictedFolder:
    """Write, for each CSV and Parquet file in the folder ``source``, a file of its name into the folder ``output``.

    The executor's workers read and write the files themselves, in pieces; each file of answers appears whole or not at
    all. Rows are numbered in each file from 0. Raises what `predict_file` raises, and InputError for other files.
    """
    files = _files(source)
    _check_folder(source, output)
    version = find_version(opened, reference)
    job = cache(lambda: _job(opened, version, table, row_id))
    key = f"predict-{version.bundle_digest}-{version.number}-{row_id}"
    items = (_Item(file.resolve(), output.resolve() / file.name, opened.executor.share(key, job)) for file in files)
    output.mkdir(exist_ok=True)
    rows = warned = 0
    findings: list[tuple[str, Finding]] = []
    for file, done in zip(files, opened.executor.map(_predict, items), strict=True):
        if isinstance(done, Lost):
            raise SetupError(
                f"the file was not predicted: {done.reason}", where=file.name, fix="give the workers more memory"
            )
        rows += done.rows
        warned += done.warned
        findings += [(file.name, finding) for finding in done.findings]
    return PredictedFolder(len(files), rows, warned, version.name, version.number, tuple(findings))


def _files(folder: Path) -> list[Path]:
    """Return the folder's files in the order of their names; hidden ones, and marks such as _SUCCESS, do not count."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    for path in files:
        if path.suffix not in SUFFIXES or not path.is_file():
            raise InputError(
                "the folder holds something else than .csv and .parquet files", where=str(path), fix="move it elsewhere"
            )
    if not files:
        raise InputError("the folder holds no .csv or .parquet file", where=str(folder), fix="name another folder")
    return files


def _check_folder(source: Path, output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise InputError("the output is a file, the input a folder", where=str(output), fix="name a folder with -o")
    if not output.absolute().parent.is_dir():
        raise InputError("the output's folder does not exist", where=str(output), fix="make it first")
    if output.resolve() == source.resolve():
        raise InputError("the output is the input", where=str(output), fix="name another folder with -o")


def _job(opened: OpenProject, version: Version, table: OpenTable, row_id: str | None) -> _Job:
    import numpy as np

    from tahona.project.functions import load_functions

    content = np.fromfile(opened.store.get(version.bundle_digest), dtype=np.uint8)
    return _Job(version.bundle_digest, version.number, content, load_functions(opened.project), table, row_id)


def _predict(item: _Item) -> _Done:
    """Predict one file; this is what happens in a worker."""
    told: list[Finding] = []
    bundle = _bundle(item.job)
    source = item.job.table(item.source, bundle, told.append)
    name = item.source.name
    try:
        rows, warned = write_answers(bundle, source, item.output, item.job.row_id, where=name)
    except DataError as error:
        if name in error.where:
            raise
        place = f"{name}, {error.where}" if error.where else name
        raise DataError(error.what, where=place, fix=error.fix) from None
    return _Done(rows, warned, tuple(told))


@lru_cache(maxsize=1)
def _bundle(job: _Job) -> Bundle:
    """Open the bundle once in each worker. Its bytes are checked: they may have crossed a network."""
    content = job.content.tobytes()
    if digest_bytes(content) != job.digest:
        raise IntegrityError("the bundle did not arrive as it was sent", fix="run again")
    with temporary_folder("bundle") as folder:
        file = folder / "bundle.zip"
        file.write_bytes(content)
        bundle = load_bundle(file, light=True)
    clean = bind_cleaning(job.functions, bundle) if bundle.cleaning.functions else None
    return replace(bundle, version=job.version, clean=clean)
