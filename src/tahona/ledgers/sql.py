"""The ledger in a SQL database. SQLite today; nothing but `_tune_sqlite` and the trigger of migration 0001 knows so.

Every method opens its own connection and closes it, so a ledger may be used by many processes and after a fork. What a
method writes, it writes in one transaction: another process, or a process started after a ``kill -9``, sees all
or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tahona.errors import InputError, SetupError

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import URL, Connection, Engine

    from tahona.core.records import AliasEvent, RunRecord, Version

REVISIONS = ("0001",)
"""The migrations this Tahona has, the newest last. A test compares them with the files."""
ATTEMPTS = 50
"""How often a write is tried when another process took its key first; each try sees what the others wrote."""

Written = TypeVar("Written")


def open_ledger(url: str, root: Path) -> SqlLedger:
    """Open the ledger at ``url``; the relative path of a SQLite file starts at ``root``."""
    parsed = _parse(url)
    if (file := _file(parsed)) is not None:
        parsed = parsed.set(database=str(root / file))
    return SqlLedger(parsed.render_as_string(hide_password=False))


class SqlLedger:
    """A `Ledger` in a SQL database."""

    def __init__(self, url: str, *, patience: float = 30.0) -> None:
        """Open the database and bring its tables up to date; a SQLite file and its folder are made if need be.

        ``patience`` is how many seconds a write waits for another process's. Raise SetupError when the database cannot
        be reached, is no database, or was made by a newer Tahona.
        """
        parsed = _parse(url)
        self.place = _shown(parsed)
        self._engine = _connect(parsed, patience, self.place)
        with self._reported():
            if self._revision() != REVISIONS[-1]:
                self._migrate()

    def save_run(self, run: RunRecord) -> None:
        """Write the run, whole; a run with the same id is replaced."""
        from tahona.ledgers.runs import write_run

        self._write(lambda connection: write_run(connection, run))

    def runs(self, project: str | None = None) -> Sequence[RunRecord]:
        """Return the runs, the newest first."""
        from tahona.ledgers.runs import read_runs

        with self._reported(), self._engine.begin() as connection:
            return read_runs(connection, project)

    def add_version(self, version: Version) -> Version:
        """Give the version the next number of its name and keep it; the same run again gets what it got before."""
        from tahona.ledgers.registry import insert_version

        return self._write(lambda connection: insert_version(connection, version))

    def versions(self, name: str) -> Sequence[Version]:
        """Return a model's versions, the newest first; aliases filled in."""
        from tahona.ledgers.registry import read_versions

        with self._reported(), self._engine.begin() as connection:
            return read_versions(connection, name)

    def move_alias(self, event: AliasEvent) -> None:
        """Point an alias at a version and append the event to the history, both or neither.

        Raise InputError when there is no such version, RefusedError when the alias is no longer where the event says it
        was: whoever judged the move compared with another version than the present one.
        """
        from tahona.ledgers.registry import write_move

        self._write(lambda connection: write_move(connection, event))

    def history(self, name: str) -> Sequence[AliasEvent]:
        """Return who moved which alias why, the oldest first."""
        from tahona.ledgers.registry import read_history

        with self._reported(), self._engine.begin() as connection:
            return read_history(connection, name)

    def _write(self, deed: Callable[[Connection], Written]) -> Written:
        """Do it in one transaction; again from the start when another process took a key meanwhile."""
        from sqlalchemy.exc import IntegrityError

        with self._reported():
            for _ in range(ATTEMPTS - 1):
                try:
                    with self._writing() as connection:
                        return deed(connection)
                except IntegrityError:
                    continue
            with self._writing() as connection:
                return deed(connection)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(tahona_writes=True) as connection, connection.begin():
            yield connection

    def _revision(self) -> str:
        """Return the database's revision, the empty string for a new database."""
        with self._engine.begin() as connection:
            return _revision(connection, self.place)

    def _migrate(self) -> None:
        from sqlalchemy.exc import DBAPIError

        try:
            with self._writing() as connection:
                if _revision(connection, self.place) != REVISIONS[-1]:  # it may have been done while we waited
                    _upgrade(connection)
        except DBAPIError:
            if self._revision() != REVISIONS[-1]:  # nobody else has done it meanwhile
                raise

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what the database refuses into a SetupError that names it. No value of a query gets into the message."""
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).partition("\n")[0]
            raise SetupError(f"the ledger cannot be used: {reason}", where=self.place, fix=_advice(reason)) from error


def _parse(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        # The text is not repeated and not chained: a password may stand in it.
        raise InputError(
            "the ledger's address cannot be read as a database URL",
            where="stores.ledger",
            fix="write it like sqlite:///folder/ledger.db",
        ) from None


def _file(url: URL) -> Path | None:
    """Return the file of a SQLite database, None for another kind or a `file:` address of SQLite's own."""
    database = url.database or ""
    if url.get_backend_name() != "sqlite" or database.startswith("file:"):
        return None
    if database in ("", ":memory:"):
        raise InputError(
            "a ledger in memory would be gone with the command",
            where="stores.ledger",
            fix="name a file: sqlite:///.tahona/ledger.db",
        )
    return Path(database)


def _shown(url: URL) -> str:
    """Return the address as it may be printed: a file's path, or a URL without password and options."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(query={}).render_as_string(hide_password=True)


def _connect(url: URL, patience: float, place: str) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    sqlite = url.get_backend_name() == "sqlite"
    if (file := _file(url)) is not None:
        _make_folder(file.parent)
    try:
        # hide_parameters: a message never shows a value. NullPool: nothing is held that a fork would share.
        engine = create_engine(
            url,
            hide_parameters=True,
            poolclass=NullPool,
            connect_args={"timeout": patience} if sqlite else {},
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise SetupError(
            f"there is no driver for databases of the kind '{url.drivername}'",
            where=place,
            fix="install that database's driver, or keep the ledger in SQLite: sqlite:///.tahona/ledger.db",
        ) from error
    if sqlite:
        _tune_sqlite(engine)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the ledger's folder cannot be made: {error.strerror or type(error).__name__}",
            where=str(folder),
            fix="give write access there, or name another place in stores.ledger",
        ) from error


def _tune_sqlite(engine: Engine) -> None:
    """Let SQLite keep foreign keys, and let a writing transaction take its lock at once.

    Two transactions that read before they write would each hold what the other waits for, and SQLite then fails one
    without waiting; BEGIN IMMEDIATE makes the second wait its turn. The journal stays the default one: a WAL needs
    shared memory, which network drives lack.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # sqlite3 must not begin transactions of its own
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("tahona_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection, place: str) -> str:
    """Return the revision in Alembic's table, the empty string when there is none.

    Read without Alembic, which takes longer to import than the question takes to answer.
    """
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return ""
    found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
    if found and found not in REVISIONS:
        raise SetupError(
            "this ledger was written by a newer Tahona",
            where=place,
            fix="use that newer Tahona, or name another database in stores.ledger",
        )
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "tahona.ledgers:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, REVISIONS[-1])


def _advice(reason: str) -> str:
    if "locked" in reason or "busy" in reason:
        return "another process is writing; try again when it has finished"
    if "not a database" in reason or "malformed" in reason:
        return "bring the file back from a copy, or name another database in stores.ledger"
    if "readonly" in reason or "unable to open" in reason or "full" in reason:
        return "make room or give write access there, or name another database in stores.ledger"
    return "see that the database is there and may be written to, or name another one in stores.ledger"
