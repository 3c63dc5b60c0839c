"""Bounds that uvicorn's HTTP protocol does not have: how long headers may be, and how long they may take."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tahona.serve.problems import Problem

HEADERS = 32 << 10
"""Bytes of a request line and its headers."""
PATIENCE = 15.0
"""Seconds for a connection to send its request's headers, and for a body to send its next bytes."""
LINGER = 5.0
"""Seconds in which a body is read that was answered before its end, so that the client sees the answer."""
CONNECTIONS = 4096
"""Connections that one worker holds."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _size = 1
    """Bytes since the last whole request; a new connection owes one."""
    _last = 0.0
    """When something came last, by the loop's clock."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._last = self.loop.time()
        if len(self.connections) > CONNECTIONS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        self._last = self.loop.time()
        super().data_received(data)
        if self._size > HEADERS or len(data) > HEADERS:
            self._check_headers()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._size = 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._size:
            self.loop.call_later(LINGER, self._end_unless_whole)

    def is_stuck(self, now: float) -> bool:
        """Tell whether a request has begun (or none ever did) and no more of it has come for long."""
        return bool(self._size) and now - self._last > PATIENCE

    def _check_headers(self) -> None:
        """Refuse headers that are too long: those that have come to their end, and those that have not."""
        headers = self.headers or ()
        size = len(getattr(self, "url", b"")) + sum(len(name) + len(value) for name, value in headers)
        begun = self.cycle is not None and self.cycle.scope is self.scope
        if (size > HEADERS or (self._size > HEADERS and not begun)) and not self.transport.is_closing():
            problem = Problem(431, f"the headers have more than {HEADERS:,} bytes")
            body = problem.body()
            lines = {**problem.headers(), "content-length": str(len(body)), "connection": "close"}
            text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            self.transport.write(STATUS_LINE[431] + text.encode() + b"\r\n" + body)
            self.transport.close()

    def _end_unless_whole(self) -> None:
        if self._size and not self.transport.is_closing():
            self.transport.close()


def end_stuck(connections: set[Any], now: float) -> None:
    """Close the connections that hold a place and send nothing."""
    for connection in list(connections):
        if connection.is_stuck(now) and not connection.transport.is_closing():
            connection.transport.close()
