"""One connection of a worker: answers in their order, and how long it may lie idle."""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from tahona.serve.front.protocol import AT_A_CONNECTION, IDLE, LOOK, Protocol, end_stuck
from tahona.serve.front.visit import Visit

ASK = b"%s /%s HTTP/1.1\r\nhost: x\r\n\r\n"


class Answering:
    """Answers with the path; what asks for "later" waits until it is told to go on."""

    def __init__(self):
        self.go_on = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/later":
            await self.go_on.wait()
        await Visit(scope, "id", receive, send).answer(200, b"text/plain", scope["path"].encode())


async def listening(app):
    """Return a socket server with our protocol, its state and its port."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0)
    return server, state, server.sockets[0].getsockname()[1]


def test_requests_in_one_packet_are_answered_in_their_order_and_head_has_no_body():
    async def ask():
        server, _, port = await listening(Answering())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        last = ASK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") % (b"GET", b"third")
        writer.write(ASK % (b"GET", b"first") + ASK % (b"HEAD", b"second") + last)
        answers = (await reader.read()).split(b"HTTP/1.1 200 OK\r\n")[1:]
        writer.close()
        server.close()
        return [answer.partition(b"\r\n\r\n") for answer in answers]

    first, second, third = asyncio.run(ask())
    assert [body for _, _, body in (first, second, third)] == [b"/first", b"", b"/third"]
    assert b"content-length: 7" in second[0]
    assert b"connection: close" in third[0]
    assert b"connection" not in first[0]


def test_an_idle_connection_is_closed_in_the_end_and_none_that_waits_for_its_answer():
    async def ask():
        app = Answering()
        server, state, port = await listening(app)
        idle, other = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        idle[1].write(ASK % (b"GET", b"now"))
        assert (await idle[0].readuntil(b"/now")).startswith(b"HTTP/1.1 200")
        other[1].write(ASK % (b"GET", b"later"))
        while len(state.tasks) != 1:
            await asyncio.sleep(0.01)
        now = asyncio.get_running_loop().time()
        end_stuck(state.connections, now + IDLE - 5)
        await asyncio.sleep(0.05)
        assert not idle[0].at_eof()
        assert len(state.connections) == 2
        end_stuck(state.connections, now + IDLE + 5)
        assert await idle[0].read() == b""
        app.go_on.set()
        assert (await other[0].readuntil(b"/later")).startswith(b"HTTP/1.1 200")
        for _, writer in (idle, other):
            writer.close()
        server.close()

    asyncio.run(ask())


def test_at_the_end_a_request_that_still_comes_is_answered_and_an_idle_connection_is_closed():
    async def ask():
        app = Answering()
        server, state, port = await listening(app)
        asking, late, idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        asking[1].write(b"POST /one HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody")
        await asking[0].readuntil(b"/one")
        assert [bytes(each.cycle.body) for each in state.connections if each.cycle] == [b""], (
            "it keeps its last request"
        )
        for connection in list(state.connections):
            connection.shutdown()
        asking[1].write(ASK % (b"GET", b"later"))
        await asyncio.sleep(LOOK * AT_A_CONNECTION / 2)
        late[1].write(ASK % (b"GET", b"one"))
        await asyncio.sleep(LOOK * AT_A_CONNECTION)
        app.go_on.set()
        assert (await asyncio.wait_for(late[0].read(), 10)).endswith(b"/one")
        last = await asyncio.wait_for(asking[0].read(), 10)
        assert b"connection: close" in last
        assert last.endswith(b"/later")
        assert await asyncio.wait_for(idle[0].read(), 10) == b""
        for _, writer in (asking, late, idle):
            writer.close()
        server.close()

    asyncio.run(ask())
