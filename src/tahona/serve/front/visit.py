"""One request on its way through a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from tahona.serve.access import Route
from tahona.serve.problems import Problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
NOWHERE = Route("-", "-", "admin")
GONE = 499
"""Status in the log of a client that did not wait for its answer."""


class RefusedError(Exception):
    """The request gets a problem document instead of what it asked for."""

    def __init__(self, problem: Problem, headers: Headers | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = headers or []


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class Visit:
    """What is known of a request, for the log and the meters too."""

    scope: Scope
    id: str
    receive: Receive
    send: Send
    headers: dict[bytes, bytes]
    route: Route = NOWHERE
    key: str = ""
    status: int = 0
    rows: int = 0
    version: int = 0
    extra: Headers = field(default_factory=list)
    """Headers that the answer has besides its own."""
    begun: float = field(default_factory=perf_counter)

    async def body(self, limit: int) -> bytes:
        """Return the request's body. Raise RefusedError once it is longer than the limit, whatever its header says."""
        self.check_length(limit)
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body: bytes = message["body"]
        if message["more_body"]:
            pieces = bytearray(body)
            while message["more_body"]:
                if len(pieces) > limit:
                    raise too_long(limit)
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                pieces += message["body"]
            body = bytes(pieces)
        if len(body) > limit:
            raise too_long(limit)
        return body

    def check_length(self, limit: int) -> None:
        """Refuse a body that says itself that it is too long, before it is sent."""
        said = self.headers.get(b"content-length", b"")
        if len(said) > 19 or (said.isdigit() and int(said) > limit):
            raise too_long(limit)

    async def answer(self, status: int, kind: bytes, body: bytes, headers: Headers | None = None) -> None:
        """Send a whole answer."""
        self.status = status
        start: Headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", self.id.encode()),
            *self.extra,
        ]
        if headers:
            start += headers
        await self.send({"type": "http.response.start", "status": status, "headers": start})
        await self.send({"type": "http.response.body", "body": body})


def too_long(limit: int) -> RefusedError:
    """Return the refusal of a body with more bytes than are taken."""
    return RefusedError(
        Problem(413, f"the request has more than {limit:,} bytes", fix="send less at a time", more={"limit": limit})
    )
