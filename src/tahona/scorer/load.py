"""A scorer from a bundle's file: only what scoring reads is taken out of the zip, and nothing is written."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tahona.core.schema import Schema
from tahona.errors import IntegrityError
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.members import Member
from tahona.scorer.parts import Files
from tahona.scorer.scorer import Recipe, Scorer

FORMAT = 1
"""Version of the compiled form."""
NAME = "scorer.json"
"""The bundle's file that says what stands for its estimators, and how that was judged."""
LARGEST = 2 << 30
"""Bytes that the files of a bundle take."""
BUNDLE_FORMAT = 1
"""Of bundles (`tahona.bundle.bundle`)."""


def load_scorer(bundle: Path) -> Scorer:
    """Return the scorer of a bundle whose digest the caller has checked.

    Raise NotCompiledError where there is none, with the reason; IntegrityError for anything else than a bundle.
    """
    with _open(bundle) as files:
        return build_scorer(files, accepted_form(files))


def why_slow(bundle: Path) -> str:
    """Return why a bundle has no scorer, the empty string when it has one. No model is loaded."""
    try:
        with _open(bundle) as files:
            accepted_form(files)
    except NotCompiledError as reason:
        return reason.what
    return ""


def build_scorer(files: Files, compiled: Mapping[str, Any]) -> Scorer:
    """Return the scorer that a compiled form describes, whatever was said of it."""
    bundle = _read_json(files, "bundle.json")
    if bundle["format"] > BUNDLE_FORMAT:
        raise IntegrityError(
            f"the bundle has format {bundle['format']}, this Tahona reads up to {BUNDLE_FORMAT}", fix="update tahona"
        )
    members = (
        _member(files, f"members/{place}", weight, heads)
        for place, (weight, heads) in enumerate(zip(bundle["weights"], compiled["members"], strict=True))
    )
    schema = Schema.from_dict(bundle["schema"])
    return Scorer(Recipe(schema, tuple(members), bundle["threshold"], bundle["rule"]), files)


def _member(files: Files, folder: str, weight: float, heads: list[Mapping[str, Any]]) -> Member:
    model, encoding, calibrator = (
        _read_json(files, f"{folder}/{name}.json") for name in ("model", "encoding", "calibrator")
    )
    return Member(model["family"], weight, model, encoding, calibrator, heads)


def accepted_form(files: Files) -> Mapping[str, Any]:
    """Return the compiled form if it was found to answer as the bundle does; NotCompiledError says why not."""
    try:
        compiled = _read_json(files, NAME)
    except (KeyError, FileNotFoundError):
        raise NotCompiledError("the bundle holds no compiled form", fix="run the project again") from None
    if compiled["format"] > FORMAT:
        raise NotCompiledError(f"its compiled form has format {compiled['format']}", fix="update tahona")
    if compiled["slow"]:
        raise NotCompiledError(compiled["slow"])
    return compiled


@contextmanager
def _open(bundle: Path) -> Iterator[Files]:
    """Give what reads the bundle's files; whatever is wrong with them is an IntegrityError."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise IntegrityError("the bundle unpacks to more than 2 GiB", where=bundle.name)
            yield archive.read
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ) as error:
        raise IntegrityError(
            "what the bundle holds is not as Tahona writes it",
            where=bundle.name,
            fix="take it from the artifact store again",
        ) from error


def _read_json(files: Files, name: str) -> dict[str, Any]:
    data = json.loads(files(name))
    if not isinstance(data, dict):
        raise TypeError(name)
    return data
