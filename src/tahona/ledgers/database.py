"""The database below a SQL ledger: looked at, made and upgraded without a ledger that is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.records import AliasEvent, Prediction, RunRecord, StepRecord, Version
from tahona.errors import SetupError
from tahona.ledgers.address import database_address, file_of
from tahona.ledgers.engine import REVISIONS, SqlDatabase

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TRIAL = "tahona db check"
"""The name of what is written and undone; no project can have it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What was asked of a database, in this order, and the first answer that was no."""

    place: str
    answers: tuple[tuple[str, bool, str], ...]
    """What, whether, and in words."""
    problem: SetupError | None = None

    def to_dict(self) -> dict[str, Any]:
        answers = {name: {"ok": well, "says": says} for name, well, says in self.answers}
        return {"ledger": self.place, "checks": answers}


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a database; revisions are empty where there are no tables."""

    place: str
    created: bool
    before: str
    after: str

    def to_dict(self) -> dict[str, Any]:
        return {"ledger": self.place, "created": self.created, "before": self.before, "after": self.after}


def open_database(url: str, root: Path) -> LedgerDatabase:
    """Return the database at ``url``; the relative path of a SQLite file starts at ``root``. Nothing is opened yet."""
    return LedgerDatabase(database_address(url, root))


class LedgerDatabase:
    """A database for a ledger, whether it is there or not."""

    def __init__(self, url: str) -> None:
        self._database = SqlDatabase(url)
        self.place = self._database.place

    def check(self) -> Condition:
        """Find out what works, the nearest thing first, and stop at what does not. Nothing is changed."""
        answers: list[tuple[str, bool, str]] = []
        asked: tuple[tuple[str, Callable[[], str]], ...] = (
            ("reached", self._reach),
            ("tables", self._find_tables),
            ("read", self._read),
            ("write", self._write),
        )
        for name, ask in asked:
            try:
                answers.append((name, True, ask()))
            except SetupError as error:
                return Condition(self.place, (*answers, (name, False, error.what)), error)
        return Condition(self.place, tuple(answers))

    def set_up(self) -> Change:
        """Make the database where it is missing and the user may, then its tables. What is there stays."""
        created = self._is_missing() and self._database.create()
        self._database.make_room()
        before = self._database.revision()
        self._database.migrate()
        return Change(self.place, created, before, self._database.revision())

    def upgrade(self) -> Change:
        """Bring the tables up to date. Raise SetupError when there are none."""
        self._reach()
        before = self._database.revision()
        if not before:
            raise self._without_tables()
        self._database.migrate()
        return Change(self.place, False, before, self._database.revision())

    def _is_missing(self) -> bool:
        """Tell whether it may have to be made: a file that is not there, a server's database that does not answer."""
        if self._no_file():
            return True
        try:
            self._database.greeting()
        except SetupError:
            return file_of(self._database.url) is None
        return False

    def _no_file(self) -> bool:
        file = file_of(self._database.url)
        return file is not None and not file.exists()

    def _reach(self) -> str:
        if self._no_file():
            raise SetupError("there is no such file", where=self.place, fix="tahona db setup makes it")
        return self._database.greeting()

    def _find_tables(self) -> str:
        found = self._database.revision()
        if not found:
            raise self._without_tables()
        if found != REVISIONS[-1]:
            raise SetupError(
                f"the tables are at revision {found}, and this Tahona needs {REVISIONS[-1]}",
                where=self.place,
                fix="tahona db upgrade",
            )
        return f"revision {found}"

    def _without_tables(self) -> SetupError:
        return SetupError("Tahona's tables are not in this database", where=self.place, fix="tahona db setup")

    def _read(self) -> str:
        from tahona.ledgers.runs import count_runs

        return f"{self._database.read(count_runs)} runs"

    def _write(self) -> str:
        self._database.try_to_write(_write_everything)
        return "a run and a version, written and undone"


def _write_everything(connection: Connection) -> None:
    """Write a row into each table, so that each right to write is asked for."""
    from tahona.ledgers.predictions import insert_predictions
    from tahona.ledgers.registry import insert_version, write_move
    from tahona.ledgers.runs import write_run

    step = StepRecord(_TRIAL, "done")
    board = ({"model": _TRIAL, "metric": _TRIAL, "value": 0.0},)
    write_run(
        connection, RunRecord(_TRIAL, _TRIAL, "running", "", params={_TRIAL: 0}, steps=(step,), leaderboard=board)
    )
    number = insert_version(connection, Version(_TRIAL, _TRIAL, "", "", {}, "")).number
    write_move(connection, AliasEvent(_TRIAL, _TRIAL, number, 0, "register", "", "", ""))
    insert_predictions(connection, [Prediction(_TRIAL, _TRIAL, number, "", "", {})])
