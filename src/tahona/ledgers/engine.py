"""A SQL database as the ledger uses it: one connection per transaction, all or nothing, errors in words.

SQLite and PostgreSQL differ in `sqlite.py`, in `postgres.py` and in the triggers of the migrations, nowhere else.

Every transaction but a `peek` opens its own connection and closes it, so a ledger may be used by many processes and
after a fork.
Another process, or a process started after a ``kill -9``, sees all of a transaction or none.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from tahona.errors import IntegrityError, SetupError
from tahona.ledgers import postgres, sqlite
from tahona.ledgers.address import file_of, parse, shown

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import DBAPIError

REVISIONS = ("0001", "0002", "0003", "0004")
"""The migrations this Tahona has, the newest last. A test compares them with the files."""
ATTEMPTS = 50
"""How often a write is tried when another process took its key first; each try sees what the others wrote."""
RETURNS = 15.0
"""Seconds that a transaction waits for a server that answered before: so long may a restart take."""
PEEK = 1.0
"""Seconds that somebody waits who asks again soon."""
_PAUSE = 0.2

Given = TypeVar("Given")


class Kind(Protocol):
    """What differs from one kind of database to another; a module of functions."""

    DRIVER: str
    READING: Mapping[str, Any]
    UPGRADED_WHEN_OPENED: bool
    KEPT: bool

    def arguments(self, url: URL, patience: float) -> Mapping[str, Any]: ...
    def tune(self, engine: Engine, patience: float) -> None: ...
    def gone(self, error: DBAPIError) -> bool: ...
    def explain(self, error: DBAPIError, url: URL) -> tuple[str, str]: ...
    def damaged(self, error: DBAPIError, url: URL) -> bool: ...
    def greeting(self, connection: Connection) -> str: ...
    def create(self, url: URL, patience: float) -> bool: ...


_KINDS: Mapping[str, Kind] = {"sqlite": cast("Kind", sqlite), "postgresql": cast("Kind", postgres)}


class SqlDatabase:
    """A database that holds, or will hold, a ledger's tables."""

    def __init__(self, address: str, *, patience: float = 30.0) -> None:
        """Prepare it; nothing is opened yet. ``patience``: seconds that a write waits for another process's."""
        self.url = parse(address)
        self.place = shown(self.url)
        self._kind = _kind(self.url, self.place)
        self._patience = patience
        self._wait = min(RETURNS, patience)
        self._engine = _engine(self.url, self._kind, patience, self.place)
        self._peeking: Engine | None = None

    def make_room(self) -> None:
        """Make the folder of a SQLite file."""
        if (file := file_of(self.url)) is not None:
            _make_folder(file.parent)

    def read(self, deed: Callable[[Connection], Given]) -> Given:
        """Do it in one transaction that sees one state of the database."""
        with self.reported():
            return self._again(deed, self._kind.READING)

    def write(self, deed: Callable[[Connection], Given]) -> Given:
        """Do it in one transaction; again from the start when another process took a key meanwhile."""
        with self.reported():
            return self._again(deed, {"tahona_writes": True})

    def peek(self, deed: Callable[[Connection], Given]) -> Given:
        """Do it as `read` does, many times a second: where connecting is dear, on a connection that is kept.

        Nothing is waited for: a database that is held or away is a SetupError at once.
        """
        if self._peeking is None:
            self._peeking = _engine(self.url, self._kind, PEEK, self.place, kept=self._kind.KEPT)
            weakref.finalize(self, self._peeking.dispose)
        with self.reported(), self._peeking.connect() as connection, connection.begin():
            return deed(connection)

    def furnish(self) -> None:
        """Make the tables where they are missing, and bring those of a SQLite file up to date.

        Raise SetupError for those of an older Tahona on a server, and of a newer one anywhere.
        """
        self.make_room()
        revision = self.revision()
        if revision == REVISIONS[-1]:
            return
        if revision and not self._kind.UPGRADED_WHEN_OPENED:
            raise SetupError(
                f"the ledger's tables are those of an older Tahona ({revision}; this one has {REVISIONS[-1]})",
                where=self.place,
                fix="tahona db upgrade; whoever uses this ledger then needs this version of Tahona, too",
            )
        self.migrate()

    def revision(self) -> str:
        """Return the revision of the tables, the empty string when there are none."""
        with self.reported():
            return self._once(lambda connection: _revision(connection, self.place), {})

    def migrate(self) -> None:
        """Make the tables, or bring them up to date; of two processes at once, one does it."""
        from sqlalchemy.exc import DBAPIError

        def deed(connection: Connection) -> None:
            if _revision(connection, self.place) != REVISIONS[-1]:  # it may have been done while we waited
                _upgrade(connection)

        with self.reported():
            try:
                self._once(deed, {"tahona_writes": True})
            except DBAPIError:
                if self.revision() != REVISIONS[-1]:  # nobody else has done it meanwhile
                    raise

    def greeting(self) -> str:
        """Return the server's kind and version and who is asking, so that a person sees where he is."""
        with self.reported():
            return self._once(self._kind.greeting, {})

    def create(self) -> bool:
        """Make the database if it is missing; tell whether it was."""
        with self.reported():
            return self._kind.create(self.url, self._patience)

    def try_to_write(self, deed: Callable[[Connection], object]) -> None:
        """Do it, and undo it: what is found out is whether it may be done."""
        with self.reported(), self._connected({"tahona_writes": True}) as connection:
            deed(connection)
            connection.rollback()

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Turn what the database refuses into a SetupError that names it.

        The database's own error is not chained: its details repeat values of the statement.
        """
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except DBAPIError as error:
            reason, fix = self._kind.explain(error, self.url)
            if self._kind.damaged(error, self.url):
                raise IntegrityError(f"the ledger is damaged: {reason}", where=self.place, fix=fix) from None
            raise SetupError(f"the ledger cannot be used: {reason}", where=self.place, fix=fix) from None
        except ValueError:  # no deed raises one over what was written
            raise IntegrityError(
                "the ledger is damaged: what it holds cannot be read",
                where=self.place,
                fix="bring the database back from a copy, or name another one in stores.ledger",
            ) from None

    def _again(self, deed: Callable[[Connection], Given], options: Mapping[str, Any]) -> Given:
        """Do it, and again while a key was taken by another process or the server is being restarted.

        Whatever a deed does, it may do twice: a server that ends just after it committed cannot say so any more.
        """
        from sqlalchemy.exc import DBAPIError, IntegrityError

        taken, last = 0, None
        while True:
            try:
                given = self._once(deed, options)
            except IntegrityError:
                taken += 1
                if taken == ATTEMPTS:
                    raise
            except DBAPIError as error:
                last = last or time.monotonic() + self._wait
                if not self._kind.gone(error):
                    raise
                if time.monotonic() >= last:
                    self._wait = 0.0  # whoever waited in vain does not wait again, to say that it failed
                    raise
                time.sleep(_PAUSE)
            else:
                self._wait = min(RETURNS, self._patience)
                return given

    def _once(self, deed: Callable[[Connection], Given], options: Mapping[str, Any]) -> Given:
        with self._connected(options) as connection, connection.begin():
            return deed(connection)

    def _connected(self, options: Mapping[str, Any]) -> Connection:
        return self._engine.connect().execution_options(**options)


def _kind(url: URL, place: str) -> Kind:
    kind = _KINDS.get(url.get_backend_name())
    if kind is None:
        raise _no_driver(url, place, "keep the ledger in SQLite or PostgreSQL: sqlite:///.tahona/ledger.db")
    return kind


def _engine(url: URL, kind: Kind, patience: float, place: str, *, kept: bool = False) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool, QueuePool

    try:
        # hide_parameters: a message never shows a value. NullPool: nothing is held that a fork would share.
        engine = create_engine(
            url,
            hide_parameters=True,
            poolclass=QueuePool if kept else NullPool,
            connect_args=dict(kind.arguments(url, patience)),
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise _no_driver(url, place, f'pip install "{kind.DRIVER}"') from error
    kind.tune(engine, patience)
    return engine


def _no_driver(url: URL, place: str, fix: str) -> SetupError:
    return SetupError(f"there is no driver for databases of the kind '{url.drivername}'", where=place, fix=fix)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the ledger's folder cannot be made: {error.strerror or type(error).__name__}",
            where=str(folder),
            fix="give write access there, or name another place in stores.ledger",
        ) from error


def _revision(connection: Connection, place: str) -> str:
    """Return the revision in Alembic's table, the empty string when there is none.

    Read without Alembic, which takes longer to import than the question takes to answer.
    """
    from sqlalchemy import inspect, text

    inspector = inspect(connection)
    if not inspector.has_table("alembic_version"):
        return ""
    found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
    if found and found not in REVISIONS and not inspector.has_table("aliases"):
        raise SetupError(
            "another program keeps its tables in this database",
            where=place,
            fix="give Tahona a database of its own: name one in stores.ledger, and tahona db setup makes it",
        )
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
