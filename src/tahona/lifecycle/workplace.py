"""Folders that a step works in: scratch, thrown away; and notes, which the next attempt takes over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(home: Path, step_id: str) -> Iterator[Path]:
    """Give an empty folder of this process, gone afterwards; those of dead processes go too."""
    place = home / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        if not _alive(_owner(old)):
            shutil.rmtree(old, ignore_errors=True)
    folder = place / f"{step_id}.{os.getpid()}"
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
    mine = place / f"{fingerprint}.{os.getpid()}"
    for left in sorted(place.glob(f"{fingerprint}.*")):
        if left == mine or _alive(_owner(left)):
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
        if not _alive(_owner(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _owner(path: Path) -> int:
    text = path.name.rpartition(".")[2]
    return int(text) if text.isdigit() else 0


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
