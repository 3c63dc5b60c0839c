"""Why a step will run again, or why it will not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tahona.lifecycle.road import Road


def explain(road: Road, step_id: str) -> tuple[str, ...]:
    """Return sentences: what changed since the step last ran here; one sentence if nothing did."""
    step = road.plan[step_id]
    before = road.last_parts(step_id)
    waiting = [name for name in step.after if road.result(name) is None]
    if waiting:
        first = f"{step_id} waits for {', '.join(waiting)}, which will run first"
        return (first, *(f"{waiting[0]}: {reason}" for reason in explain(road, waiting[0])))
    parts = road.parts(step)
    assert parts is not None
    now = json.loads(json.dumps(parts))  # as the store keeps it: a tuple is a list
    if road.result(step_id) is not None:
        return (f"{step_id} will not run again: its result is stored and nothing that it depends on has changed",)
    if before is None:
        return (f"{step_id} has never run here",)
    changes = tuple(f"{path} changed" + said for path, said in _differences(before, now))
    return changes or (f"the stored result of {step_id} is gone from the artifact store",)


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif before != now and not (_empty(before) and _empty(now)):
        short = isinstance(before, (int, float, str, bool, list)) and len(str(before)) + len(str(now)) < 80
        yield _words(path), f" from {before} to {now}" if short and not _is_digest(before) else ""


def _words(path: str) -> str:
    section, _, rest = path.partition(".")
    named = {
        "tahona": "the code of Tahona itself",
        "functions": "the source of a cleaning function, or of a project module that it imports,",
        "source": "the content of the data source",
    }
    if section in named:
        return named[section]
    return {"inputs": "the input ", "libraries": "the version of ", "project": "the setting "}.get(section, "") + rest


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64


def _empty(value: object) -> bool:
    return value is None or value in ({}, [], "")
