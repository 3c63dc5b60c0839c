"""Reading the project file: from TOML, an overlay, overrides and the environment to a checked `Project`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tahona.core.findings import Finding
from tahona.errors import ProjectError
from tahona.project.dotenv import read_servers
from tahona.project.layers import Layers, stack
from tahona.project.locate import KeyPath, Toml, find_lines, line_of
from tahona.project.model import FORMAT, Project, UpPart
from tahona.project.problems import NOT_KEYS, Problem, from_pydantic, one_error
from tahona.project.rules import broken_rules, project_findings
from tahona.project.secrets import credentials

FILE_NAME = "tahona.toml"
LARGEST = 1_000_000
"""Bytes; the project file is written by hand."""
DEEPEST = 24
"""Levels of tables and lists."""

_MINIMUM = 'Write at least [project] with name and target, and [data] with source = "data/raw/table.csv".'
_LONG_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}"""  # tomllib needs quadratic time for these
)
_AT = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """A checked project, and what in its file is allowed but hardly meant."""

    project: Project
    findings: tuple[Finding, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """How its own servers are found (`tahona up`); they go before those of the environment."""


def load_project(
    folder_or_file: Path,
    *,
    env: str | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> LoadedProject:
    """Read and check a project file; the findings are for the caller to show.

    Parameters
    ----------
    folder_or_file
        The project's folder, or the file itself.
    env
        Name of the ``[env.NAME]`` tables to lay over the file.
    overrides
        Texts ``a.b=VALUE``, laid over everything else in this order. VALUE is TOML where it is TOML, else text.
    environ
        Where ``${NAME}`` is looked up; the process's environment when None.

    Raises
    ------
    ProjectError
        All that is wrong, each with ``file:line`` and key.
    """
    layers, file = _read(folder_or_file, env, overrides)
    return _check(layers, file, os.environ if environ is None else environ)


def load_up(folder_or_file: Path, *, env: str | None = None, overrides: Sequence[str] = ()) -> tuple[Path, UpPart]:
    """Return the project's folder and its `[up]`, before the variables are there that other tables read.

    Raise ProjectError when there is no file, or this table is wrong.
    """
    layers, file = _read(folder_or_file, env, overrides)
    up, problems = _up(layers)
    if problems:
        raise one_error([(layers.place(problem.path), problem) for problem in problems])
    return file.resolve().parent, up


def _up(layers: Layers) -> tuple[UpPart, list[Problem]]:
    """Return `[up]` and what is wrong with it, whatever stands in other tables."""
    if "up" not in layers.document:
        return UpPart(), []
    project, wrong = _structure_errors({"up": layers.document["up"]})
    return project.up, [problem for problem in wrong if problem.path[0] == "up"]


def _read(folder_or_file: Path, env: str | None, overrides: Sequence[str]) -> tuple[Layers, Path]:
    """Read the file, and lay the overlay and the overrides over it."""
    try:
        file = find_project_file(Path(folder_or_file))
        text = _read_text(file)
    except OSError as error:
        raise ProjectError(
            f"cannot be read ({error.strerror})",
            where=str(folder_or_file)[:500],
            fix="Check the path and its permissions.",
        ) from error
    try:
        document = _parse(text, file)
        if _depth_exceeds(document, DEEPEST):
            raise ProjectError(
                f"tables or lists are nested more than {DEEPEST} deep", where=str(file), fix="Flatten them."
            )
        _check_format(document, text, file)
        layers = stack(document, text, str(file), env, overrides)
        _check_overlays(document, text, file, chosen=env)
    except RecursionError:
        raise ProjectError("tables or lists are nested too deeply", where=str(file), fix="Flatten them.") from None
    return layers, file


def find_project_file(folder_or_file: Path) -> Path:
    """Return the project file meant by a path. Raise ProjectError when there is none."""
    named_so = folder_or_file.name.endswith(".toml")
    file = folder_or_file if named_so and not (folder_or_file / FILE_NAME).exists() else folder_or_file / FILE_NAME
    if folder_or_file.is_file():
        file = folder_or_file
    if file.is_dir():
        raise ProjectError(
            "this is a folder, not a project file", where=str(file), fix=f"Move it; {FILE_NAME} is a text file."
        )
    if not file.exists():
        if not file.parent.is_dir():
            raise ProjectError("there is no such folder", where=str(file.parent), fix="Check the path given to -C.")
        raise ProjectError("there is no project file", where=str(file), fix=f"Give its folder with -C. {_MINIMUM}")
    if not file.is_file():
        raise ProjectError("this is not a regular file", where=str(file), fix=f"{FILE_NAME} is a text file.")
    return file


def _read_text(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ProjectError(
            f"is larger than {LARGEST:,} bytes, the limit for a project file",
            where=str(file),
            fix="Is this the right file?",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"is not UTF-8: byte {error.start + 1} of the file does not belong to any character"
        raise ProjectError(what, where=f"{file}:{line}", fix="Save it as UTF-8.") from None
    if not text.strip():
        raise ProjectError("the project file is empty", where=str(file), fix=_MINIMUM)
    return text


def _parse(text: str, file: Path) -> dict[str, Any]:
    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        raise ProjectError("a key has 64 parts or more", where=f"{file}:{line}", fix=f"Keys go {DEEPEST} deep at most.")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text, file) from None
    except ValueError:  # tomllib lets int() refuse a number of more than 4,300 digits
        raise ProjectError(
            "holds a number with thousands of digits", where=str(file), fix="Write a shorter number."
        ) from None
    if not document:
        raise ProjectError("the project file holds comments only", where=str(file), fix=_MINIMUM)
    return document


def _syntax_error(message: str, text: str, file: Path) -> ProjectError:
    place = _AT.search(message)
    line = place["line"] if place and place["line"] else text.rstrip("\n").count("\n") + 1
    says = _AT.sub("", message)
    twice = "Cannot overwrite" in says or "Cannot declare" in says
    says = "a key or a table stands twice" if twice else f"this is not TOML: {says[:1].lower()}{says[1:120]}"
    fix = "Keep one of the two." if twice else "Text stands in quotes, lists in [ ], and `key = value` on one line."
    return ProjectError(says, where=f"{file}:{line}", fix=fix)


def _depth_exceeds(value: Toml, limit: int) -> bool:
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [item for table in level for item in _inside(table)]
        if not level:
            return False
    return True


def _inside(value: Toml) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _check_format(document: Mapping[str, Any], text: str, file: Path) -> None:
    """Tell of a newer format first and alone: every other complaint would follow from it."""
    section = document.get("project")
    number = section.get("format", FORMAT) if isinstance(section, Mapping) else FORMAT
    if not isinstance(number, int) or isinstance(number, bool) or 1 <= number <= FORMAT:
        return  # a wrong type is pydantic's to tell
    newer = number > FORMAT
    has = "a newer one" if newer else "none it knows"
    raise ProjectError(
        f"project.format: this Tahona reads format {FORMAT}, and the file has {has}",
        where=f"{file}:{line_of(find_lines(text), ('project', 'format'))}",
        fix="Upgrade Tahona." if newer else f"Write format = {FORMAT}.",
    )


def _check_overlays(document: Mapping[str, Any], text: str, file: Path, *, chosen: str | None) -> None:
    """Find unknown keys in the overlays that are not chosen too: they would otherwise wait for the day of need."""
    overlays = {name: overlay for name, overlay in document.get("env", {}).items() if name != chosen}
    lines = find_lines(text) if overlays else {}
    problems: list[tuple[str, Problem]] = []
    for name, overlay in overlays.items():
        for error in _structure_errors(overlay)[1]:
            if error.superfluous:
                place = f"{file}:{line_of(lines, ('env', name, *error.path))}"
                problems.append((place, Problem(("env", name, *error.path), error.says, error.fix)))
    if problems:
        raise one_error(problems)


def _check(layers: Layers, file: Path, environ: Mapping[str, str]) -> LoadedProject:
    root = file.resolve().parent
    servers = _up(layers)[0].servers
    own = read_servers(root, servers)
    start = ", or start the servers of [up]: tahona up" if servers else ""
    problems = layers.read_environment({**environ, **own}, start)
    unread = {problem.path for problem in problems}
    secrets = layers.secrets | {found for _, text in layers.texts() for found in credentials(text)}
    project, wrong = _structure_errors(layers.document, secrets, root=root, file=file)
    problems += [problem for problem in wrong if problem.path not in unread]
    problems += broken_rules(
        project, layers, but_not={str(problem.path[0]) for problem in problems if not problem.superfluous}
    )
    if problems:
        raise one_error(sorted(((layers.place(problem.path), problem) for problem in problems), key=_reading_order))
    return LoadedProject(project.with_places(layers.places), tuple(project_findings(project, layers)), own)


def _reading_order(located: tuple[str, Problem]) -> tuple[bool, int]:
    """Order by line; the command line comes after the file."""
    line = located[0].rpartition(":")[2]
    return not line.isdecimal(), int(line) if line.isdecimal() else 0


def _structure_errors(
    document: Mapping[str, Any], secrets: frozenset[str] = frozenset(), **set_by_loader: Path
) -> tuple[Project, list[Problem]]:
    """Return the project and what pydantic finds wrong; sections with a fault have their defaults in that project."""
    own = [Problem((key,), "is not a key of a project file", superfluous=True) for key in document if key in NOT_KEYS]
    plain = {key: _frozen(value) for key, value in document.items() if key not in NOT_KEYS}
    context = {"secrets": secrets}
    try:
        return Project.model_validate({**plain, **set_by_loader}, context=context), own
    except ValidationError as error:
        problems = from_pydantic(error.errors(include_url=False), plain)
    plain = _without(plain, [problem.path for problem in problems if problem.superfluous])
    broken = {str(problem.path[0]) for problem in problems if not problem.superfluous}
    stand_in = {"project": {"name": "unknown", "target": "unknown"}, "data": {"source": "unknown"}}
    sound = {key: value for key, value in plain.items() if key not in broken}
    missing = {key: value for key, value in stand_in.items() if key not in sound}
    return Project.model_validate({**sound, **missing, **set_by_loader}, context=context), own + problems


def _without(document: Mapping[str, Any], paths: Sequence[KeyPath]) -> dict[str, Any]:
    """Return the document without the keys at these paths."""
    gone = {path[0] for path in paths if len(path) == 1}
    deeper = {key: [path[1:] for path in paths if len(path) > 1 and path[0] == key] for key in document}
    return {
        key: _without(value, deeper[key]) if deeper[key] else value
        for key, value in document.items()
        if key not in gone
    }


def _frozen(value: Toml) -> Toml:
    """Return the value with tuples for lists, as the model wants them."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return {key: _frozen(item) for key, item in value.items()} if isinstance(value, dict) else value
