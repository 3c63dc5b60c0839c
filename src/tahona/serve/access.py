"""Who may do what: every route, and the scope that a key needs for it.

A route that is not in the table does not exist. The workers ask here before anything else happens; a test compares the
table with the OpenAPI document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["predict", "read", "train", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""predict: ask the model, and tell the truth later. read: look at everything. train: bring data, start and end jobs.
admin: choose the champion. None implies another."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path; ``{…}`` stands for one segment."""

    method: str
    path: str
    scope: Scope | None
    """None: nobody needs a key."""


ROUTES = (
    Route("GET", "/health", None),
    Route("GET", "/ready", None),
    Route("GET", "/", "read"),
    Route("GET", "/docs", "read"),
    Route("GET", "/openapi.json", "read"),
    Route("GET", "/metrics", "read"),
    Route("GET", "/project-info", "read"),
    Route("GET", "/project/report", "read"),
    Route("GET", "/datasets", "read"),
    Route("GET", "/models", "read"),
    Route("GET", "/leaderboard", "read"),
    Route("POST", "/predict", "predict"),
    Route("POST", "/invocations", "predict"),
    Route("POST", "/validate", "predict"),
    Route("POST", "/feedback", "predict"),
    Route("POST", "/upload", "train"),
    Route("POST", "/train", "train"),
    Route("GET", "/jobs", "train"),
    Route("GET", "/jobs/{id}", "train"),
    Route("GET", "/jobs/{id}/events", "train"),
    Route("DELETE", "/jobs/{id}", "train"),
    Route("POST", "/models/{name}/promote", "admin"),
    Route("POST", "/models/{name}/rollback", "admin"),
)

_FIXED = {route.path: {other.method: other for other in ROUTES if other.path == route.path} for route in ROUTES}
_PATTERNS = tuple(
    (re.compile(re.sub(r"\{\w+\}", r"[A-Za-z0-9_-]{1,80}", path)), methods)
    for path, methods in _FIXED.items()
    if "{" in path
)


def methods_at(path: str) -> dict[str, Route]:
    """Return the routes at this path by method, none where there is nothing. What is percent-encoded fits no path."""
    fixed = _FIXED.get(path)
    if fixed is not None and "{" not in path:
        return fixed
    return next((methods for pattern, methods in _PATTERNS if pattern.fullmatch(path)), {})
