"""uvicorn on the back's Unix socket."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from tahona.serve.back.end import End
from tahona.serve.telling import tell

KEPT = 75
"""Seconds that an idle connection is kept: longer than the workers keep theirs, so that these are who ends them."""
GRACE = 5
"""Seconds that requests under way get at the end."""


def listen(app: FastAPI, uds: Path, end: End) -> None:
    """Answer at the socket until the end, and then what was asked before it."""
    logging.getLogger("uvicorn").handlers = [_Told(logging.WARNING)]
    logging.getLogger("uvicorn").propagate = False
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEPT,
        timeout_graceful_shutdown=GRACE,
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(_private(uds))
        uds.chmod(0o600)
        door.listen(1024)
        door.setblocking(False)
        tell("the back listens", pid=os.getpid())
        _Server(config, end).run(sockets=[door])


class _Server(uvicorn.Server):
    """Ends with the process, whatever the reason."""

    def __init__(self, config: uvicorn.Config, end: End) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end.come()  # streams of events end by themselves
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        self.should_exit = self.should_exit or self._end.is_near()
        return await super().on_tick(counter)


class _Told(logging.Handler):
    """uvicorn's warnings, as lines of our log. What a route raised was told already, with its id."""

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            tell("uvicorn", what=record.getMessage())


def _private(uds: Path) -> str:
    """Return the address, with nothing left there of a back before this one."""
    uds.unlink(missing_ok=True)
    return str(uds)
