"""Folders that a step works in: scratch, thrown away; and notes, which the next attempt takes over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tahona.owners import is_left, tag


@contextmanager
def scratch_folder(home: Path, step_id: str) -> Iterator[Path]:
    """Give an empty folder of this process, gone afterwards; those of dead processes go too."""
    place = home / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        if is_left(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = place / f"{step_id}.{tag()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def notes_folder(home: Path, fingerprint: str) -> Iterator[Path]:
    """Give the notes of an attempt that died at this fingerprint, or an empty folder; gone once the step succeeded.

    A folder belongs to the process in its name. Taking over is one rename, so two processes never share notes.
    """
    place = home / "notes"
    place.mkdir(parents=True, exist_ok=True)
    mine = place / f"{fingerprint}.{tag()}"
    for left in sorted(place.glob(f"{fingerprint}.*")):
        if left == mine or not is_left(left):
            continue
        try:
            left.rename(mine)
        except OSError:  # another process took it first, or we have ours already
            continue
        break
    mine.mkdir(exist_ok=True)
    yield mine
    shutil.rmtree(mine, ignore_errors=True)


def clear_left(home: Path, step_id: str, fingerprint: str) -> None:
    """Remove what processes left that died after they had finished the step: nobody will work in it again."""
    left = [*(home / "scratch").glob(f"{step_id}.*"), *(home / "notes").glob(f"{fingerprint}.*")]
    for folder in left:
        if is_left(folder):
            shutil.rmtree(folder, ignore_errors=True)
