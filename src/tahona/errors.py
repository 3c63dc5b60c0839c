"""Everything Tahona raises on purpose, and the exit code each one becomes.

    TahonaError                 1   (a bug, when nothing more exact fits)
    ├── InputError              2   the user's input
    │   ├── ProjectError        2   … the project file: file, line and key
    │   └── DataError           2   … a table: file, row, column
    ├── RefusedError            3   an audit finding or the gate says no
    ├── SetupError              4   the environment: a missing extra, a store that is down
    │   └── TransientError      4   … which may be over in a moment: an adapter that repeats requests repeats after it
    └── IntegrityError          5   a digest does not match

Each carries *what* happened, *where*, and how to *fix* it. None ever repeats the user's data: names of columns,
counts and line numbers, but no cell.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DataError",
    "InputError",
    "IntegrityError",
    "ProjectError",
    "RefusedError",
    "SetupError",
    "TahonaError",
    "TransientError",
]


class TahonaError(Exception):
    """The root of the tree.

    Parameters
    ----------
    what
        What happened, in one sentence.
    where
        The place: ``file:line``, a column, a row, a step.
    fix
        What the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.document: dict[str, object] = {}
        """What a program is told besides (`--json`): the summary of a refused run."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f"\nFix: {self.fix}" if self.fix else ""
        return f"{place}{self.what}{hint}"

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a worker process."""
        return (_rebuild, (type(self), self.what, self.where, self.fix))


def _rebuild(kind: type[TahonaError], what: str, where: str, fix: str) -> TahonaError:
    return kind(what, where=where, fix=fix)


class InputError(TahonaError):
    """The user's input cannot be used."""

    exit_code = 2


class ProjectError(InputError):
    """The project file is wrong; ``where`` is ``file:line``."""


class DataError(InputError):
    """A table is wrong; ``where`` names the file and, where known, row and column."""


class RefusedError(TahonaError):
    """An audit finding or the gate refuses to go on."""

    exit_code = 3


class SetupError(TahonaError):
    """Something around Tahona is missing or down."""

    exit_code = 4


class TransientError(SetupError):
    """Something around Tahona did not answer now: throttled, restarting, a broken connection."""


class IntegrityError(TahonaError):
    """Stored bytes are not the bytes that were written."""

    exit_code = 5


def said_again(kind: str, what: str, where: str = "", fix: str = "") -> TahonaError:
    """Return the error of this name, as another process raised it."""
    kinds = {
        each.__name__: each
        for each in (InputError, ProjectError, DataError, RefusedError, SetupError, TransientError, IntegrityError)
    }
    return kinds.get(kind, TahonaError)(what, where=where, fix=fix)
