"""Passing a request on to the back through its Unix socket, and the answer to the client, both as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tahona.serve.front.visit import ClientGoneError, Headers, RefusedError, Visit, too_long
from tahona.serve.problems import Problem

if TYPE_CHECKING:
    import httpx

OURS = b"x-tahona-"
PATIENCE = 15.0
"""Seconds that a request waits for a back that is just starting."""
PROMPT = 1.0
"""Seconds in which a back that is well answers."""
_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"expect", b"x-request-id",
    }
)  # fmt: skip
_SECRET = frozenset({b"authorization", b"x-api-key", b"cookie"})
_UVICORN = frozenset({b"date", b"server"})
"""What is put into every answer here."""
_ENDLESS = b"text/event-stream"


class Passage:
    """The way to the back. Its client is made at the first request that goes there."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._client: httpx.AsyncClient | None = None
        self._answers = self._ending = False
        self._endless: set[asyncio.Task[None]] = set()

    async def take(self, visit: Visit, limit: int) -> None:
        """Answer the visit as the back does; a client that goes ends it there too. Raise RefusedError where none is."""
        visit.check_length(limit)
        whole = asyncio.Event()
        work = asyncio.create_task(self._exchange(visit, limit, whole))
        watch = asyncio.create_task(_gone(visit, whole))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientGoneError
            await work
        finally:
            self._endless.discard(work)
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    def end_streams(self) -> None:
        """End the answers that would go on for ever, and wait for the back no longer."""
        self._ending = True
        for task in self._endless:
            task.cancel()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def leads_to_predictions(self) -> bool:
        """Tell whether there is a back that answers now, and has loaded the champion."""
        try:
            async with asyncio.timeout(PROMPT):
                answer, question = await asyncio.open_unix_connection(self._socket)
                try:
                    question.write(b"GET /ready HTTP/1.0\r\n\r\n")
                    return b" 200 " in await answer.readline()
                finally:
                    question.close()
        except OSError:  # a timeout is one, too
            return False

    async def _exchange(self, visit: Visit, limit: int, whole: asyncio.Event) -> None:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=self._socket, limits=httpx.Limits(max_connections=None)),
                timeout=httpx.Timeout(None, connect=5.0),
                base_url="http://back",
                trust_env=False,
            )
        query = visit.scope["query_string"]
        url = httpx.URL("http://back").copy_with(raw_path=visit.scope["raw_path"] + (b"?" + query if query else b""))
        request = self._client.build_request(visit.scope["method"], url, content=_body(visit, limit, whole))
        request.headers = httpx.Headers(_onward(visit))
        await self._arrive()
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            self._answers = False
            raise away() from error
        try:
            await self._return(visit, answer)
        except httpx.TransportError as error:
            if not visit.status:
                raise away() from error
            raise  # the answer has begun: its connection is closed before its end, so that the client sees
        finally:
            await answer.aclose()

    async def _arrive(self) -> None:
        """Wait while the back starts, which takes it a few seconds. Raise RefusedError when that takes too long."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not self._answers:
            try:
                _, way = await asyncio.open_unix_connection(self._socket)
            except OSError as error:
                if self._ending or asyncio.get_running_loop().time() > end:
                    raise away() from error
                await asyncio.sleep(0.1)
            else:
                way.close()
                self._answers = True

    async def _return(self, visit: Visit, answer: httpx.Response) -> None:
        task = asyncio.current_task()
        if task is not None and answer.headers.get("content-type", "").encode().startswith(_ENDLESS):
            self._endless.add(task)
        headers = [
            (name, value)
            for name, value in ((name.lower(), value) for name, value in answer.headers.raw)
            if name not in _HOP and name not in _UVICORN and not name.startswith(OURS)
        ]
        headers += [(b"x-request-id", visit.id.encode()), *visit.extra]
        visit.status = answer.status_code
        visit.rows = int(answer.headers.get("x-tahona-rows", 0))
        visit.version = int(answer.headers.get("x-tahona-version", 0))
        await visit.send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        try:
            async for piece in answer.aiter_raw():
                await visit.send({"type": "http.response.body", "body": piece, "more_body": True})
        except asyncio.CancelledError:
            if task not in self._endless:
                raise
        await visit.send({"type": "http.response.body", "body": b""})


def away() -> RefusedError:
    """Return the refusal while there is no back."""
    return RefusedError(
        Problem(503, "the part of the server that answers this is starting", fix="try again in a moment", retry_after=2)
    )


def _onward(visit: Visit) -> Headers:
    """Return the headers for the back: neither secrets nor anything that it believes from us alone."""
    headers = [
        (name, value)
        for name, value in visit.scope["headers"]
        if name not in _HOP and name not in _SECRET and not name.startswith(OURS)
    ]
    if b"content-length" not in visit.headers and b"transfer-encoding" in visit.headers:
        headers.append((b"transfer-encoding", b"chunked"))
    return [*headers, (b"x-tahona-key", visit.key.encode()), (b"x-tahona-request", visit.id.encode())]


async def _body(visit: Visit, limit: int, whole: asyncio.Event) -> AsyncIterator[bytes]:
    """Give the body as it comes. Raise RefusedError once it is longer than the limit."""
    size, more = 0, True
    while more:
        message = await visit.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        size += len(message["body"])
        if size > limit:
            raise too_long(limit)
        more = message["more_body"]
        if message["body"]:
            yield message["body"]
    whole.set()


async def _gone(visit: Visit, whole: asyncio.Event) -> None:
    """Return when the client has gone, after its whole request was read."""
    await whole.wait()
    while (await visit.receive())["type"] != "http.disconnect":
        pass
