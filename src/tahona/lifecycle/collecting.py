"""Remove what nothing refers to any more, and only that.

What is referred to: the results of every run in the ledger and of what last ran here, the objects that any result
names, the bundle and the predictions of every version. What somebody may still be writing is left alone: while a run
goes on, or where the store is not this project's alone, an object counts only once it is a day old.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.records import RunRecord
from tahona.errors import SetupError
from tahona.lifecycle.presence import alone, fingerprints_of, left_marks
from tahona.lifecycle.results import StepResult
from tahona.owners import ABANDONED, is_left
from tahona.ports import Storeroom
from tahona.room import TEMPORARY

if TYPE_CHECKING:
    from tahona.lifecycle.opened import OpenProject

DAY = 24 * 3600.0
_ENDED = ("done", "refused")


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed of one kind (or would be): how many, and their bytes."""

    kind: str
    count: int
    size: int


def collect(opened: OpenProject, *, keep_days: float | None = None, dry_run: bool = False) -> tuple[Removed, ...]:
    """Remove what nothing refers to and say what it was; with ``dry_run`` only say it.

    A result that no run of the ledger names may be one of another ledger's: it goes only if ``keep_days`` is given, and
    it is older than so many days. Raise SetupError for a store that cannot tell what it holds.
    """
    with alone(opened.folder) as undisturbed:
        removed = [
            *_from_store(opened, keep_days, undisturbed=undisturbed, dry_run=dry_run),
            *_from_disk(opened, undisturbed=undisturbed, dry_run=dry_run),
        ]
    kinds = dict.fromkeys(kind for kind, _ in removed)
    sizes = {kind: [size for each, size in removed if each == kind] for kind in kinds}
    return tuple(Removed(kind, len(found), sum(found)) for kind, found in sizes.items())


def _from_store(
    opened: OpenProject, keep_days: float | None, *, undisturbed: bool, dry_run: bool
) -> Iterator[tuple[str, int]]:
    store = opened.store
    if not isinstance(store, Storeroom):
        raise SetupError(
            "this artifact store cannot tell what it holds",
            where="stores.artifacts",
            fix="clear it by its own means; whoever made the adapter may add tahona.ports.Storeroom to it",
        )
    holdings = store.holdings()  # before anything is read: what is kept from now on is not in question
    wanted = _results_of_runs(opened)
    results = [held for held in holdings if held.kind == "result"]
    age = float("inf") if keep_days is None else keep_days * DAY
    doomed = [held for held in results if held.name not in wanted and held.age >= age]
    named = _objects_of_versions(opened)
    for fingerprint in {held.name for held in results} - {held.name for held in doomed}:
        if (kept := store.recall(fingerprint)) is not None:
            place = f"results/{fingerprint}.json in the artifact store"
            named |= set(StepResult.from_bytes(kept, place).outputs.values())
    limit = 0.0 if undisturbed and _is_own(opened) else ABANDONED
    doomed += [
        held
        for held in holdings
        if held.kind != "result" and held.name not in named and (not limit or held.age >= limit)
    ]
    for held in doomed:
        if dry_run or store.remove(held):
            yield _KINDS[held.kind], held.size


_KINDS = {
    "object": "objects that no result names",
    "result": "results of no run in the ledger",
    "unfinished": "unfinished writes",
}


def _results_of_runs(opened: OpenProject) -> set[str]:
    """Return the fingerprints of all that the ledger's runs came to, and of what last ran here."""
    last = (opened.folder / "last").glob("*.json")
    wanted = {StepResult.from_bytes(file.read_bytes(), str(file)).fingerprint for file in last}
    for record in opened.ledger.runs():
        wanted |= {step.fingerprint for step in record.steps} | fingerprints_of(opened.folder, record.id)
    return wanted


def _objects_of_versions(opened: OpenProject) -> set[str]:
    names = {opened.project.name, *(record.project for record in opened.ledger.runs())}
    versions = [version for name in sorted(names) for version in opened.ledger.versions(name)]
    return {digest for version in versions for digest in (version.bundle_digest, version.predictions_digest)}


def _is_own(opened: OpenProject) -> bool:
    """Tell whether the store lies in the project's own folder, where no other project puts anything."""
    place = opened.project.stores.artifacts
    if "://" in place:
        return False
    return (opened.project.root / place).resolve().is_relative_to(opened.folder.resolve())


def _from_disk(opened: OpenProject, *, undisturbed: bool, dry_run: bool) -> Iterator[tuple[str, int]]:
    home = opened.folder
    records = {record.id: record for record in opened.ledger.runs(opened.project.name)}
    open_runs = [run for run, record in records.items() if record.status not in _ENDED]
    unfinished = {fingerprint for run in open_runs for fingerprint in fingerprints_of(home, run)}
    places: tuple[tuple[str, Sequence[Path], Callable[[Path], bool]], ...] = (
        ("scratch of dead processes", list((home / "scratch").glob("*")), is_left),
        (
            "notes that no run goes on from",
            [path for path in (home / "notes").glob("*") if path.name.partition(".")[0] not in unfinished],
            is_left,
        ),
        (
            "temporary folders of dead processes",
            _temporary(),
            _is_ours_and_left,
        ),
        ("half-made downloads", _downloads(home / "cache"), lambda path: undisturbed or _is_old(path)),
        ("marks of ended runs", _marks(home, records), lambda path: path.exists()),
    )
    for kind, paths, is_doomed in places:
        for path in paths:
            if is_doomed(path):
                size = _size(path)
                if not dry_run:
                    _remove(path)
                yield kind, size
    for folder in () if dry_run else (home / "running").glob("*/"):
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def _temporary() -> list[Path]:
    place = Path(tempfile.gettempdir())
    return [path for kind in TEMPORARY for path in place.glob(f"tahona-{kind}-*")]


def _downloads(cache: Path) -> list[Path]:
    """Return what was left of downloads, and of copies that were being made."""
    endings = ("*.part", "*.part.json", "*.new")
    return [path for ending in endings for path in cache.rglob(ending) if path.is_file()]


def _marks(home: Path, records: dict[str, RunRecord]) -> list[Path]:
    """Return what tells of runs that nobody goes on with: the ledger says that they ended, or knows nothing of them."""
    running = home / "running"
    ended = [
        path
        for path in running.glob("*/")
        if path.is_dir() and (path.name not in records or records[path.name].status in _ENDED)
    ]
    left = [mark for path in ended for mark in left_marks(home, path.name)]
    notes = [path / "steps" for path in ended if set(path.iterdir()) <= {*left, path / "steps"}]
    return [*left, *(path for path in notes if path.exists()), *filter(is_left, running.glob("*.new"))]


def _is_ours_and_left(path: Path) -> bool:
    """Tell so of a folder of this user's: the temporary folder belongs to everybody."""
    try:
        return path.stat().st_uid == os.geteuid() and is_left(path)
    except FileNotFoundError:  # its process is alive and has just removed it
        return False


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > ABANDONED


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
