"""What the ledger must know about PostgreSQL (psycopg 3): how a connection is tuned, and what its errors ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import DBAPIError

DRIVER = "tahona[postgres]"
READING: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""A run's rows lie in four tables: one snapshot for all of them."""
UPGRADED_WHEN_OPENED = False
"""Others work with this database too, perhaps with an older Tahona: `tahona db upgrade` is a decision."""
KEPT = True
"""Whether a connection is kept for the next peek. Greeting a server with a password takes milliseconds of both."""

_MAINTENANCE = "postgres"
"""The database that every server has; from there another one is made."""
_LOCK = int.from_bytes(b"tahona")
"""The key of the advisory lock that a writing transaction holds to its end."""
_FORGOTTEN = 2 / 3
"""Of the patience: the server ends a writing transaction whose client says nothing for so long, asleep or cut off, so
that those who wait for its lock get it."""
_SOCKET = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 35_000}
_AGAIN = ("08", "40", "57P01", "57P02", "57P03", "25P03")
"""SQLSTATEs: connection or server was ended, the server is starting, two transactions were in each other's way."""

_ADVICE = {
    "42501": "let an administrator make this user the database's owner, or GRANT it CREATE and USAGE on the schema and "
    "all rights on the ledger's tables",
    "25006": "name a server that may be written to: this one only reads, as a standby does",
    "55P03": "another process is writing; try again when it has finished",
    "53100": "make room on the server's disk",
    "42P07": "give Tahona a database of its own: another program has a table of that name there",
    "3F000": "make the schema that the address names, or name another",
}
_CONNECTING = (
    ("does not exist", "database", "tahona db setup makes the database, if the user may"),
    ("", "authentication", "give the right user and password: postgresql://${USER}:${PASSWORD}@host/database"),
    ("", "password", "give the right user and password: postgresql://${USER}:${PASSWORD}@host/database"),
    ("", "permission denied", "let an administrator GRANT this user CONNECT on the database"),
    ("", "too many", "wait until others have left, or let the server have more connections"),
)


def arguments(url: URL, patience: float) -> Mapping[str, Any]:  # noqa: ARG001  (every kind has the same functions)
    """Return what the driver is told when it connects; what the address itself says is left to it."""
    wanted = {"connect_timeout": 10, "application_name": "tahona", "client_encoding": "utf8", **_SOCKET}
    mine = {name: value for name, value in wanted.items() if name not in url.query}
    return {**mine, "prepare_threshold": None}  # a connection lives for one transaction, perhaps behind a pooler


def tune(engine: Engine, patience: float) -> None:
    """Let one transaction write at a time, as in SQLite: no number is given twice, and no two migrations meet.

    The lock is PostgreSQL's own: it goes with the transaction, however that ends. READ COMMITTED, so that what is read
    under the lock is what the one before wrote.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("tahona_writes", False):
            waits, forgets = (max(1, int(seconds * 1000)) for seconds in (patience, patience * _FORGOTTEN))
            connection.exec_driver_sql(
                f"SELECT set_config('lock_timeout', '{waits}', true), "
                f"set_config('idle_in_transaction_session_timeout', '{forgets}', true)"
            )
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def gone(error: DBAPIError) -> bool:
    """Tell whether the same may go well in a moment: the server is being restarted, or the line broke."""
    from psycopg import OperationalError

    state = getattr(error.orig, "sqlstate", None)
    return state.startswith(_AGAIN) if state else isinstance(error.orig, OperationalError)


def explain(error: DBAPIError, url: URL) -> tuple[str, str]:
    """Return what the server says, without the details that repeat values, and what to do about it."""
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        reason = str(error.orig).partition("\n")[0].removeprefix("connection failed: ")
        return _masked(reason, url), _connection_advice(reason)
    reason = error.orig.diag.message_primary or type(error.orig).__name__  # type: ignore[union-attr]
    if state.startswith(_AGAIN):
        return _masked(reason, url), "start the server again; tahona run then goes on where it stopped"
    return _masked(reason, url), _ADVICE.get(state, "tahona db check says what works and what does not")


def damaged(error: DBAPIError, url: URL) -> bool:  # noqa: ARG001
    """Tell whether the server found its files damaged: data_corrupted or index_corrupted."""
    return getattr(error.orig, "sqlstate", None) in {"XX001", "XX002"}


def greeting(connection: Connection) -> str:
    """Return the server's version, the user and the database."""
    from sqlalchemy import text

    query = text("SELECT current_setting('server_version'), current_user, current_database()")
    version, user, database = connection.execute(query).one()
    return f"PostgreSQL {version} as {user}, database {database}"


def create(url: URL, patience: float) -> bool:
    """Make the database if it is missing; tell whether it was. What the server refuses is raised.

    Its texts are UTF-8 and sort by code point, as SQLite's do, whatever the server's language is.
    """
    from psycopg.errors import DuplicateDatabase, UniqueViolation
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError, OperationalError
    from sqlalchemy.pool import NullPool

    told = dict(arguments(url, patience))
    engine = create_engine(url.set(database=_MAINTENANCE), poolclass=NullPool, connect_args=told)
    quoted = engine.dialect.identifier_preparer.quote_identifier(url.database or "")
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            known = text("SELECT 1 FROM pg_database WHERE datname = :name")
            if connection.execute(known, {"name": url.database}).first() is not None:
                return False
            connection.exec_driver_sql(
                f"CREATE DATABASE {quoted} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) is not None:
            raise
        return False  # this user has no business in the maintenance database; the ledger's own will say what is wrong
    except DBAPIError as error:
        if not isinstance(error.orig, DuplicateDatabase | UniqueViolation):  # another process made it meanwhile
            raise
        return False
    return True


def _connection_advice(reason: str) -> str:
    """Choose by the server's English words; in another language the last sentence has it all."""
    for word, besides, advice in _CONNECTING:
        if word in reason and besides in reason:
            return advice
    return "start the server, and see that host, port, user, password and database are right in stores.ledger"


def _masked(reason: str, url: URL) -> str:
    """Return the reason without the address's passwords, wherever the driver may have put them."""
    for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
        if isinstance(secret, str) and secret:
            reason = reason.replace(secret, "***")
    return reason
