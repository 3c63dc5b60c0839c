"""One request on its way through a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any

from tahona.serve.access import Route
from tahona.serve.problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
NOWHERE = Route("-", "-", "admin")
CLOSE = (b"connection", b"close")
WHOLE = "tahona.whole"
"""The extension of a scope that sends a whole answer at once: see `tahona.serve.front.protocol`."""
GONE = 499
"""Status in the log of a client that did not wait for its answer."""


class RefusedError(Exception):
    """The request gets a problem document instead of what it asked for."""

    def __init__(self, problem: Problem, headers: Headers = ()) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = headers


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Visit:
    """What is known of a request, for the log and the meters too."""

    route = NOWHERE
    key = ""
    """Id of the key that was sent."""
    status = 0
    """Of the answer, once it has begun."""
    rows = 0
    version = 0
    seconds = 0.0
    """How long it took, once it is over."""
    extra: Headers = ()
    """Headers that the answer has besides its own."""

    def __init__(self, scope: Scope, name: str, receive: Receive, send: Send) -> None:
        self.begun = perf_counter()
        self.scope = scope
        self.id = name
        self.receive = receive
        self.send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])

    async def body(self, limit: int) -> bytes:
        """Return the request's body. Raise RefusedError once it is longer than the limit, whatever its header says."""
        message = await self.receive()
        if message["type"] == "http.request" and not message["more_body"] and len(message["body"]) <= limit:
            whole: bytes = message["body"]
            return whole
        self.check_length(limit)
        pieces = bytearray()
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            pieces += message["body"]
            if len(pieces) > limit:
                raise too_long(limit)
            if not message["more_body"]:
                return bytes(pieces)
            message = await self.receive()

    def check_length(self, limit: int) -> None:
        """Refuse a body that says itself that it is too long, before it is read."""
        said = self.headers.get(b"content-length", b"")
        if len(said) > 19 or (said.isdigit() and int(said) > limit):
            raise too_long(limit)

    def head(self, status: int, kind: bytes, body: bytes, headers: Headers = ()) -> Headers:
        """Note the status and return the answer's headers."""
        self.status = status
        return [
            (b"content-type", kind),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.id.encode()),
            *self.extra,
            *headers,
        ]

    async def answer(self, status: int, kind: bytes, body: bytes, headers: Headers = ()) -> None:
        """Send a whole answer."""
        start = self.head(status, kind, body, headers)
        whole = self.scope.get("extensions", {}).get(WHOLE)
        if whole is not None:
            await whole(self.scope, status, start, body)
            return
        await self.send({"type": "http.response.start", "status": status, "headers": start})
        await self.send({"type": "http.response.body", "body": body})


def too_long(limit: int) -> RefusedError:
    """Return the refusal of a body with more bytes than are taken."""
    return RefusedError(
        Problem(413, f"the request has more than {limit:,} bytes", fix="send less at a time", more={"limit": limit})
    )
