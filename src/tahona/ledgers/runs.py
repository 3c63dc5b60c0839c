"""Runs in SQL: a record to rows and back."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, func, insert, select, update

from tahona.core.records import Interval, RunRecord, StepRecord
from tahona.ledgers.tables import METADATA, METRICS, PARAMS, RUNS, STEPS

_NUMBERS = ("value", "low", "high")


def write_run(connection: Connection, run: RunRecord) -> None:
    """Replace whatever stands under the run's id, in the caller's transaction."""
    own = {
        "project": run.project,
        "status": run.status,
        "started": run.started,
        "finished": run.finished,
        "data_digest": run.data_digest,
        "chosen": run.chosen,
        "error": storable(run.error),
    }
    known = connection.execute(select(RUNS.c.id).where(RUNS.c.id == run.id).with_for_update()).first()
    if known is None:
        connection.execute(insert(RUNS).values(id=run.id, **own))
    else:
        connection.execute(update(RUNS).where(RUNS.c.id == run.id).values(**own))
    _replace(connection, PARAMS, run.id, _param_rows(run))
    _replace(connection, METRICS, run.id, _metric_rows(run))
    _replace(connection, STEPS, run.id, _step_rows(run))


def read_runs(connection: Connection, project: str | None) -> tuple[RunRecord, ...]:
    """Return the project's runs (or everybody's), the newest first."""
    query = select(RUNS).order_by(RUNS.c.started.desc(), RUNS.c.id.desc())
    if project is not None:
        query = query.where(RUNS.c.project == project)
    params, metrics, steps = (_by_run(connection, _of_project(table, project)) for table in (PARAMS, METRICS, STEPS))
    return tuple(
        RunRecord(
            id=row.id,
            project=row.project,
            status=row.status,
            started=row.started,
            finished=row.finished,
            data_digest=row.data_digest,
            params={param.name: json.loads(param.value_json) for param in params[row.id]},
            steps=tuple(
                StepRecord(step.step, step.state, step.seconds, step.cpu_seconds, step.fingerprint)
                for step in steps[row.id]
            ),
            leaderboard=tuple(_leaderboard_row(metric) for metric in metrics[row.id] if metric.part == "leaderboard"),
            test={metric.metric: _interval(metric) for metric in metrics[row.id] if metric.part == "test"},
            candidates=_candidates(metrics[row.id]),
            error=row.error,
            chosen=row.chosen,
        )
        for row in connection.execute(query)
    )


def count_runs(connection: Connection) -> int:
    """Return how many runs there are, once every table was found to be readable."""
    for table in METADATA.tables.values():
        connection.execute(select(table).limit(1)).first()
    return int(connection.execute(select(func.count()).select_from(RUNS)).scalar_one())


def storable(text: str) -> str:
    """Return the text as every database can keep it: no NUL, and no byte that was no text in the first place."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def to_json(value: object) -> str:
    """Write a plain value; NumPy's numbers count as plain."""
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a run's parameters and metrics are plain values, not {type(value).__name__}")


def _replace(connection: Connection, table: Table, run: str, rows: Sequence[Mapping[str, object]]) -> None:
    connection.execute(delete(table).where(table.c.run_id == run))
    if rows:
        connection.execute(insert(table), [{"run_id": run, **row} for row in rows])


def _param_rows(run: RunRecord) -> list[dict[str, object]]:
    return [{"name": name, "value_json": to_json(value)} for name, value in run.params.items()]


def _step_rows(run: RunRecord) -> list[dict[str, object]]:
    return [
        {
            "position": position,
            "step": step.id,
            "state": step.state,
            "seconds": step.seconds,
            "cpu_seconds": step.cpu_seconds,
            "fingerprint": step.fingerprint,
        }
        for position, step in enumerate(run.steps)
    ]


def _metric_rows(run: RunRecord) -> list[dict[str, object]]:
    parts: dict[str, Iterable[Mapping[str, Any]]] = {
        "test": _tested(run.chosen, run.test),
        "candidate": chain.from_iterable(_tested(model, metrics) for model, metrics in run.candidates.items()),
        "leaderboard": run.leaderboard,
    }
    return [_metric_row(run, part, position, row) for part, rows in parts.items() for position, row in enumerate(rows)]


def _tested(model: str, metrics: Mapping[str, Interval]) -> Iterator[Mapping[str, Any]]:
    for metric, interval in metrics.items():
        yield {"model": model, "metric": metric, **interval.to_dict()}


def _metric_row(run: RunRecord, part: str, position: int, row: Mapping[str, Any]) -> dict[str, object]:
    """Lay a row out in columns; what a column cannot hold (NaN, None, other keys) goes to the details as it is."""
    details = dict(row)
    columns: dict[str, object] = {name: str(details.pop(name, "")) for name in ("model", "metric")}
    for name in _NUMBERS:
        number = details.get(name)
        finite = isinstance(number, float) and math.isfinite(number)
        columns[name] = float(details.pop(name)) if finite else None
    return {
        "part": part,
        "position": position,
        "data_digest": run.data_digest,
        "details_json": to_json(details),
        **columns,
    }


def _leaderboard_row(row: Row[Any]) -> dict[str, Any]:
    numbers = {name: getattr(row, name) for name in _NUMBERS if getattr(row, name) is not None}
    return {"model": row.model, "metric": row.metric, **numbers, **_details(row)}


def _candidates(rows: Iterable[Row[Any]]) -> dict[str, dict[str, Interval]]:
    found: defaultdict[str, dict[str, Interval]] = defaultdict(dict)
    for row in rows:
        if row.part == "candidate":
            found[row.model][row.metric] = _interval(row)
    return dict(found)


def _interval(row: Row[Any]) -> Interval:
    details = _details(row)
    value, low, high = (details.get(name, getattr(row, name)) for name in _NUMBERS)
    return Interval(*(math.nan if number is None else float(number) for number in (value, low, high)))


def _details(row: Row[Any]) -> dict[str, Any]:
    return {} if row.details_json == "{}" else dict(json.loads(row.details_json))


def _of_project(table: Table, project: str | None) -> Select[Any]:
    query = select(table).order_by(*table.primary_key.columns)
    if project is None:
        return query
    return query.where(table.c.run_id.in_(select(RUNS.c.id).where(RUNS.c.project == project)))


def _by_run(connection: Connection, query: Select[Any]) -> Mapping[str, list[Row[Any]]]:
    found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.run_id].append(row)
    return found
