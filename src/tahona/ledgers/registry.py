"""Versions, aliases and their history in SQL."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from tahona.core.records import AliasEvent, Version
from tahona.digests import digest_json
from tahona.errors import InputError, IntegrityError, RefusedError
from tahona.ledgers.runs import storable, to_json
from tahona.ledgers.tables import ALIASES, EVENTS, VERSIONS


def insert_version(connection: Connection, version: Version) -> Version:
    """Keep the version under the next number, or return the one that this run registered before."""
    mine = select(VERSIONS).where(VERSIONS.c.name == version.name, VERSIONS.c.run == version.run)
    known = connection.execute(mine).first()
    if known is not None:
        return _version(known, _aliases(connection, version.name)[known.number])
    last = connection.execute(select(func.max(VERSIONS.c.number)).where(VERSIONS.c.name == version.name)).scalar()
    number = (last or 0) + 1
    row = {
        "name": version.name,
        "number": number,
        "run": version.run,
        "bundle_digest": version.bundle_digest,
        "data_digest": version.data_digest,
        "predictions_digest": version.predictions_digest,
        "model": version.model,
        "metrics_json": to_json(dict(version.metrics)),
        "created": version.created,
        "gate_passed": version.gate_passed,
        "gate_reasons_json": to_json(list(version.gate_reasons)),
    }
    connection.execute(insert(VERSIONS).values(**row, seal=digest_json(row)))
    return replace(version, number=number, aliases=())


def read_versions(connection: Connection, name: str) -> tuple[Version, ...]:
    """Return a model's versions, the newest first. Raise IntegrityError unless all is there as it was written."""
    aliases = _aliases(connection, name)
    query = select(VERSIONS).where(VERSIONS.c.name == name).order_by(VERSIONS.c.number.desc())
    versions = tuple(_version(row, aliases[row.number]) for row in connection.execute(query))
    present = {event.alias: event.version for event in read_history(connection, name)}
    pointing = {alias: version.number for version in versions for alias in version.aliases}
    if pointing != {alias: number for alias, number in present.items() if number}:
        raise _damage(name, "the aliases are not where the history left them")
    if [version.number for version in versions] != list(range(len(versions), 0, -1)):
        raise _damage(name, "a version is missing")
    return versions


def write_move(connection: Connection, event: AliasEvent) -> None:
    """Move the alias and append the event, in the caller's transaction."""
    there = (ALIASES.c.name == event.name) & (ALIASES.c.alias == event.alias)
    present = connection.execute(select(ALIASES.c.version).where(there).with_for_update()).scalar()
    if (present or 0) != event.previous:
        if read_history(connection, event.name)[-1:] == (event,):
            return  # this very move was made, and the answer was lost on its way
        raise RefusedError(
            f"alias '{event.alias}' points at {_spoken(present)} by now, not at {_spoken(event.previous)}",
            where=event.name,
            fix="see tahona history, and judge the move again",
        )
    if event.version:
        _check_version(connection, event)
    if not event.version:
        connection.execute(delete(ALIASES).where(there))
    elif present is None:
        connection.execute(insert(ALIASES).values(name=event.name, alias=event.alias, version=event.version))
    else:
        connection.execute(update(ALIASES).where(there).values(version=event.version))
    row = {
        "name": event.name,
        "alias": event.alias,
        "version": event.version,
        "previous": event.previous,
        "action": event.action,
        "who": storable(event.who),
        "why": storable(event.why),
        "happened": event.when,
    }
    connection.execute(insert(EVENTS).values(**row, seal=digest_json(row)))


def read_alias(connection: Connection, name: str, alias: str) -> int:
    """Return the number of the version that the alias points at, 0 for none."""
    there = (ALIASES.c.name == name) & (ALIASES.c.alias == alias)
    return connection.execute(select(ALIASES.c.version).where(there)).scalar() or 0


def read_history(connection: Connection, name: str) -> tuple[AliasEvent, ...]:
    """Return a model's events in the order in which they were written. Raise IntegrityError if one is missing."""
    query = select(EVENTS).where(EVENTS.c.name == name).order_by(EVENTS.c.id)
    events = tuple(_event(row) for row in connection.execute(query))
    present: dict[str, int] = {}
    for event in events:
        if event.previous != present.get(event.alias, 0):
            raise _damage(name, "an event is missing from the history")
        present[event.alias] = event.version
    return events


def _check_version(connection: Connection, event: AliasEvent) -> None:
    query = select(VERSIONS.c.number).where(VERSIONS.c.name == event.name, VERSIONS.c.number == event.version)
    if connection.execute(query).first() is None:
        raise InputError(
            f"model '{event.name}' has no version {event.version}", where=event.name, fix="tahona models lists them"
        )


def _check(row: Row[Any], name: str) -> None:
    """Raise IntegrityError for a row that is not the one that was written; nothing in it was parsed by then."""
    held = row._asdict()
    seal = held.pop("seal")
    held.pop("id", None)
    try:
        whole = not seal or seal == digest_json(held)
    except TypeError:  # a text became bytes
        whole = False
    if not whole:
        raise _damage(name, "what a row holds is not what was written")


def _damage(name: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"the ledger is damaged: {what}",
        where=name,
        fix="bring the database back from a copy, or name another one in stores.ledger",
    )


def _spoken(version: int | None) -> str:
    return f"version {version}" if version else "no version"


def _aliases(connection: Connection, name: str) -> defaultdict[int, tuple[str, ...]]:
    """Return which aliases point at each number."""
    found: defaultdict[int, tuple[str, ...]] = defaultdict(tuple)
    for row in connection.execute(select(ALIASES).where(ALIASES.c.name == name).order_by(ALIASES.c.alias)):
        found[row.version] = (*found[row.version], row.alias)
    return found


def _event(row: Row[Any]) -> AliasEvent:
    _check(row, row.name)
    return AliasEvent(
        name=row.name,
        alias=row.alias,
        version=row.version,
        previous=row.previous,
        action=row.action,
        who=row.who,
        why=row.why,
        when=row.happened,
    )


def _version(row: Row[Any], aliases: tuple[str, ...]) -> Version:
    _check(row, row.name)
    return Version(
        name=row.name,
        run=row.run,
        bundle_digest=row.bundle_digest,
        model=row.model,
        metrics=json.loads(row.metrics_json),
        created=row.created,
        data_digest=row.data_digest,
        number=row.number,
        aliases=aliases,
        predictions_digest=row.predictions_digest,
        gate_passed=row.gate_passed,
        gate_reasons=tuple(json.loads(row.gate_reasons_json)),
    )
