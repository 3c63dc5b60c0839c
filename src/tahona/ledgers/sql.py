"""The ledger in a SQL database: SQLite or PostgreSQL, by the same statements and migrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.ledgers.address import database_address
from tahona.ledgers.engine import SqlDatabase

if TYPE_CHECKING:
    from tahona.core.records import AliasEvent, RunRecord, Version


def open_ledger(url: str, root: Path) -> SqlLedger:
    """Open the ledger at ``url``; the relative path of a SQLite file starts at ``root``."""
    return SqlLedger(database_address(url, root))


class SqlLedger:
    """A `Ledger` in a SQL database."""

    def __init__(self, url: str, *, patience: float = 30.0) -> None:
        """Open the database; missing tables, and a SQLite file with its folder, are made.

        ``patience`` is how many seconds a write waits for another process's. Raise SetupError when the database cannot
        be reached, is no database, was made by a newer Tahona, or is a server's and was made by an older one.
        """
        self._url = url
        self._database = SqlDatabase(url, patience=patience)
        self.place = self._database.place
        self._database.furnish()

    def save_run(self, run: RunRecord) -> None:
        """Write the run, whole; a run with the same id is replaced."""
        from tahona.ledgers.runs import write_run

        self._database.write(lambda connection: write_run(connection, run))

    def runs(self, project: str | None = None) -> Sequence[RunRecord]:
        """Return the runs, the newest first."""
        from tahona.ledgers.runs import read_runs

        return self._database.read(lambda connection: read_runs(connection, project))

    def add_version(self, version: Version) -> Version:
        """Give the version the next number of its name and keep it; the same run again gets what it got before."""
        from tahona.ledgers.registry import insert_version

        return self._database.write(lambda connection: insert_version(connection, version))

    def versions(self, name: str) -> Sequence[Version]:
        """Return a model's versions, the newest first; aliases filled in."""
        from tahona.ledgers.registry import read_versions

        return self._database.read(lambda connection: read_versions(connection, name))

    def move_alias(self, event: AliasEvent) -> None:
        """Point an alias at a version and append the event to the history, both or neither.

        Raise InputError when there is no such version, RefusedError when the alias is no longer where the event says it
        was: whoever judged the move compared with another version than the present one.
        """
        from tahona.ledgers.registry import write_move

        self._database.write(lambda connection: write_move(connection, event))

    def history(self, name: str) -> Sequence[AliasEvent]:
        """Return who moved which alias why, the oldest first."""
        from tahona.ledgers.registry import read_history

        return self._database.read(lambda connection: read_history(connection, name))

    def pointed(self, name: str, alias: str) -> int:
        """Return the number of the version that the alias points at, 0 for none; nothing is waited for.

        What it says was not checked against the history; `versions` does that.
        """
        from tahona.ledgers.registry import read_alias

        return self._database.peek(lambda connection: read_alias(connection, name, alias))

    def in_haste(self, seconds: float) -> SqlLedger:
        """Return this ledger as one that waits no longer than so many seconds for others, or for a server."""
        return SqlLedger(self._url, patience=seconds)
