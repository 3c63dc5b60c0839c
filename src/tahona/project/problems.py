"""One thing that is wrong with a project file, in our words, and how several become one error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tahona.core.spelling import did_you_mean
from tahona.errors import ProjectError
from tahona.project.locate import KeyPath
from tahona.project.model import CpuBudget, IntRange, Project

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MOST_SHOWN = 20
LONGEST_KEY = 60
NOT_KEYS = frozenset({"root", "file"})
"""Fields of `Project` that the loader fills."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TAGS = frozenset({"(int)", "(float)", "(choice)", "[key]"})
_RANGE = "must be a list of values, {{ int = [low, high] }} or {{ float = [low, high] }}"

_SENTENCES: Mapping[str, str] = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list in brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} character(s)",
    "union_tag_not_found": _RANGE,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one key. Neither sentence ever holds a value of the file."""

    path: KeyPath
    says: str
    fix: str = ""
    superfluous: bool = False
    """A key that should not be there: the rest of its table can be judged without it."""

    def __str__(self) -> str:
        key = dotted(self.path)
        hint = f"; {self.fix}" if self.fix else ""
        return f"{key}: {self.says}{hint}" if key else f"{self.says}{hint}"


def dotted(path: KeyPath) -> str:
    """Write a path as in a TOML file: ``train.models[1]``, keys quoted and shortened where needed."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (
                key if _PLAIN_KEY.fullmatch(key) and len(key) <= LONGEST_KEY else quoted(key)
            )
    return text


def quoted(key: str) -> str:
    """Return a name in quotes, shortened, with control characters escaped."""
    return repr(key if len(key) <= LONGEST_KEY else key[:LONGEST_KEY] + "…")


def one_error(problems: Sequence[tuple[str, Problem]]) -> ProjectError:
    """Make one error of problems, each with its place; the first place is the error's."""
    if len(problems) == 1:
        place, problem = problems[0]
        says = str(Problem(problem.path, problem.says))
        return ProjectError(says, where=place, fix=sentence(problem.fix))
    lines = [f"{place}: {problem}" for place, problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        lines.append(f"… and {len(problems) - MOST_SHOWN} more")
    what = f"{len(problems)} things are wrong\n  " + "\n  ".join(lines)
    return ProjectError(what, where=problems[0][0], fix="Mend each of these keys; `tahona schema` describes them all.")


def sentence(text: str) -> str:
    """Return the hint with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".?!" else ".")


def from_pydantic(errors: Iterable[ErrorDetails], document: Mapping[str, Any]) -> list[Problem]:
    """Turn pydantic's errors into problems, one per key: a union's members speak with one voice."""
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for error in errors:
        by_path.setdefault(_real_path(error, document), []).append(error)
    first = dict(list(by_path.items())[:MOST_SHOWN])  # guessing names takes time, and nobody reads further
    unexplained = [Problem(path, "is wrong") for path in by_path if path not in first]
    return [*(_explain(path, group) for path, group in first.items()), *unexplained]


def _real_path(error: ErrorDetails, document: Mapping[str, Any]) -> KeyPath:
    """Leave out what pydantic adds to a path: tags and the names of a union's members."""
    path: list[str | int] = []
    here: Any = document
    for key in error["loc"]:
        if isinstance(here, Mapping) and key in here:
            here = here[str(key)]
        elif isinstance(here, list | tuple) and isinstance(key, int) and key < len(here):
            here = here[key]
        elif error["type"] == "missing" and key == error["loc"][-1]:
            pass
        else:
            continue
        path.append(key)
    return tuple(path)


def _explain(path: KeyPath, group: Sequence[ErrorDetails]) -> Problem:
    error = group[0]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "literal_error":
        return _unknown_choice(path, error)
    if len({entry["type"] for entry in group}) > 1:  # a union of plain types: each member complains
        return Problem(path, "must be text, a number, or true or false")
    if kind in _SENTENCES:
        return Problem(path, _SENTENCES[kind].format(**context))
    says = {"missing": "is required", "string_pattern_mismatch": "is not of the right form"}.get(
        kind, "has a wrong value"
    )
    return Problem(path, _count_sentence(kind, path, context) or says, description(path))


def _count_sentence(kind: str, path: KeyPath, context: Mapping[str, Any]) -> str:
    """Say that something has too few or too many letters or items."""
    if path[:2] == ("train", "search") and path[-1] in ("int", "float") and kind.startswith("too_"):
        return "must be [low, high]"
    least = context.get("min_length")
    if kind == "string_too_short":
        return "must not be empty" if least == 1 else f"must have at least {least} characters"
    if kind == "too_short":
        return f"must have at least {least} item(s)"
    if kind == "too_long":
        return f"has {context['actual_length']} items; the limit is {context['max_length']}"
    return ""


def _unknown_choice(path: KeyPath, error: ErrorDetails) -> Problem:
    known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    listed = ", ".join(repr(name) for name in known)
    if error["loc"][-1] == "[key]":
        return Problem(path, "is not a known key", _either(did_you_mean(path[-1], known), f"known keys: {listed}"))
    return Problem(path, f"must be one of {listed}", did_you_mean(error["input"], known))


def _unknown_key(path: KeyPath) -> Problem:
    table, key = path[:-1], str(path[-1])
    name = f"[{dotted(table)}]" if table else "a project file"
    known = known_keys(table)
    guess = did_you_mean(key, known)
    if not guess:
        homes = [section for section in known_keys(()) if key in known_keys((section,))]
        guess = f"did you mean {' or '.join(f'{home}.{key}' for home in homes)}?" if homes else ""
    secret = re.search(r"passw|secret|token|credential|api_?key", key, re.IGNORECASE)
    advice = "a secret is written into an address as ${NAME} and read from the environment" if secret else ""
    return Problem(
        path, f"is not a key of {name}", _either(guess, advice, f"known keys: {', '.join(known)}"), superfluous=True
    )


def _either(*hints: str) -> str:
    return next((hint for hint in hints if hint), "")


def known_keys(path: KeyPath) -> tuple[str, ...]:
    """Return the keys that the table at this path may have; none where any key may stand."""
    model = _model_at(path)
    if model is None:
        return ()
    keys = tuple(name for name in model.model_fields if name not in NOT_KEYS)
    return (*keys, "env") if model is Project else keys


def description(path: KeyPath) -> str:
    """Return the first sentence of a key's description."""
    from tahona.project.meanings import meanings

    model = _model_at(path[:-1])
    text = meanings(model).get(str(path[-1]), "") if model and path else ""
    return text.partition("\n")[0].rstrip(".")


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    if path[:2] == ("train", "search") and len(path) == 4:
        return IntRange  # its keys are those of a FloatRange and `step`
    if path == ("train", "budget"):
        return CpuBudget
    model: type[BaseModel] | None = Project
    for key in path:
        field = model.model_fields.get(str(key)) if model else None
        kind = field.annotation if field else None
        model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return model
