"""Who runs what in this project, told by files that outlive whoever made them.

    .tahona/at_work                    locked by all who run, together; `tahona gc` wants it for itself
    .tahona/running/<run>/<process>    who runs it: machine, process id, since when; locked by that process
    .tahona/running/<run>/steps        the fingerprints that the run came to, until it is done

The system lets go of a lock when its process ends, however it ends: a file that nobody locks was left by a process that
could not say how it ended. Only such files tell of an interruption; whoever ends in order takes his away.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tahona.clock import now
from tahona.owners import is_left, tag

STEPS = "steps"


class Presence:
    """What tells others that this process runs a run."""

    def __init__(self, place: Path, file: Path) -> None:
        self._place = place
        self._file = file

    def came_to(self, fingerprint: str) -> None:
        """Note a fingerprint of the run, so that `tahona gc` knows whose its result and its notes are."""
        with (self._place / STEPS).open("a", encoding="ascii") as file:
            file.write(f"{fingerprint}\n")

    def leave(self, *, done: bool = False) -> None:
        """Take the mark away: the ledger knows how it ended. ``done``: nobody needs to go on with the run."""
        self._file.unlink(missing_ok=True)
        if done:
            (self._place / STEPS).unlink(missing_ok=True)
        with suppress(OSError):  # others run it, too, or may go on with it
            self._place.rmdir()


@contextmanager
def at_work(home: Path, run: str) -> Iterator[Presence]:
    """Mark that this process runs the run; the marks of processes that ended without a word go.

    The mark stays after the `with` statement unless `leave` was called.
    """
    with _held(home / "at_work", fcntl.LOCK_SH):
        place = home / "running" / run
        mark = place / f"{tag()}-{secrets.token_hex(4)}"
        draft = home / "running" / f"{mark.name}.new"
        draft.parent.mkdir(exist_ok=True)
        with _held(draft, fcntl.LOCK_EX) as file:  # locked before others can see it
            json.dump({"host": platform.node(), "process": os.getpid(), "since": now()}, file)
            file.flush()
            _move(draft, mark)
            for left in (*left_marks(home, run), *filter(is_left, draft.parent.glob("*.new"))):
                left.unlink(missing_ok=True)
            yield Presence(place, mark)


@contextmanager
def alone(home: Path) -> Iterator[bool]:
    """Keep others from starting to run, and tell whether nobody runs now; where somebody does, nobody is kept."""
    with _opened(home / "at_work") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def left_marks(home: Path, run: str) -> list[Path]:
    """Return the marks of processes that are gone and did not say how they ended."""
    return [mark for mark in _marks(home, run) if not _is_held(mark)]


def is_interrupted(home: Path, run: str) -> bool:
    """Tell whether processes of this folder that ran the run are gone without a word, and none runs it now."""
    marks = _marks(home, run)
    return bool(marks) and not any(_is_held(mark) for mark in marks)


def fingerprints_of(home: Path, run: str) -> set[str]:
    """Return the fingerprints that an unfinished run came to. A line that a crash has torn names none."""
    file = home / "running" / run / STEPS
    return set(file.read_text("ascii", "replace").split()) if file.is_file() else set()


def _marks(home: Path, run: str) -> list[Path]:
    return sorted(path for path in (home / "running" / run).glob("*") if path.name != STEPS)


def _move(draft: Path, mark: Path) -> None:
    while True:
        mark.parent.mkdir(exist_ok=True)
        try:
            draft.replace(mark)
        except FileNotFoundError:  # another process that left took the empty folder away
            if not draft.exists():
                raise
        else:
            return


def _is_held(mark: Path) -> bool:
    try:
        with mark.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # which others who only ask may have at the same time
    except BlockingIOError:
        return True
    except FileNotFoundError:  # whoever made it has just taken it away
        return True
    return False


@contextmanager
def _held(file: Path, kind: int) -> Iterator[IO[str]]:
    with _opened(file) as handle:
        fcntl.flock(handle, kind)
        yield handle


@contextmanager
def _opened(file: Path) -> Iterator[IO[str]]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        yield handle
