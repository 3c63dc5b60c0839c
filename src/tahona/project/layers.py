"""A project file, its overlay and the command line's overrides, laid over one another; each key remembers its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tahona.core.spelling import did_you_mean
from tahona.errors import ProjectError
from tahona.project.locate import KeyPath, Toml, find_lines
from tahona.project.problems import Problem, dotted, quoted, sentence

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[^}]*)(?P<end>\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Of each group only one key may stand; a later layer that sets one means it instead of the others.
_ALTERNATIVES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("decision", ("threshold", "maximize", "cost")),
    ("data", ("table", "query")),
)


@dataclass
class Layers:
    """The document as it stands after the layers laid so far, and where each key came from."""

    document: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    from_command: set[KeyPath] = field(default_factory=set)
    """Keys that a ``--set`` gave."""
    from_environment: dict[KeyPath, tuple[str, ...]] = field(default_factory=dict)
    """Keys whose text holds values of the environment → those values."""

    def place(self, path: KeyPath) -> str:
        """Return ``file:line`` (or ``--set key``) of the path, or of the nearest table around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return ""

    def texts(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield every text of the document with its path."""
        yield from _texts(self.document, ())

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(value for values in self.from_environment.values() for value in values if value)

    def lay(self, over: Mapping[str, Any], origin: Mapping[KeyPath, str]) -> None:
        """Lay a document over this one: tables merge, everything else is replaced. ``origin[()]`` must be there."""
        for section, group in _ALTERNATIVES:
            self._set_aside(over, section, group)
        table = over.get("split")
        if isinstance(table, Mapping) and table.get("kind") == "random":
            self._remove(("split", "by"))
        self.places.setdefault((), origin[()])
        self._merge(self.document, over, origin, (), origin[()])

    def _set_aside(self, over: Mapping[str, Any], section: str, group: Sequence[str]) -> None:
        table = over.get(section)
        if isinstance(table, Mapping) and any(key in table for key in group):
            for key in group:
                if key not in table:
                    self._remove((section, key))

    def _remove(self, path: tuple[str, str]) -> None:
        table = self.document.get(path[0])
        if isinstance(table, dict) and path[1] in table:
            self._forget(path, table.pop(path[1]))

    def _merge(
        self, under: dict[str, Any], over: Mapping[str, Any], origin: Mapping[KeyPath, str], path: KeyPath, around: str
    ) -> None:
        for key, value in over.items():
            here = (*path, key)
            place = origin.get(here, around)
            whole = here[:2] == ("train", "search") and len(here) == 4  # half of one range and half of another is none
            if isinstance(value, dict) and isinstance(under.get(key), dict) and not whole:
                self._merge(under[key], value, origin, here, place)
                continue
            if key in under:
                self._forget(here, under[key])
            under[key] = self._adopt(value, here, origin, place)

    def _adopt(self, value: Toml, path: KeyPath, origin: Mapping[KeyPath, str], around: str) -> Toml:
        """Note the places of a new value and everything in it; return a copy of it."""
        place = self.places[path] = origin.get(path, around)
        if isinstance(value, dict):
            return {key: self._adopt(item, (*path, key), origin, place) for key, item in value.items()}
        if isinstance(value, list):
            return [self._adopt(item, (*path, number), origin, place) for number, item in enumerate(value)]
        return value

    def _forget(self, path: KeyPath, value: Toml) -> None:
        self.places.pop(path, None)
        for key, item in _items(value):
            self._forget((*path, key), item)

    def read_environment(self, environ: Mapping[str, str], otherwise: str = "") -> list[Problem]:
        """Replace every ``${NAME}`` in a text by the environment's value; ``$${`` stands for ``${``.

        ``otherwise`` is what may be done besides setting a variable that is missing.
        """
        problems: list[Problem] = []
        for path, text in list(self.texts()):
            if "${" not in text:
                continue
            values: list[str] = []
            new = _fill_in(text, path, environ, values, problems, otherwise)
            if values:
                self.from_environment[path] = tuple(values)
            _put(self.document, path, new)
        return problems

    def starts_in_environment(self, path: KeyPath) -> bool:
        """Tell whether the text at this path begins with a value of the environment."""
        values = self.from_environment.get(path, ())
        here: Any = self.document
        for key in path:
            here = here[key]
        return bool(values and values[0]) and str(here).startswith(values[0])


def _fill_in(
    text: str, path: KeyPath, environ: Mapping[str, str], values: list[str], problems: list[Problem], otherwise: str
) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "${"
        if not match["end"] or not _NAME.fullmatch(name):
            problems.append(
                Problem(
                    path,
                    "has a `${` that no variable's name and `}` follow",
                    "write `${NAME}`, or `$${` for a plain `${`",
                )
            )
            return ""
        if name not in environ:
            problems.append(
                Problem(
                    path,
                    f"reads the environment variable {name[:60]}, which is not set",
                    f"set {name[:60]} first{otherwise}",
                )
            )
            return ""
        values.append(environ[name])
        return environ[name]

    return _REFERENCE.sub(replacement, text)


def _items(value: Toml) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _texts(value: Toml, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    for key, item in _items(value):
        yield from _texts(item, (*path, key))


def _put(document: dict[str, Any], path: KeyPath, value: str) -> None:
    here: Any = document
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value


def stack(document: Mapping[str, Any], text: str, file: str, env: str | None, overrides: Sequence[str]) -> Layers:
    """Lay the file, the chosen ``[env.NAME]`` and every ``--set`` over one another, in this order.

    Raise ProjectError for an unknown ``env`` and for an override that is not ``key=value``.
    """
    lines = find_lines(text)
    base = {key: value for key, value in document.items() if key != "env"}
    places = {path: f"{file}:{line}" for path, line in lines.items()}
    top = f"{file}:1"
    layers = Layers()
    layers.lay(base, {(): top, **places})
    overlays = document.get("env", {})
    if not isinstance(overlays, Mapping) or not all(isinstance(overlay, Mapping) for overlay in overlays.values()):
        raise ProjectError(
            "env: must hold one table per environment", where=places.get(("env",), top), fix="Write [env.NAME.section]."
        )
    if env is not None:
        layers.lay(*_overlay(overlays, env, places, file))
    for override in overrides:
        path, value = read_override(override)
        over: Any = value
        for key in reversed(path):
            over = {key: over}
        place = f"--set {dotted(path)}"
        layers.lay(over, {(): place})
        layers.from_command.add(path)
    return layers


def _overlay(
    overlays: Mapping[str, Any], env: str, places: Mapping[KeyPath, str], file: str
) -> tuple[Mapping[str, Any], dict[KeyPath, str]]:
    if env not in overlays:
        listed = ", ".join(quoted(name) for name in overlays) or "none"
        raise ProjectError(
            f"there is no environment {quoted(env)}; the file has: {listed}",
            where=places.get(("env",), f"{file}:1"),
            fix=sentence(did_you_mean(env, overlays) or "write [env.NAME.section] tables, or leave --env out"),
        )
    top = places.get(("env", env), f"{file}:1")
    inside = {path[2:]: place for path, place in places.items() if path[:2] == ("env", env)}
    return overlays[env], {(): top, **inside}


def read_override(override: str) -> tuple[tuple[str, ...], Any]:
    """Read ``a.b=VALUE``: VALUE as TOML where it is TOML, else as text. Raise ProjectError when it has no key."""
    for match in re.finditer("=", override):
        key, text = override[: match.start()].strip(), override[match.end() :].strip()
        path = _override_key(key)
        if path:
            return path, _override_value(text)
    raise ProjectError("an override must be key=value", where="--set", fix="Write --set train.trials=5.")


def _override_key(key: str) -> tuple[str, ...]:
    try:
        here: Any = tomllib.loads(f"{key} = 0") if key and "\n" not in key else {}
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    path: list[str] = []
    while isinstance(here, dict):
        if len(here) != 1:
            return ()
        (name,) = here
        path.append(name)
        here = here[name]
    return tuple(path)


def _override_value(text: str) -> Toml:
    if re.fullmatch(r"[+-]?\.\d+", text):  # .5 is a number to everyone but TOML
        text = text.replace(".", "0.")
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = read["value"]
    plain = set(read) == {"value"} and isinstance(value, str | int | float | dict | list)
    return value if plain else text
