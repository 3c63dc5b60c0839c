"""The address of a SQL ledger: read, checked, and as it may be printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tahona.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import URL

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""The driver behind an address that names none: SQLAlchemy's own choice would be psycopg2."""


def parse(text: str) -> URL:
    """Read the address. Raise InputError, which never repeats it: a password may stand in it."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise _unreadable() from None
    if "@" in (url.host or ""):
        raise InputError(
            "the ledger's address has more than one @",
            where="stores.ledger",
            fix="write an @ inside a password as %40",
        )
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() == "postgresql" and not (url.database or "dbname" in url.query):
        raise InputError(
            "the ledger's address names no database", where="stores.ledger", fix="write its name after the last /"
        )
    return url


def under(root: Path, url: URL) -> URL:
    """Return the address with the relative path of a SQLite file starting at ``root``."""
    file = file_of(url)
    return url if file is None else url.set(database=str(root / file))


def database_address(text: str, root: Path) -> str:
    """Return the address in full, with its password; the relative path of a SQLite file starts at ``root``."""
    return under(root, parse(text)).render_as_string(hide_password=False)


def file_of(url: URL) -> Path | None:
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


def shown(url: URL) -> str:
    """Return the address as it may be printed: a file's path, or a URL without driver, password and options."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def _unreadable() -> InputError:
    return InputError(
        "the ledger's address cannot be read as a database URL",
        where="stores.ledger",
        fix="write it like sqlite:///folder/ledger.db or postgresql://user:${PASSWORD}@host/database",
    )
