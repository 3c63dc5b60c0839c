"""What a step's result depends on, as one digest, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from tahona.core.plan import Step
from tahona.digests import digest_bytes, digest_json
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.results import StepResult
from tahona.steps import Station

SETTLED = ("core", "project", "scorer", "learn", "bundle", "report", "steps", "sources")
"""The parts of Tahona whose code makes results."""


def fingerprint_parts(
    opened: OpenProject, step: Step, station: Station, upstream: Mapping[str, StepResult]
) -> dict[str, Any]:
    """Name everything that the step's result depends on; `digest_json` of it is the step's fingerprint."""
    parts: dict[str, Any] = {
        "step": step.id,
        "tahona": code_digest(),
        "project": station.settings(opened.project, step),
        "libraries": {name: installed_version(name) for name in station.LIBRARIES},
        "inputs": {
            f"{source}/{name}": digest
            for source, result in upstream.items()
            for name, digest in result.outputs.items()
            if matches(name, station.NEEDS.get(source.partition("@")[0], ()))
        },
    }
    if step.station == "ingest":
        parts["source"] = opened.source.version()
    if step.station == "clean":
        parts["functions"] = functions_digest(opened)
    return parts


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def functions_digest(opened: OpenProject) -> str:
    from tahona.project.functions import load_functions, source_digest

    functions = load_functions(opened.project)
    return source_digest(functions) if functions else ""


@cache
def code_digest() -> str:
    """Return a digest of the code that makes results: equal for equal installed versions, new after any edit."""
    root = Path(__file__).parents[1]
    files = sorted(path for part in SETTLED for path in (root / part).rglob("*") if path.suffix in {".py", ".j2"})
    return digest_json({path.relative_to(root).as_posix(): digest_bytes(path.read_bytes()) for path in files})


@cache
def installed_version(name: str) -> str:
    """Return the version of an installed package.

    `importlib.metadata.version` takes a millisecond for each: it reads all headers as those of an e-mail.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        headers = distribution(name).read_text("METADATA") or ""
    except PackageNotFoundError:
        return "not installed"
    return next(line.removeprefix("Version: ") for line in headers.splitlines() if line.startswith("Version: "))
