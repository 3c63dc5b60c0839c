"""A table or a query of a database, through SQLAlchemy. Nothing is ever written there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError, SetupError, TahonaError
from tahona.sources import postgres
from tahona.sources.checksum import refuse_checksum
from tahona.sources.headers import shown
from tahona.sources.limits import LIMITS, Limits, check_cells, check_columns
from tahona.sources.pieces import sliced
from tahona.sources.reading import Reading
from tahona.sources.values import table_of_values

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import URL, Connection, CursorResult, Engine, Select
    from sqlalchemy.exc import DBAPIError

    from tahona.project.model import DataPart

__all__ = ["SqlSource", "open_source"]

_BATCH = 10_000
_UNKNOWN = re.compile(r"no such (table|column): ([\w.]{1,100})$")


class SqlSource:
    """``dialect://…?table=NAME``, or the keys ``table`` or ``query`` of ``[data]``.

    A table's rows come in the order of its primary key; in PostgreSQL a table or view without one in the order of its
    rows as text. A query without ORDER BY has the order that the database gives.
    """

    def __init__(self, url: str, data: DataPart, root: Path, *, limits: Limits = LIMITS) -> None:
        self._text = url
        self._data = data
        self._root = root
        self._limits = limits

    def version(self) -> str:
        """Return a digest of the column names and of all rows in order."""
        digest = sha256()
        with self._result() as (_, result):
            digest.update(repr(tuple(result.keys())).encode())
            for batch in result.partitions(_BATCH):
                for row in batch:
                    digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        return f"rows:{digest.hexdigest()}"

    def fetch(self) -> FetchedTable:
        with self._result() as (where, result):
            header = [str(name) for name in result.keys()]  # noqa: SIM118  (a result, not a dict)
            check_columns(len(header), where=where, limits=self._limits)
            columns: list[list[object]] = [[] for _ in header]
            for batch in result.partitions(_BATCH):
                check_cells(len(columns[0]) + len(batch), len(header), self._limits.values, where=where)
                for column, cells in zip(columns, zip(*batch, strict=True), strict=True):
                    column.extend(cells)
        reading = Reading.of(self._data, where, self._limits)
        read_as = Finding("read_as", "", {"format": "SQL", "details": f"{len(header)} × {len(columns[0])}"})
        return table_of_values(header, columns, reading, reading.row, findings=(read_as,))

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Give the table in pieces. It is read whole, for a column's type is that of all its values."""
        yield from sliced(self.fetch().frame, rows)

    @contextmanager
    def _result(self) -> Iterator[tuple[str, CursorResult[Any]]]:
        """Open the database, run the query, close both. Errors of the database are translated here, and only here."""
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        url, table = self._address()
        where = url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)
        query = self._data.query
        if (table is None) == (query is None):
            raise DataError(
                "the source names neither a table nor a query"
                if query is None
                else "both a table and a query are named",
                where=where,
                fix="Write `?table=NAME` at the end of `source`, or one of the keys `table` and `query` in [data].",
            )
        engine = self._engine(url, where)
        try:
            with _connect(engine, where) as connection:
                statement = None if table is None else _select(connection, table, where)
                with closing(_execute(connection, statement, query)) as result:
                    if not result.returns_rows:
                        raise DataError("the query gives no table", where=where, fix="Write a SELECT.")
                    yield where, result
        except DBAPIError as error:
            raise _failed(error, where, engine.dialect.name) from None
        except SQLAlchemyError as error:
            raise DataError(
                f"the database cannot read this ({type(error).__name__})", where=where, fix="Check table and query."
            ) from error
        finally:
            engine.dispose()

    def _address(self) -> tuple[URL, str | None]:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self._text)
        except (ArgumentError, ValueError):
            fix = "Write it as `dialect://user:password@host/database?table=NAME` or `sqlite:///path?table=NAME`."
            raise DataError("this is not a database URL", where="`source` in [data]", fix=fix) from None
        if "@" in (url.host or ""):
            raise DataError(
                "the address has more than one @", where="`source` in [data]", fix="Write an @ of a password as %40."
            )
        url = url.set(drivername=postgres.DRIVERS.get(url.drivername, url.drivername))
        named = url.query.get("table")
        named = named[0] if isinstance(named, tuple) else named
        return url.difference_update_query(["table"]), named or self._data.table

    def _engine(self, url: URL, where: str) -> Engine:
        from sqlalchemy import NullPool, create_engine
        from sqlalchemy.exc import NoSuchModuleError

        if url.get_backend_name() == "sqlite":
            return create_engine("sqlite://", creator=lambda: _open_sqlite(self._root / (url.database or ""), where))
        try:
            if url.get_backend_name() == "postgresql":
                return postgres.open_engine(url)
            return create_engine(url, poolclass=NullPool)
        except NoSuchModuleError:
            raise DataError("this kind of database is unknown", where=where, fix="Check `source` in [data].") from None
        except ModuleNotFoundError as error:
            raise SetupError(
                f"the database needs the package {error.name}, which is not installed",
                where=where,
                fix='pip install "tahona[postgres]"' if error.name == "psycopg" else f"pip install {error.name}",
            ) from error


