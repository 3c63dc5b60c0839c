"""The description of every key of the project file: for editors (JSON Schema) and for people (Markdown)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from tahona.core.families import FAMILY_NAMES
from tahona.project import model
from tahona.project.meanings import meanings
from tahona.project.model import Project
from tahona.project.problems import NOT_KEYS

_ENV = "Tables laid over the others by `--env NAME`: `[env.prod.stores]` lies over `[stores]`."
_NAMED = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": ""}


@dataclass(frozen=True, slots=True)
class KeyReference:
    """One key of the project file, in words."""

    name: str
    """Dotted, from the top of the file."""
    type: str
    default: str
    """As TOML; `required` where there is none, empty where absence is the default."""
    description: str


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `tahona.toml`."""
    from tahona.core.metrics import METRICS

    schema = Project.model_json_schema()
    for title, part in (("Project", schema), *schema["$defs"].items()):
        _describe(part, getattr(model, title))
    for name in NOT_KEYS:
        del schema["properties"][name]
    sections = list(schema["properties"])
    overlay = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"type": "object"} for name in sections},
    }
    schema["properties"]["env"] = {
        "type": "object",
        "description": _ENV,
        "additionalProperties": overlay,
        "default": {},
    }
    train = schema["$defs"]["TrainPart"]["properties"]
    train["models"]["items"]["enum"] = list(FAMILY_NAMES)
    train["metric"]["enum"] = list(METRICS)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "tahona.toml"}


def _describe(part: dict[str, Any], table: type[BaseModel]) -> None:
    """Write into the table's schema what its keys mean."""
    for name, text in meanings(table).items():
        part["properties"][name]["description"] = text


def all_keys() -> tuple[KeyReference, ...]:
    """Return every key of every table, in the order of the model; a search range's keys too."""
    schema = json_schema()
    keys = _keys(schema, schema["$defs"], "")
    return tuple({key.name: key for key in keys}.values())  # both kinds of range have `log`


def reference_markdown() -> str:
    """Return the reference page's body: one table of keys per table of the file."""
    keys = all_keys()
    lines: list[str] = []
    for section in keys:
        if "." in section.name:
            continue
        lines += [f"## `[{section.name}]`", "", section.description, ""]
        own = [key for key in keys if key.name.startswith(f"{section.name}.")]
        if own:
            lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
            lines += [
                f"| `{key.name}` | {_cell(key.type)} | {_code(key.default)} | {_cell(key.description)} |" for key in own
            ]
            lines.append("")
    return "\n".join(lines)


def _keys(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[KeyReference]:
    for name, entry in schema["properties"].items():
        dotted = f"{prefix}{name}"
        part = _part(entry, definitions)
        default = "" if part else "required" if name in schema.get("required", ()) else _toml(entry.get("default"))
        text = entry.get("description") or (part or {}).get("description", "")
        yield KeyReference(dotted, _type(entry, definitions), default, " ".join(text.split()))
        if part:
            yield from _keys(part, definitions, f"{dotted}.")
        if dotted == "train.search":
            for kind in ("IntRange", "FloatRange"):
                yield from _keys(definitions[kind], definitions, f"{dotted}.FAMILY.PARAMETER.")


def _part(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the definition of a table with keys of its own."""
    reference = entry.get("$ref", "").rpartition("/")[2]
    part = definitions.get(reference)
    return part if part and "properties" in part else None


def _type(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say in words what may stand there."""
    if "$ref" in entry:
        entry = definitions[entry["$ref"].rpartition("/")[2]]
    if "enum" in entry:
        return ", ".join(f"`{_toml(value)}`" for value in entry["enum"])
    members = entry.get("anyOf") or entry.get("oneOf")
    if members:
        words = [_type(member, definitions) for member in members]
        return " or ".join(dict.fromkeys(word for word in words if word))
    if entry.get("type") in ("array", "object"):
        return _container(entry, definitions)
    kind = str(entry.get("type", ""))
    return _NAMED.get(kind, kind) + _limits(entry)


def _container(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if entry["type"] == "array":
        return "[low, high]" if "prefixItems" in entry else f"list of {_type(entry['items'], definitions)}"
    inner = entry.get("additionalProperties")
    if isinstance(inner, dict) and "properties" not in inner:
        return f"table of {_type(inner, definitions)}"
    if prefix := next((name for name in ("int", "float") if name in entry.get("properties", {})), ""):
        return f"{{ {prefix} = [low, high], … }}"
    return "table"


def _limits(entry: Mapping[str, Any]) -> str:
    signs = (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
    words = [f"{sign} {entry[name]:,}" for name, sign in signs if name in entry]
    return f" ({', '.join(words)})" if words else ""


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and not value:
        return "{}"
    return json.dumps(value, ensure_ascii=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return text if text in ("", "required") else f"`{_cell(text)}`"
