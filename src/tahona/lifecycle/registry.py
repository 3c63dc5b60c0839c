"""Versions and aliases: promote, roll back, and load the bundle that an alias points at."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tahona.bundle.bundle import Bundle, load_bundle
from tahona.clock import now
from tahona.core.records import AliasAction, AliasEvent, Version
from tahona.errors import InputError, IntegrityError, RefusedError
from tahona.lifecycle.opened import OpenProject

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tahona.project.functions import UserFunction

CHAMPION = "champion"


def find_version(opened: OpenProject, reference: str) -> Version:
    """Return the version that `NAME@ALIAS`, `NAME@3`, `@3`, `champion` or `3` means; NAME defaults to the project's."""
    name, _, wanted = reference.rpartition("@")
    name = name or opened.project.name
    versions = opened.ledger.versions(name)
    for version in versions:
        if wanted in version.aliases or wanted.removeprefix("v") == str(version.number):
            return version
    known = ", ".join(str(version.number) for version in versions[:20]) or "none"
    raise InputError(
        f"model '{name}' has no version or alias '{wanted}'",
        where=reference,
        fix=f"versions there are: {known}" if versions else "tahona run makes the first version",
    )


def champion(versions: Sequence[Version]) -> Version | None:
    return next((version for version in versions if CHAMPION in version.aliases), None)


def open_bundle(opened: OpenProject, version: Version, *, light: bool = False) -> Bundle:
    """Load a registered bundle: the store checks its bytes against the digest in the ledger before they are read.

    ``light`` as `tahona.bundle.bundle.load_bundle` has it.
    """
    return bundle_in(opened, version.number, opened.store.get(version.bundle_digest), light=light)


def bundle_in(opened: OpenProject, number: int, file: Path, *, light: bool = False) -> Bundle:
    """Load a registered bundle, of which the number is known, from the file that the store gave for it."""
    bundle = load_bundle(file, light=light)
    return replace(bundle, version=number, clean=cleaning_of(opened, bundle))


def cleaning_of(opened: OpenProject, bundle: Bundle) -> Callable[[pd.DataFrame], pd.DataFrame] | None:
    """Return the project's functions as one callable, if they are still the code that the bundle was trained behind."""
    if not bundle.cleaning.functions:
        return None
    from tahona.project.functions import load_functions

    return bind_cleaning(load_functions(opened.project), bundle)


def bind_cleaning(functions: Sequence[UserFunction], bundle: Bundle) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return the functions as one callable. Raise IntegrityError for other code than the bundle was trained behind."""
    from tahona.project.functions import apply, source_digest

    if source_digest(functions) != bundle.cleaning.digest:
        raise IntegrityError(
            f"the cleaning functions ({', '.join(bundle.cleaning.functions)}) are not the code that this bundle was "
            "trained behind",
            where=str(functions[0].space.root) if functions else "data.clean",
            fix="bring that code back (version control knows it), or train again with tahona run",
        )

    def clean(frame: pd.DataFrame) -> pd.DataFrame:
        for function in functions:
            frame = apply(function, frame)
        return frame

    return clean


def promote(opened: OpenProject, reference: str, *, override: str = "", who: str = "") -> AliasEvent:
    """Make a version the champion. Refused when it did not pass the gate, unless a reason overrides it.

    The reason stands in the history for good.
    """
    version = find_version(opened, reference)
    before = champion(opened.ledger.versions(version.name))
    if before is not None and before.number == version.number:
        raise InputError(f"version {version.number} is the champion already", where=version.name)
    if not version.gate_passed and not override:
        raise RefusedError(
            f"version {version.number} did not pass the gate. {' '.join(version.gate_reasons)}",
            where=version.name,
            fix='tahona promote … --override "why it may be champion all the same"',
        )
    return _move(
        opened,
        version,
        before,
        "promote" if version.gate_passed else "override",
        override or " ".join(version.gate_reasons),
        who,
    )


def roll_back(opened: OpenProject, name: str = "", *, why: str = "", who: str = "") -> AliasEvent:
    """Make the version champion again that was it before the present one."""
    name = name or opened.project.name
    versions = opened.ledger.versions(name)
    present = champion(versions)
    numbers = {version.number: version for version in versions}
    moves = [event for event in opened.ledger.history(name) if event.alias == CHAMPION]
    earlier = next(
        (event.previous for event in reversed(moves) if present is not None and event.version == present.number), 0
    )
    if present is None or earlier not in numbers:
        raise InputError("there is no earlier champion to go back to", where=name, fix="tahona history shows all moves")
    return _move(opened, numbers[earlier], present, "rollback", why or "rolled back", who)


def _move(
    opened: OpenProject, version: Version, before: Version | None, action: AliasAction, why: str, who: str
) -> AliasEvent:
    event = AliasEvent(
        name=version.name,
        alias=CHAMPION,
        version=version.number,
        previous=before.number if before else 0,
        action=action,
        who=who or getpass.getuser(),
        why=why,
        when=now(),
    )
    opened.ledger.move_alias(event)
    return event