def open_source(source: str, data: DataPart, root: Path, cache: Path) -> SqlSource:  # noqa: ARG001  (one signature)
    """Return the table or query of the database ``source``; a relative SQLite path starts at ``root``."""
    refuse_checksum(data.sha256, where="`source` in [data]")
    return SqlSource(source, data, root)


def _open_sqlite(file: Path, where: str) -> Any:  # noqa: ANN401  (a DB-API connection)
    """Open an SQLite file for reading only: the default would make an empty one where none is."""
    import sqlite3

    if not file.is_file():
        raise DataError("the database file does not exist", where=where, fix="Check `source` in [data].")
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)


@contextmanager
def _connect(engine: Engine, where: str) -> Iterator[Connection]:
    from sqlalchemy.exc import DBAPIError

    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise SetupError(
            f"the database cannot be reached ({type(error.orig).__name__})",
            where=where,
            fix="Check that it runs and has a database of that name, and the user and password.",
        ) from None
    reading = postgres.READING if engine.dialect.name == "postgresql" else {}
    with connection:
        yield connection.execution_options(stream_results=True, **reading)


def _select(connection: Connection, name: str, where: str) -> Select[Any]:
    from sqlalchemy import column, inspect, literal_column, select, table

    inspector = inspect(connection)
    schema: str | None = None
    short = name
    if "." in name and not inspector.has_table(name):
        schema, _, short = name.partition(".")
    if not inspector.has_table(short, schema=schema):
        names = sorted({*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)})
        close = get_close_matches(short, names, n=1)
        listed = ", ".join(map(shown, names[:10])) or "none"
        fix = f"Did you mean {shown(close[0])}?" if close else f"Its tables: {listed}."
        raise DataError(f"the database has no table {shown(name)}", where=where, fix=fix)
    key = inspector.get_pk_constraint(short, schema=schema)["constrained_columns"]
    order: Sequence[Any] = [column(name) for name in key]
    if connection.dialect.name == "postgresql":
        order = postgres.row_order(connection, short, schema, key)
    return select(literal_column("*")).select_from(table(short, schema=schema)).order_by(*order)


def _execute(connection: Connection, statement: Select[Any] | None, query: str | None) -> CursorResult[Any]:
    """Run the statement, or the user's query as it stands (a colon or a percent sign in it is no parameter)."""
    if statement is not None:
        return connection.execute(statement)
    assert query is not None
    return connection.execution_options(no_parameters=True).exec_driver_sql(query)


def _failed(error: DBAPIError, where: str, dialect: str) -> TahonaError:
    """Say what failed without the database's own words, which may repeat a cell."""
    if dialect == "postgresql":
        return postgres.failure(error, where)
    message = str(error.orig)
    unknown = _UNKNOWN.search(message)
    if unknown:
        return DataError(f"there is no {unknown[1]} {shown(unknown[2])}", where=where, fix="Check `query` in [data].")
    if "not a database" in message:
        return DataError("the file is no SQLite database", where=where, fix="Check `source` in [data].")
    return DataError(
        f"the database refuses the query ({type(error.orig).__name__})",
        where=where,
        fix="Try it in the database's shell.",
    )
