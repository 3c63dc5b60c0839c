"""Whether a request may pass: what it asks for, whom it was meant for, who sends it, and how often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import monotonic

from tahona.serve.access import ROUTES, Route, methods_at
from tahona.serve.front.settings import Settings
from tahona.serve.front.visit import Headers, RefusedError, Visit
from tahona.serve.keys import Key, find_key
from tahona.serve.problems import Problem

MOST_NAMES = 100
"""Names of this server that are known again at once; the others are looked at each time."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(rb"[A-Za-z0-9.\-_]{1,255}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")
_FIXED = {(route.path.encode(), route.method): route for route in ROUTES if "{" not in route.path}
_PREFLIGHT_SECONDS = b"600"


class Gate:
    """Knows the keys, and how many requests each has left this second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hosts = frozenset(host.encode() for host in settings.hosts)
        self._origins = frozenset(origin.encode() for origin in settings.origins)
        self._called: set[tuple[bytes, object]] = set()
        """Values of the header Host that passed, each with the address at which it came in."""
        self._left: dict[str, tuple[float, float]] = {}
        self.keys: Mapping[str, Key] | None = None
        """None where there is no file of keys."""

    def check(self, visit: Visit) -> None:
        """Note the route and the key. Raise RefusedError for a request that may not pass."""
        scope = visit.scope
        headers = visit.headers
        origin = headers.get(b"origin")
        if origin is not None and origin in self._origins:
            visit.extra = [*visit.extra, (b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        route = visit.route = _FIXED.get((scope["raw_path"], scope["method"])) or _find(visit)
        if route.scope is None:
            return
        host = headers.get(b"host", b"")
        called = host, scope["server"]
        known = host in self._hosts or called in self._called
        if not known or len(headers) != len(scope["headers"]):
            self._check_host(visit, host)
            if len(self._called) < MOST_NAMES:
                self._called.add(called)
        if origin is not None and route.method not in SAFE and origin not in self._origins:
            _check_origin(origin, host)
        if self.keys is not None or not self._settings.loopback:
            self._check_key(visit, route)
        if self._settings.rate is not None:
            self._check_rate(visit.key, self._settings.rate)

    def _check_host(self, visit: Visit, host: bytes) -> None:
        """Let pass what names this server: a page elsewhere may have a name that leads here (DNS rebinding)."""
        if sum(name == b"host" for name, _ in visit.scope["headers"]) != 1 or not _HOST.fullmatch(host):
            raise RefusedError(Problem(400, "the request needs one header Host"))
        name = host.lower()
        address, port = visit.scope["server"]
        here = f"[{address}]" if ":" in address else address
        bare = name if name.endswith(b"]") else re.sub(rb":\d+$", b"", name)
        if not {name, bare} & self._hosts and name != f"{here}:{port}".encode() and bare != here.encode():
            raise RefusedError(
                Problem(
                    421,
                    "this server does not go by the name in the header Host",
                    fix="add the name to [serve] hosts, or call the server by its address",
                )
            )

    def _check_key(self, visit: Visit, route: Route) -> None:
        text = visit.headers.get(b"x-api-key", b"")
        if not text:
            kind, _, text = visit.headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer":
                text = b""
        key = find_key(self.keys or {}, text) if text else None
        if key is None:
            raise RefusedError(
                Problem(
                    401,
                    "this needs a key" if not text else "the key is not known here",
                    fix="send Authorization: Bearer KEY; tahona keys create makes one",
                )
            )
        visit.key = key.id
        if route.scope not in key.scopes:
            raise RefusedError(
                Problem(403, f"the key has no scope '{route.scope}'", fix=f"use a key with the scope {route.scope}")
            )

    def _check_rate(self, key: str, rate: int) -> None:
        now = monotonic()
        left, before = self._left.get(key, (float(rate), now))
        left = min(float(rate), left + (now - before) * rate)
        if left < 1.0:
            self._left[key] = (left, now)
            raise RefusedError(
                Problem(429, f"the key made more than {rate} requests in a second", retry_after=1, more={"limit": rate})
            )
        self._left[key] = (left - 1.0, now)


def _find(visit: Visit) -> Route:
    """Return the route. Raise RefusedError where none is, or none for the method."""
    method: str = visit.scope["method"]
    methods = methods_at(visit.scope["raw_path"].decode("ascii", "replace"))
    if not methods:
        raise RefusedError(Problem(404, "there is nothing at this path", fix="GET /docs lists all routes"))
    if method not in methods:
        visit.route = Route(method if method in SAFE else "-", next(iter(methods.values())).path, "admin")
        raise _not_so(visit, methods)
    return methods[method]


def _check_origin(origin: bytes, host: bytes) -> None:
    """Let a page pass that came from this server itself."""
    if origin.partition(b"://")[2].lower() != host.lower():
        raise RefusedError(
            Problem(403, "pages of this origin may not call this server", fix="add the origin to [serve] origins")
        )


def _not_so(visit: Visit, methods: Mapping[str, Route]) -> RefusedError:
    """Return what a method gets that this path does not have; a preflight of a named origin is no error."""
    allowed = ", ".join(sorted(methods)).encode()
    named = any(name == b"access-control-allow-origin" for name, _ in visit.extra)
    if visit.scope["method"] == "OPTIONS" and named and b"access-control-request-method" in visit.headers:
        headers: Headers = [
            (b"access-control-allow-methods", allowed),
            (b"access-control-allow-headers", b"authorization, content-type, x-api-key"),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
        return RefusedError(Problem(204, ""), headers)
    return RefusedError(Problem(405, f"this path takes {allowed.decode()}"), [(b"allow", allowed)])
