"""What uvicorn's HTTP protocol does not have: answers in one piece, bounds for headers and for how long they may take.

An application finds `WHOLE` among the extensions of its scope: a function that sends head and body together. Two
messages would be two calls to the system and two packets, a fourth of what a request costs.

An application with a function `together` gets requests for predictions that came whole in one piece, as `Whole`; it
answers them, or begins them after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tahona.serve.front.visit import CLOSE, WHOLE, Headers, Scope
from tahona.serve.problems import Problem

PREDICT = b"/predict"
HEADERS = 32 << 10
"""Bytes of a request line and its headers."""
PIPELINED = 16
"""Requests of one connection that wait for the one before them."""
NEVER = float("inf")
UNREAD = 60.0
"""Seconds in which a client has to take some of its answer."""
PATIENCE = 15.0
"""Seconds for a connection to send its request's headers, and for a body to send its next bytes."""
IDLE = 75.0
"""Seconds that a connection stays open without a request."""
LINGER = 5.0
"""Seconds in which a body is read that was answered before its end, so that the client sees the answer."""
LOOK = 0.05
"""At the end: seconds between two looks at what still comes …"""
AT_THE_DOOR, AT_A_CONNECTION = 3, 20
"""… and how many before the port is closed, and then an idle connection. Its client may be on the way to ask, held up
for a second by a garbage collector, say, or by a busy machine."""
CONNECTIONS = 4096
"""Connections that one worker holds."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    _size = 1
    """Bytes since the last whole request; a new connection owes one."""
    _last = 0.0
    """When something came last, by the loop's clock."""
    _since = 0.0
    """When the headers began that have not come to their end; never, where they have."""
    _unread = NEVER
    """Since when the client takes nothing of what is sent to it."""
    _first = False
    """No request was begun yet by the bytes that are being read."""
    _held: tuple[RequestResponseCycle, Any] | None = None
    """A request for predictions whose body may come with the same bytes, and who answers it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._last = self._since = self.loop.time()
        self._extensions = {WHOLE: self._answer}
        self._together: Callable[[Whole], None] = getattr(self.app, "together", Whole.begin)
        if len(self.connections) > CONNECTIONS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._last = self.loop.time()
        if not self._size:
            self._since = self._last
        self._size += len(data)
        self._first = True
        super().data_received(data)
        self._first = False
        if self._held is not None:
            held, self._held = self._held, None
            self.begin(*held)
        if self._size > HEADERS or len(data) > HEADERS:
            self._check_headers()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._since = NEVER
        if len(self.pipeline) > PIPELINED:
            self.pipeline.clear()
            self.transport.abort()
            raise ValueError("requests that nobody answers yet")  # which ends the parser as well

    def shutdown(self) -> None:
        """Close the connection behind what is answered now. An idle one is looked at some times before."""
        self._end_if_idle(AT_A_CONNECTION)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = NEVER

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._size = 0
        if self._held is not None:
            held, self._held = self._held, None
            if self.flow.write_paused:
                self.begin(*held)
            else:
                self._together(Whole(self, *held))

    def on_response_complete(self) -> None:
        """Go on with the next request. No clock is set for an idle connection: `end_stuck` looks at all of them."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self._size:
            self.loop.call_later(LINGER, self._end_unless_whole)

    def is_stuck(self, now: float) -> bool:
        """Tell whether a request (or its rest) is owed for long, none comes any more, or an answer is not taken."""
        if self.flow.read_paused or not (self._is_idle() or self._size):  # the client waits for us
            self._last = now
        silent = now - min(self._last, self._since)
        return silent > (PATIENCE if self._size else IDLE) or now - self._unread > UNREAD

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        if self._first and cycle.scope["raw_path"] == PREDICT and cycle.scope["method"] == "POST":
            self._held = cycle, app
        else:
            self.begin(cycle, app)
        self._first = False

    def begin(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        """Answer a request in a task of its own."""
        self._asked = cycle
        if cycle.scope["method"] != "HEAD":
            cycle.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        super()._start_asgi_task(cycle, app)

    async def _answer(self, scope: Scope, status: int, headers: Headers, body: bytes) -> None:
        cycle = self._asked
        if cycle.scope is not scope or cycle.response_started:
            raise RuntimeError("the answer has begun")
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        self.answer(cycle, status, headers, body)

    def answer(self, cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer. Its headers are our own words: nothing in them has to be looked at."""
        if cycle.disconnected:
            return
        if CLOSE in headers:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            headers = [*headers, CLOSE]
        pieces = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            pieces += (name, b": ", value, b"\r\n")
        pieces += (b"\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.body = bytearray()  # an open connection keeps its last request
        self.transport.write(b"".join(pieces))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

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

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _end_if_idle(self, looks: int) -> None:
        """Close it unless a request began: between two timers the loop reads, however long the machine let it sleep."""
        if not self._is_idle():
            super().shutdown()
        elif looks:
            self.loop.call_later(LOOK, self._end_if_idle, looks - 1)
        elif not self.transport.is_closing():
            self.transport.close()

    def _end_unless_whole(self) -> None:
        if self._size and not self.transport.is_closing():
            self.transport.close()


class Whole:
    """A request that is there with all of its body, and that nobody answers yet."""

    def __init__(self, protocol: Protocol, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        self._protocol, self._cycle = protocol, cycle
        self.app = app
        """Who answers it in a task of its own: a function of scope, receive and send."""
        self.scope: Any = cycle.scope
        self.receive: Any = cycle.receive
        self.send: Any = cycle.send
        self.taken = False
        """It is answered, or begun."""

    @property
    def body(self) -> bytes:
        return bytes(self._cycle.body)

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        self._protocol.answer(self._cycle, status, headers, body)
        self.taken = True

    def begin(self) -> None:
        """Let a task answer."""
        self.taken = True
        self._protocol.begin(self._cycle, self.app)


def end_stuck(connections: set[Any], now: float) -> None:
    """Close the connections that hold a place and send nothing."""
    for connection in list(connections):
        if connection.is_stuck(now):
            connection.transport.abort()
