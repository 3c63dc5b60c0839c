"""The OpenAPI document: FastAPI's, with the keys that a route asks for and the problems that every route may give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tahona.serve.access import methods_at
from tahona.serve.problems import MEDIA_TYPE

_REFUSALS = {
    400: "The request cannot be read.",
    401: "A key is needed.",
    403: "The key may not do this, or the page that asks may not.",
    404: "There is no such thing.",
    409: "It is refused as things stand.",
    413: "It is more than the server takes.",
    415: "Not as this media type.",
    421: "The request names another host than this server's.",
    422: "What the request holds cannot be used.",
    429: "Too many requests.",
    500: "A fault of the server.",
    503: "Something that this needs is away, or the server is busy.",
}
_REFERENCE = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _REFERENCE} for status, text in _REFUSALS.items()
}
"""What every route may answer besides, for FastAPI's ``responses``."""

_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Why there is no answer (RFC 9457). The server's log has more under the same id.",
    "required": ["title", "status", "detail", "id"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "where": {"type": "string", "description": "Where in the request."},
        "fix": {"type": "string", "description": "What to do about it."},
        "id": {"type": "string"},
    },
    "example": {
        "title": "Not Found",
        "status": 404,
        "detail": "there is no version 7",
        "where": "version",
        "fix": "GET /models lists them",
        "id": "9f2c61d07b3e4a58",
    },
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key from `tahona keys create`."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in a header."},
}


def form_body(required: Sequence[str], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a request whose body is a form with these parts and no other, for FastAPI's ``openapi_extra``."""
    schema = {"type": "object", "required": list(required), "properties": parts, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def rows_body(forms: Sequence[Mapping[str, Any]], examples: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a request whose body is rows, as JSON in one of these forms or as CSV."""
    table = {"schema": {"type": "string"}, "examples": {"table": {"value": "lead_time,hotel\n40,City Hotel\n"}}}
    rows = {
        "schema": {"oneOf": list(forms)},
        "examples": {name: {"value": example} for name, example in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": rows, "text/csv": table}}}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the app, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas["Problem"] = _PROBLEM
        components["securitySchemes"] = _KEYS
        for path, operations in made["paths"].items():
            for method, operation in operations.items():
                scope = methods_at(path.replace("{", "").replace("}", ""))[method.upper()].scope
                operation["security"] = [{name: [scope]} for name in _KEYS] if scope else []
        app.openapi_schema = made
    return app.openapi_schema
