"""What the ledger must know about SQLite: how a connection is tuned, and what its errors ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.room import bounds

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.exc import DBAPIError

DRIVER = "sqlite3, a part of Python"
READING: Mapping[str, Any] = {}
_OURS = b"alembic_version"
"""Stands in every ledger's file, in the statement that made the table."""
UPGRADED_WHEN_OPENED = True
"""The file is this project's own: nobody with an older Tahona is locked out."""
KEPT = False
"""Whether a connection is kept for the next peek. Opening a file costs little, and another may lie there by then."""


def arguments(url: URL, patience: float) -> Mapping[str, Any]:  # noqa: ARG001  (every kind has the same functions)
    """Return what the driver is told when it connects."""
    return {"timeout": patience}


def tune(engine: Engine, patience: float) -> None:  # noqa: ARG001
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


def gone(error: DBAPIError) -> bool:  # noqa: ARG001
    """Tell whether the same may go well in a moment. A file does not come back by itself."""
    return False


def explain(error: DBAPIError, url: URL) -> tuple[str, str]:
    """Return what SQLite says, and what to do about it."""
    reason = str(error.orig).partition("\n")[0]
    file = Path(url.database or "")
    if "full" in reason or "disk I/O" in reason:
        return f"{reason} ({bounds(file)})", "make room there and run again: finished steps are kept"
    if "locked" in reason or "busy" in reason:
        return reason, "another process is writing; try again when it has finished"
    if "not a database" in reason or damaged(error, url):
        return reason, "bring the file back from a copy, or name another database in stores.ledger"
    if "readonly" in reason or "unable to open" in reason:
        return reason, "make room or give write access there, or name another database in stores.ledger"
    return reason, "see that the database is there and may be written to, or name another one in stores.ledger"


def damaged(error: DBAPIError, url: URL) -> bool:
    """Tell whether the file was a ledger and its bytes are no longer the ones that were written."""
    reason = str(error.orig)
    if any(words in reason for words in ("malformed", "Could not decode to UTF-8", "no such column", "no such table")):
        return True
    file = Path(url.database or "")
    return "not a database" in reason and file.is_file() and _OURS in file.read_bytes()


def greeting(connection: Connection) -> str:
    """Return SQLite's version, once the file was found to be a database."""
    from sqlalchemy import text

    connection.execute(text("PRAGMA schema_version"))
    return f"SQLite {connection.execute(text('SELECT sqlite_version()')).scalar()}"


def create(url: URL, patience: float) -> bool:  # noqa: ARG001
    """Tell that the file is new: the first connection makes it."""
    return True
