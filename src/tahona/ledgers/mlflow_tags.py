"""Tahona's records as tags of MLflow's runs, versions and models: MLflow keeps short texts, the records are JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from tahona.core.records import AliasEvent, Interval, RunRecord, StepRecord, Version
from tahona.ledgers.runs import to_json

RUN = "tahona.run"
"""Tag of an MLflow run: the id of Tahona's run that it shows."""
RECORD = "tahona.record"
TRIAL = "tahona.trial"
BUNDLE = "tahona.bundle"
VERSION = "tahona.version"
EVENT = "tahona.event."
LONGEST = 4_500
"""Characters in one tag: MLflow's tables hold 5,000 on a registered model, 8,000 on a run."""
_NOT_OURS = {"number", "aliases"}


def pieces(key: str, text: str) -> dict[str, str]:
    """Lay a text out in tags, the one called ``key`` last: it is written when all others are there."""
    if len(text) <= LONGEST:
        return {key: text}
    cut = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)]
    return {f"{key}.{number}": piece for number, piece in enumerate(cut, start=1)} | {key: f"{len(cut)} pieces"}


def joined(tags: Mapping[str, str], key: str) -> str:
    """Return the text that was laid out."""
    head = tags[key]
    count = head.removesuffix(" pieces")
    if count == head:
        return head
    return "".join(tags[f"{key}.{number}"] for number in range(1, int(count) + 1))


def run_to_text(run: RunRecord) -> str:
    own = {field.name: getattr(run, field.name) for field in fields(run)}
    own["steps"] = [asdict(step) for step in run.steps]
    own["test"] = _intervals_to_dict(run.test)
    own["candidates"] = {model: _intervals_to_dict(metrics) for model, metrics in run.candidates.items()}
    return to_json(own)


def run_from_text(text: str) -> RunRecord:
    data = json.loads(text)
    data["steps"] = tuple(StepRecord(**step) for step in data["steps"])
    data["test"] = _intervals(data["test"])
    data["candidates"] = {model: _intervals(metrics) for model, metrics in data["candidates"].items()}
    data["leaderboard"] = tuple(data["leaderboard"])
    return RunRecord(**data)


def version_to_text(version: Version) -> str:
    return to_json({name: value for name, value in _fields(version) if name not in _NOT_OURS})


def version_from_text(text: str, number: int, aliases: tuple[str, ...]) -> Version:
    data = json.loads(text)
    return Version(**{**data, "gate_reasons": tuple(data["gate_reasons"]), "number": number, "aliases": aliases})


def event_to_text(event: AliasEvent, *, pending: bool) -> str:
    """Write an event; a pending one says that the alias may not have been moved yet."""
    return to_json(asdict(event) | ({"pending": True} if pending else {}))


def events(tags: Mapping[str, str]) -> Iterator[tuple[str, AliasEvent, bool]]:
    """Yield the history kept in a registered model's tags, oldest first: key, event, whether it is pending."""
    for key in sorted(key for key in tags if key.startswith(EVENT) and key.removeprefix(EVENT).isdigit()):
        data = json.loads(joined(tags, key))
        pending = bool(data.pop("pending", False))
        yield key, AliasEvent(**data), pending


def next_event_key(tags: Mapping[str, str]) -> str:
    numbers = [int(key.removeprefix(EVENT)) for key, _, _ in events(tags)]
    return f"{EVENT}{max(numbers, default=0) + 1:06d}"


def shown_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Return a run's settings as MLflow shows them: `section.key`, texts as they are, everything else as JSON."""
    flat: dict[str, Any] = {}
    for section, value in params.items():
        if isinstance(value, Mapping):
            flat |= {f"{section}.{key}": inner for key, inner in value.items()}
        else:
            flat[section] = value
    return {key: _shown(value) for key, value in flat.items()}


def _shown(value: object) -> str:
    return (value if isinstance(value, str) else to_json(value))[:LONGEST]


def _intervals_to_dict(metrics: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval.to_dict() for name, interval in metrics.items()}


def _intervals(data: Mapping[str, Mapping[str, float]]) -> dict[str, Interval]:
    return {name: Interval(**interval) for name, interval in data.items()}


def _fields(version: Version) -> Iterator[tuple[str, Any]]:
    for field in fields(version):
        value = getattr(version, field.name)
        yield field.name, dict(value) if isinstance(value, Mapping) else value
