"""The prediction log in a SQL database, as a rule the ledger's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from tahona.core.records import Prediction
from tahona.ledgers.address import database_address
from tahona.ledgers.engine import SqlDatabase
from tahona.ledgers.runs import storable
from tahona.ledgers.tables import PREDICTIONS

PATIENCE = 3.0
"""Seconds that a write waits: whoever brings predictions has them safe, and comes again."""
PIECE = 1_000
"""Rows read, or ids asked for, at a time."""


def open_prediction_log(url: str, root: Path) -> SqlPredictionLog:
    """Open the log at ``url``; the relative path of a SQLite file starts at ``root``."""
    return SqlPredictionLog(database_address(url, root))


def _json_writer() -> Callable[[object], str]:
    """Return msgspec's where there is a server, whose log this is: 2 µs a row, and 15 of the standard library's."""
    try:
        from msgspec.json import encode
    except ModuleNotFoundError:
        return json.dumps
    return lambda value: encode(value).decode()


_to_json = _json_writer()


class SqlPredictionLog:
    """A `PredictionLog` in a SQL database."""

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        """Open the database as a ledger does: missing tables are made, and SetupError says why it cannot be used."""
        self._database = SqlDatabase(url, patience=patience)
        self.place = self._database.place
        self._database.furnish()

    def add(self, predictions: Sequence[Prediction]) -> int:
        """Keep them, all or none; one whose id is there already stays as it is. Return how many were new."""
        if not predictions:
            return 0
        return self._database.write(lambda connection: insert_predictions(connection, predictions))

    def tell(self, truths: Mapping[str, str], when: str) -> Sequence[str]:
        """Write true labels by prediction id, a later word in place of an earlier; return the ids that are unknown."""
        return self._database.write(lambda connection: _tell(connection, truths, when))

    def read(self, name: str, *, since: str = "", version: int | None = None) -> Iterator[Prediction]:
        """Give a model's predictions, the oldest first; a piece of them is in memory at a time."""
        last = (since, "")
        while True:
            after = last
            found = self._database.read(lambda connection: _page(connection, name, after, version))  # noqa: B023
            yield from found
            if len(found) < PIECE:
                return
            last = (found[-1].when, found[-1].id)


def insert_predictions(connection: Connection, predictions: Sequence[Prediction]) -> int:
    """Keep those whose id is not there; return how many these are.

    The statement is compiled here, once for all rows: SQLAlchemy would look at every row's names anew, for a third of
    the time that a prediction takes.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(PREDICTIONS).on_conflict_do_nothing(index_elements=["id"]).compile(dialect=connection.dialect)
    rows = [_row(prediction) for prediction in predictions]
    if statement.positional:
        return connection.exec_driver_sql(str(statement), rows).rowcount
    names = PREDICTIONS.columns.keys()
    return connection.exec_driver_sql(str(statement), [dict(zip(names, row, strict=True)) for row in rows]).rowcount


def _tell(connection: Connection, truths: Mapping[str, str], when: str) -> tuple[str, ...]:
    ids = list(truths)
    known: set[str] = set()
    for start in range(0, len(ids), PIECE):
        asked = select(PREDICTIONS.c.id).where(PREDICTIONS.c.id.in_(ids[start : start + PIECE]))
        known.update(connection.execute(asked).scalars())
    if known:
        statement = update(PREDICTIONS).where(PREDICTIONS.c.id == bindparam("own"))
        told = [{"own": each, "truth": storable(truths[each]), "told": when} for each in ids if each in known]
        connection.execute(statement.values(truth=bindparam("truth"), told=bindparam("told")), told)
    return tuple(each for each in ids if each not in known)


def _page(connection: Connection, name: str, after: tuple[str, str], version: int | None) -> list[Prediction]:
    """Return the next predictions after a time and an id, in this order."""
    columns = PREDICTIONS.c
    query = select(PREDICTIONS).where(columns.name == name, tuple_(columns.happened, columns.id) > after)
    if version is not None:
        query = query.where(columns.version == version)
    query = query.order_by(columns.happened, columns.id).limit(PIECE)
    return [_prediction(row) for row in connection.execute(query)]


def _row(prediction: Prediction) -> tuple[Any, ...]:
    """Return the values of the table's columns, in their order."""
    features = _to_json(prediction.features)
    return (
        prediction.id,
        prediction.name,
        prediction.version,
        prediction.when,
        storable(prediction.key),
        storable(prediction.label),
        _to_json(prediction.probabilities),
        None if features == "null" else features,
        _to_json(prediction.warnings),
        prediction.truth,
        prediction.told,
    )


def _prediction(row: Row[Any]) -> Prediction:
    return Prediction(
        id=row.id,
        name=row.name,
        version=row.version,
        when=row.happened,
        label=row.label,
        probabilities=json.loads(row.probabilities_json),
        key=row.key,
        features=None if row.features_json is None else json.loads(row.features_json),
        warnings=tuple(json.loads(row.warnings_json)),
        truth=row.truth,
        told=row.told,
    )
