"""Real Dask clusters for tests: a scheduler and workers, processes of this machine that listen on loopback only."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

DASK = Path(sys.executable).with_name("dask")
LOOPBACK = "127.0.0.1"
CALM = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
"""A task is given up at its second dead worker: with Dask's four the tests of that would only last longer."""
PATIENCE = 60


class Cluster:
    """A scheduler, and how to give it workers."""

    def __init__(self, folder: Path, stack: ExitStack, tls: Sequence[str]) -> None:
        self.folder = folder
        self.tls = tls
        self._stack = stack
        self._notes = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", self._notes)
        wait_for(lambda: self._notes.is_file() and self._notes.read_text("utf-8").endswith("}"))
        self.address: str = json.loads(self._notes.read_text("utf-8"))["address"]

    def add_worker(
        self,
        *words: object,
        nanny: bool = False,
        memory: str = "1GB",
        python: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a worker of one thread; ``python`` are options of its interpreter. `connected` waits for it."""
        return self._start(
            "worker",
            self.address,
            *("--nthreads", "1", "--memory-limit", memory, "--local-directory", self.folder),
            "--nanny" if nanny else "--no-nanny",
            *words,
            python=python,
            env=env,
        )

    def _start(
        self, *words: object, python: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        found_in = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        log = self._stack.enter_context((self.folder / f"{words[0]}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, *python, DASK, *map(str, words), "--host", LOOPBACK, "--no-dashboard", *self.tls],
            env={**os.environ, **CALM, "PYTHONPATH": found_in, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self._stack.callback(_end, process)
        return process

    @property
    def log(self) -> str:
        """What scheduler and workers said so far."""
        return "".join(file.read_text("utf-8", errors="replace") for file in sorted(self.folder.glob("*.log")))


@contextmanager
def dask_cluster(folder: Path, tls: Sequence[str] = ()) -> Iterator[Cluster]:
    """Start a scheduler; on leaving, it and its workers are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield Cluster(folder, stack, tls)


def wait_for(happened: object, seconds: float = PATIENCE) -> None:
    """Wait until the function gives something true."""
    end = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process that we started to end, so that a nanny ends its worker too; kill it if it does not."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Counter:
    """A wire to an address that counts the bytes sent to it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").partition(":")
        self._there = host, int(port)
        self._door = socket.create_server((LOOPBACK, 0))
        self.address = f"tcp://{LOOPBACK}:{self._door.getsockname()[1]}"
        self.sent = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._door.accept()
            except OSError:  # closed
                return
            there = socket.create_connection(self._there)
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(source, target, source is here), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with target:
            try:
                while data := source.recv(1 << 16):
                    self.sent += len(data) if counted else 0
                    target.sendall(data)
            except OSError:  # the other side hung up first
                return

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits at it
        self._door.close()
