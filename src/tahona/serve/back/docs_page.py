"""The page of `/docs`: the OpenAPI document as HTML, made here; no script, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2430;background:#fff}
h1{margin-bottom:0}h2{margin:2rem 0 .5rem;font-size:1.1rem;text-transform:uppercase;letter-spacing:.05em;color:#566}
details{border:1px solid #d5dae1;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}summary{cursor:pointer}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f3f5f8;padding:.7rem;border-radius:6px;overflow:auto}
.m{display:inline-block;width:4.5rem;font-weight:700}.k{float:right;color:#566}table{border-collapse:collapse}
td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#14181f;color:#dde3ea}pre{background:#1d232d}
details{border-color:#333b47}h2,.k{color:#9ab}}
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: its own style and nothing else."""
_PLAIN = {"string": "…", "integer": 1, "number": 0.5, "boolean": True}


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the document as a page: every route with its key, its parameters, and examples."""
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation.get("tags", ["more"])[0], []).append(
                _operation(path, method, operation, document)
            )
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(parts)}" for name, parts in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}: API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])}</h1><p>{escape(info.get('summary', ''))} Tahona {escape(info['version'])}. "
        "Send a key as <code>Authorization: Bearer KEY</code> or <code>X-API-Key: KEY</code>. The same as a document "
        f'for programs: <a href="/openapi.json">/openapi.json</a>.</p>{body}</body></html>'
    )


def example_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:  # noqa: ANN401  (any JSON)
    """Return an example for a schema: its own, else one made of its parts' examples."""
    given = [schema[key] for key in ("example", "default", "const") if key in schema]
    given += [schema[key][0] for key in ("examples", "enum") if schema.get(key)]
    if given:
        return given[0]
    inner = next((schema[key][0] for key in ("anyOf", "oneOf", "allOf") if key in schema), None)
    if "$ref" in schema:
        inner = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if inner is not None:
        return example_of(inner, document)
    kind = schema.get("type", "")
    if kind == "array":
        return [example_of(schema.get("items", {}), document)]
    if kind == "object":
        return {name: example_of(part, document) for name, part in schema.get("properties", {}).items()}
    return _PLAIN.get(kind)


def _operation(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    scopes = {scope for way in operation.get("security", []) for scopes in way.values() for scope in scopes}
    key = f"key: {', '.join(sorted(scopes))}" if scopes else "no key"
    title = f"<code>{escape(path)}</code> {escape(operation.get('summary', ''))}"
    parts = [
        f"<summary><span class=m>{method.upper()}</span> {title} <span class=k>{escape(key)}</span></summary>",
        f"<p>{escape(operation.get('description', ''))}</p>",
        _parameters(operation),
        _content("Send", operation.get("requestBody", {}).get("content", {}), document),
    ]
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            parts.append(_content(f"{status}: get", response.get("content", {}), document))
    return f"<details>{''.join(parts)}</details>"


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", [])
    )
    return f"<table>{rows}</table>" if rows else ""


def _content(title: str, content: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    parts = []
    for kind, media in content.items():
        given = [each["value"] for each in media.get("examples", {}).values()]
        example = (given or [media.get("example") or example_of(media.get("schema", {}), document)])[0]
        text = example if isinstance(example, str) else json.dumps(example, indent=1, ensure_ascii=False)
        parts.append(f"<p>{escape(title)} <code>{escape(kind)}</code></p><pre>{escape(text or '')}</pre>")
    return "".join(parts)
