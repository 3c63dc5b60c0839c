"""Results that lie in the project as files come back into the store and the ledger: what a clone of a project needs.

    .tahona/laid/<step>/laid.json           what the step gave, and where each of its files lies
    .tahona/laid/<step>/<file>              the files that have no place among people's (data, models, reports)
    .tahona/laid/register/ledger.json       the model's versions and the history of their aliases

`tahona step STEP --lay-out` writes them (`lifecycle/laying_out.py`). Nothing in them is believed: a result counts if
its fingerprint is the one that is wanted now, a file if its digest is the one that the result names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tahona.core.records import AliasEvent, Version
from tahona.digests import digest_file
from tahona.errors import IntegrityError
from tahona.lifecycle.environments import locked
from tahona.lifecycle.results import StepResult

if TYPE_CHECKING:
    from tahona.lifecycle.opened import OpenProject

FORMAT = 1
LAID, LEDGER = "laid.json", "ledger.json"

Value = TypeVar("Value")


def laid_folder(step_id: str) -> str:
    """Return the folder of a step's laid-out result, as it is written in a project (from the project's folder)."""
    return f".tahona/laid/{step_id}"


@dataclass(frozen=True, slots=True)
class Laid:
    """A laid-out result: what the step gave, and the path of each output within the project."""

    result: StepResult
    places: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, "result": self.result.to_dict(), "places": dict(self.places)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Laid:
        return cls(StepResult(**data["result"]), data["places"])


@dataclass(frozen=True, slots=True)
class Entries:
    """What a ledger knows of one model, the oldest first."""

    versions: tuple[Version, ...]
    history: tuple[AliasEvent, ...]

    @classmethod
    def of(cls, opened: OpenProject) -> Entries:
        """Read the project's model from its ledger; a version's aliases follow from the history."""
        name = opened.project.name
        versions = (replace(version, aliases=()) for version in reversed(opened.ledger.versions(name)))
        return cls(tuple(versions), tuple(opened.ledger.history(name)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entries:
        versions = (
            Version(**{**each, "aliases": (), "gate_reasons": tuple(each["gate_reasons"])}) for each in data["versions"]
        )
        return cls(tuple(versions), tuple(AliasEvent(**each) for each in data["history"]))

    def goes_on_from(self, known: Entries) -> bool:
        """Tell whether this is what the other knows, and more: neither went a way of its own."""
        ours, theirs = ([(each.number, each.run) for each in one.versions] for one in (self, known))
        return ours[: len(theirs)] == theirs and self.history[: len(known.history)] == known.history


def take_in(opened: OpenProject, step_id: str, fingerprint: str) -> bytes | None:
    """Keep a laid-out result with this fingerprint in the store and return it; None if none lies there, whole.

    A registration counts only where the ledger knows the version that it speaks of.
    """
    laid = _read(opened.project.root / laid_folder(step_id) / LAID, Laid.from_dict)
    if laid is None or laid.result.fingerprint != fingerprint or not _bring(opened, laid):
        return None
    registered = laid.result.outputs.get("registration.json")
    if registered is not None:
        said = json.loads(opened.store.get(registered).read_bytes())
        known = {(each.number, each.bundle_digest) for each in opened.ledger.versions(said["name"])}
        if (said["version"], said["bundle_digest"]) not in known:
            return None
    return opened.store.record(fingerprint, laid.result.to_bytes())


def enter_versions(opened: OpenProject) -> None:
    """Enter the versions and aliases that were laid out into a ledger which knows less of the same, with their files.

    A ledger that went a way of its own (another run has the number) stays as it is.
    """
    file = opened.project.root / laid_folder("register") / LEDGER
    laid = _read(file, Entries.from_dict)
    if laid is None or not _more(laid, Entries.of(opened)):
        return
    with locked(opened.folder / "laid.lock"):
        known = Entries.of(opened)  # another process may have done it meanwhile
        if not _more(laid, known):
            return
        for step_id in ("select", "evaluate"):
            given = _read(opened.project.root / laid_folder(step_id) / LAID, Laid.from_dict)
            if given is not None:
                _bring(opened, given)
        for version in laid.versions[len(known.versions) :]:
            opened.ledger.add_version(version)
        for event in laid.history[len(known.history) :]:
            opened.ledger.move_alias(event)


def _more(laid: Entries, known: Entries) -> bool:
    sizes = [(len(each.versions), len(each.history)) for each in (laid, known)]
    return sizes[0] != sizes[1] and laid.goes_on_from(known)


def _bring(opened: OpenProject, laid: Laid) -> bool:
    """Put the result's files into the store; tell whether each of them was there with the bytes that it should have."""
    root = opened.project.root
    for name, digest in laid.result.outputs.items():
        if opened.store.has(digest):
            continue
        file = root / laid.places[name]
        if not file.is_file() or digest_file(file) != digest:
            return False
        opened.store.put(file)
    return True


def _read(file: Path, read: Callable[[Mapping[str, Any]], Value]) -> Value | None:
    """Read a document, or return None if it is not there. Raise IntegrityError for one that is damaged, or is newer."""
    if not file.is_file():
        return None
    try:
        data = json.loads(file.read_bytes())
        if data["format"] == FORMAT:
            return read(data)
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(file) from error
    raise _unreadable(file)


def _unreadable(file: Path) -> IntegrityError:
    return IntegrityError(
        "a laid-out result is damaged, or a newer Tahona wrote it",
        where=str(file),
        fix="bring the file back (dvc checkout), or remove its folder: the step then runs anew",
    )
