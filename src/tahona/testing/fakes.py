"""A store and a ledger that live and die with the test."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tahona.core.records import AliasEvent, RunRecord, Version
from tahona.digests import digest_bytes, digest_file
from tahona.errors import InputError, IntegrityError, RefusedError
from tahona.ports import Held


class MemoryStore:
    """A `Store` that keeps results in memory and lends artefacts out as files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._objects: dict[str, bytes] = {}
        self._results: dict[str, bytes] = {}
        self._since: dict[tuple[str, str], float] = {}

    def put(self, file: Path) -> str:
        data = file.read_bytes()
        digest = digest_bytes(data)
        self._objects[digest] = data
        self._since["object", digest] = time.monotonic()
        return digest

    def get(self, digest: str) -> Path:
        if digest not in self._objects:
            raise IntegrityError(f"artefact {digest[:12]} is not in the store", fix="run the step that made it again")
        place = self.folder / digest
        if not place.exists() or digest_file(place) != digest:
            place.write_bytes(self._objects[digest])
        return place

    def has(self, digest: str) -> bool:
        return digest in self._objects

    def record(self, fingerprint: str, result: bytes) -> bytes:
        self._since.setdefault(("result", fingerprint), time.monotonic())
        return self._results.setdefault(fingerprint, result)

    def recall(self, fingerprint: str) -> bytes | None:
        return self._results.get(fingerprint)

    def holdings(self) -> Sequence[Held]:
        now = time.monotonic()
        kinds: Iterable[tuple[Literal["object", "result"], dict[str, bytes]]]
        kinds = (("object", self._objects), ("result", self._results))
        return [
            Held(kind, name, len(data), now - self._since[kind, name])
            for kind, kept in kinds
            for name, data in kept.items()
        ]

    def remove(self, held: Held) -> bool:
        kept = self._objects if held.kind == "object" else self._results
        since = self._since.get((held.kind, held.name), time.monotonic())
        if time.monotonic() - since < held.age:
            return False
        if held.kind == "object":
            (self.folder / held.name).unlink(missing_ok=True)
        self._since.pop((held.kind, held.name), None)
        return kept.pop(held.name, None) is not None


class MemoryLedger:
    """A `Ledger` of four lists."""

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._versions: list[Version] = []
        self._aliases: dict[tuple[str, str], int] = {}
        self._events: list[AliasEvent] = []

    def save_run(self, run: RunRecord) -> None:
        self._runs[run.id] = run

    def runs(self, project: str | None = None) -> Sequence[RunRecord]:
        chosen = (run for run in self._runs.values() if project is None or run.project == project)
        return sorted(chosen, key=lambda run: (run.started, run.id), reverse=True)

    def add_version(self, version: Version) -> Version:
        siblings = self.versions(version.name)
        for known in siblings:
            if known.run == version.run:
                return known
        kept = replace(version, number=len(siblings) + 1, aliases=())
        self._versions.append(kept)
        return kept

    def versions(self, name: str) -> Sequence[Version]:
        return [
            replace(
                version,
                aliases=tuple(
                    sorted(alias for (of, alias), at in self._aliases.items() if (of, at) == (name, version.number))
                ),
            )
            for version in reversed(self._versions)
            if version.name == name
        ]

    def move_alias(self, event: AliasEvent) -> None:
        key = (event.name, event.alias)
        if self._aliases.get(key, 0) != event.previous:
            raise RefusedError(
                f"alias '{event.alias}' was moved meanwhile", where=event.name, fix="judge the move again"
            )
        if event.version and all(version.number != event.version for version in self.versions(event.name)):
            raise InputError(f"model '{event.name}' has no version {event.version}", where=event.name)
        self._aliases.pop(key, None)
        if event.version:
            self._aliases[key] = event.version
        self._events.append(event)

    def history(self, name: str) -> Sequence[AliasEvent]:
        return [event for event in self._events if event.name == name]
