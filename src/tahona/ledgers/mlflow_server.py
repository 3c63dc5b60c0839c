"""MLflow's own server and UI: a process of MLflow's own environment, on loopback, ended with its caller."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tahona.errors import SetupError
from tahona.ledgers.mlflow_address import MlflowAddress
from tahona.lifecycle.environments import environment

REQUIREMENTS = Path(__file__).with_name("requirements") / "mlflow.txt"
LOOPBACK = "127.0.0.1"
SECONDS = 90
"""How long a server may take to answer: it looks through its database's revisions first."""


@contextmanager
def mlflow_server(
    address: MlflowAddress, *, port: int = 0, python: Path | None = None, log: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the database at ``address``; give the server's URL and process once it answers.

    Port 0 is any free one. ``python`` is an interpreter that has MLflow; without it the environment is made from our
    pins. What the server says goes to ``log``, or to standard error. On leaving, it and its workers are gone.
    """
    place = (LOOPBACK, port or _free_port())
    if port and _answers(place):
        raise SetupError(f"port {port} is taken", where=LOOPBACK, fix="choose another one with --port")
    python = python or environment("mlflow", REQUIREMENTS)
    with _output(log) as out:
        process = subprocess.Popen(  # noqa: S603 - our own words
            [str(python), *server_words(address, place[1])],
            env=server_environ(address),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # its workers are ended with it
        )
        try:
            _wait(process, place, address)
            yield f"http://{LOOPBACK}:{place[1]}", process
        finally:
            _end(process)


def server_words(address: MlflowAddress, port: int) -> tuple[str, ...]:
    """Return what MLflow's Python is told to serve the database at ``address``."""
    words = ("-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1")
    return words if address.artifacts is None else (*words, "--artifacts-destination", address.artifacts)


def server_environ(address: MlflowAddress) -> dict[str, str]:
    """Return the server's variables. The address is one: it may hold a password, and every user can read a command."""
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {
        **ours,
        "MLFLOW_BACKEND_STORE_URI": address.tracking,
        "MLFLOW_REGISTRY_STORE_URI": address.tracking,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _wait(process: subprocess.Popen[bytes], place: tuple[str, int], address: MlflowAddress) -> None:
    end = time.monotonic() + SECONDS
    while not _answers(place):
        if process.poll() is not None or time.monotonic() > end:
            raise SetupError(
                "the MLflow server did not start",
                where=address.place,
                fix="read what it printed; a database that a newer MLflow made needs that MLflow (--python)",
            )
        time.sleep(0.1)


def _answers(place: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(place, timeout=1):
            return True
    except OSError:  # nobody listens yet
        return False


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as door:
        return int(door.getsockname()[1])


@contextmanager
def _output(log: Path | None) -> Iterator[BinaryIO | int]:
    if log is None:
        yield sys.stderr.fileno()
        return
    with log.open("ab") as file:
        yield file


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its workers: they are a session of their own."""
    for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except ProcessLookupError:  # all of them are gone
            return
        except subprocess.TimeoutExpired:
            continue
