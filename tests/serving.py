"""A real `tahona serve` on a small trained project, in processes of its own, and what its files hold."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROW = {"size": 0.25, "weight": -1.5, "colour": "red"}
"""A row of the quick project (`projects.quick_table`)."""


@dataclass
class Server:
    """A server that runs."""

    folder: Path
    address: str
    process: subprocess.Popen[str]
    said: Mapping[str, Any]
    log: Path
    client: httpx.Client

    def predict(self, rows: object, **more: Any) -> httpx.Response:
        return self.client.post("/predict", json=rows, **more)

    def whole(self) -> Server:
        """Wait until the back answers too."""
        until(lambda: self.client.get("/models").status_code != 503, seconds=60)
        return self

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(by)
        return self.process.wait(30)

    def children(self) -> dict[str, list[int]]:
        """Return the ids of its processes by what they are: `worker` and `back`."""
        found: dict[str, list[int]] = {"worker": [], "back": []}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                words = (place / "cmdline").read_text().split("\0")
            except OSError:  # it ended just now
                continue
            if parent == self.process.pid and "-m" in words:
                module = words[words.index("-m") + 1]
                found["back" if "back" in module else "worker"].append(int(place.name))
        return found

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of its log about one kind of event."""
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
        return [line for line in lines if line["event"] == event]


@contextmanager
def serving(folder: Path, *words: object, key: str = "") -> Iterator[Server]:
    """Serve the project at a free port; on leaving, the server has ended."""
    command = [str(Path(sys.executable).with_name("tahona")), "serve", "-C", str(folder), "--port", "0", "--json"]
    log, temporary = folder / "serve.log", folder / "temporary"
    temporary.mkdir(exist_ok=True)
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [*command, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            text = ""
            for line in process.stdout:
                text += line
                if line == "}\n":
                    break
            assert text, log.read_text("utf-8")
            said = json.loads(text)
            headers = {"authorization": f"Bearer {key}"} if key else {}
            with httpx.Client(base_url=said["address"], timeout=30, headers=headers, trust_env=False) as client:
                yield Server(folder, said["address"], process, said, log, client)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other end closes."""
    answer = b""
    while part := connection.recv(1 << 16):
        answer += part
    return answer


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def copied(project: Path, folder: Path) -> Path:
    """Return a copy of a trained project that may be changed."""
    return Path(shutil.copytree(project, folder, symlinks=True))
