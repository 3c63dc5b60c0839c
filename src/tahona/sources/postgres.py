"""What the SQL source must know about PostgreSQL (psycopg 3): sessions that are alike anywhere, order, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tahona.errors import DataError, SetupError, TahonaError
from tahona.sources.headers import shown

if TYPE_CHECKING:
    from sqlalchemy import URL, ColumnElement, Connection, Engine
    from sqlalchemy.exc import DBAPIError

__all__ = ["DRIVERS", "READING", "failure", "open_engine", "row_order"]

DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""The driver behind an address that names none."""
READING: Mapping[str, Any] = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}

_SESSION = {"timezone": "UTC", "datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "1"}
"""Settings that decide what values look like: a server's own would make another version of the same rows."""
_NAMED = re.compile(r"\"([\w.]{1,100})\"")
_UNKNOWN = {"42P01": "table", "42703": "column"}
_DOWN = ("08", "57P", "53")
"""SQLSTATEs: the connection broke, the server was ended, it has no room."""


def open_engine(url: URL) -> Engine:
    """Return an engine that connects when it is used, and holds no connection afterwards."""
    from sqlalchemy import NullPool, create_engine, event

    told = {"connect_timeout": 10, "client_encoding": "utf8", "application_name": "tahona"}
    mine = {name: value for name, value in told.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, connect_args=mine)

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: object) -> None:  # noqa: ANN401  (a connection of psycopg)
        for name, value in _SESSION.items():
            connection.execute(f"SET {name} = '{value}'")
        connection.commit()

    return engine


def row_order(connection: Connection, name: str, schema: str | None, key: Sequence[str]) -> Sequence[Any]:
    """Order by the primary key; without one by whole rows as text, for the heap's order changes.

    Texts sort by code point, whatever the database's language: the same rows give the same version anywhere.
    """
    from sqlalchemy import cast, collate, column, inspect, literal_column
    from sqlalchemy.types import Enum, String, Text

    if not key:
        row: ColumnElement[Any] = literal_column(f"{connection.dialect.identifier_preparer.quote(name)}.*")
        return [collate(cast(row, Text), "C")]
    types = {found["name"]: found["type"] for found in inspect(connection).get_columns(name, schema=schema)}
    texts = {part for part in key if isinstance(types[part], String) and not isinstance(types[part], Enum)}
    return [collate(column(part), "C") if part in texts else column(part) for part in key]


def failure(error: DBAPIError, where: str) -> TahonaError:
    """Say what failed without the server's own words, which may repeat a cell."""
    state = getattr(error.orig, "sqlstate", None) or "08"
    if state.startswith(_DOWN):
        return SetupError("the database broke off", where=where, fix="See that it runs, and try again.")
    if state == "42501":
        return SetupError(
            "this user may not read that", where=where, fix="Let an administrator GRANT SELECT on the table."
        )
    named = _NAMED.search(str(error.orig))
    if state in _UNKNOWN and named:
        what = f"there is no {_UNKNOWN[state]} {shown(named[1])}"
        return DataError(what, where=where, fix="Check `query` in [data].")
    return DataError(
        f"the database refuses the query ({type(error.orig).__name__})", where=where, fix="Try it in psql."
    )
