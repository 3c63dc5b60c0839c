"""The process of a worker: it is started by `tahona.serve.supervisor`, which tells it what to do on standard input.

The first line is its settings. Then ``leave``: be no longer ready, and close each connection behind its answer;
``end``: take up what waits at the door, answer what was begun, and end. When the input ends, the parent is gone, and so
does the worker.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from contextlib import suppress
from pathlib import Path

import uvicorn
import uvloop

from tahona.serve.front.app import Front
from tahona.serve.front.following import Follower
from tahona.serve.front.journal import Journal
from tahona.serve.front.protocol import AT_THE_DOOR, LOOK, Protocol, end_stuck
from tahona.serve.front.rows import Limits
from tahona.serve.front.settings import Settings
from tahona.serve.metering import Meters
from tahona.serve.places import Places
from tahona.serve.spool import Spool
from tahona.serve.telling import tell

TICK = 0.1
"""Seconds between two looks at the champion and the keys, and two writings of what was gathered."""
SECOND = 10
"""Ticks in one."""
GRACE = 6
"""Seconds for what was begun to be answered."""


def main() -> None:
    """Serve until told to end."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # uvicorn has handlers of its own while it serves
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    log = logging.getLogger("uvicorn.error")
    log.addHandler(_Lines())
    log.propagate = False
    with os.fdopen(0, "rb", buffering=0, closefd=False) as orders:
        settings = Settings.from_line(orders.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Worker(settings).live())


class Worker:
    """One worker: what it serves, and what it does by the clock."""

    def __init__(self, settings: Settings) -> None:
        places = Places(Path(settings.root))
        self._settings = settings
        self._meters, self._meters_folder = Meters(), places.meters
        self._spool, self._spool_fails = Spool(places.spool), False
        self._journal = Journal(self._spool, self._meters)
        self._front = Front(settings, places, self._journal)
        self._follower = Follower(self._front, places, Limits(settings.rows, settings.cell))
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._front,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE,
            )
        )

    async def live(self) -> None:
        """Serve, follow, and end in order."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: _tell_fault(context.get("exception")))
        self._follower.follow_keys()
        await self._follower.follow_champion()
        _calm_the_collector()
        loop.add_reader(0, self._take_orders)
        tasks = [asyncio.create_task(each()) for each in (self._say_ready, self._keep_time, self._keep_up)]
        for task in tasks:
            task.add_done_callback(self._note_end)
        await self._server.serve(sockets=[socket.socket(fileno=self._settings.door)])
        for task in tasks:
            task.cancel()
        await self._front.passage.close()
        self._journal.write_log()
        self._spool.close()
        self._write_meters()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """End the process when one of its tasks failed: another one takes its place."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _tell_fault(error)
            self._front.leaving = True
            self._end()

    async def _say_ready(self) -> None:
        while not self._server.started:
            await asyncio.sleep(0.002)
        os.write(1, b"ready\n")

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self._follower.follow_champion()

    async def _keep_time(self) -> None:
        loop, rounds = asyncio.get_running_loop(), 0
        while True:
            await asyncio.sleep(TICK)
            rounds += 1
            self._journal.write_log()
            self._flush_spool()
            self._follower.follow_keys()
            if rounds % SECOND == 0:
                self._write_meters()
                end_stuck(self._server.server_state.connections, loop.time())

    def _write_meters(self) -> None:
        """Let the back know what was counted; without room on the disk it learns of it later."""
        with suppress(OSError):
            self._meters.write(self._meters_folder)

    def _flush_spool(self) -> None:
        """Write what was predicted; without room on the disk it is kept, and tried again."""
        try:
            self._spool.flush()
        except OSError as error:
            if not self._spool_fails:
                tell("the spool cannot be written; predictions are kept in memory", why=error.strerror)
            self._spool_fails = True
        else:
            self._spool_fails = False

    def _take_orders(self) -> None:
        self._front.leaving = True
        orders = os.read(0, 4096)
        if not orders or b"end" in orders:
            loop = asyncio.get_running_loop()
            loop.remove_reader(0)
            self._front.passage.end_streams()
            self._close_the_door(AT_THE_DOOR)

    def _close_the_door(self, looks: int) -> None:
        """End after some looks at who waits there: between two timers the loop takes them up, however late it is."""
        if looks:
            asyncio.get_running_loop().call_later(LOOK, self._close_the_door, looks - 1)
        else:
            self._end()

    def _end(self) -> None:
        self._server.should_exit = True


def _tell_fault(error: BaseException | None) -> None:
    tell("fault", kind=type(error).__name__, places=[])


def _calm_the_collector() -> None:
    """Let the garbage collector pass over what is there for good, and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _Lines(logging.Handler):
    """Writes what uvicorn has to say as lines of our log, without the text of an exception: it may hold data."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        tell(
            "http", level=record.levelname, what=record.getMessage().strip(), kind=type(error).__name__ if error else ""
        )


if __name__ == "__main__":
    main()
