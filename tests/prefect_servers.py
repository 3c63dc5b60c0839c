"""Prefect as a person has it: its interpreter, a server on loopback, and what its API tells."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

LOOPBACK = "127.0.0.1"
PATIENCE = 240
_ASK = """
import asyncio, json
from prefect.client.orchestration import get_client

async def main():
    async with get_client() as client:
        every = sorted(await client.read_artifacts(limit=200), key=lambda each: each.created)
        print(json.dumps({
            "artifacts": {each.key: each.model_dump(mode="json") for each in every},
            "comparisons": [each.model_dump(mode="json") for each in every if each.key == "model-comparison-results"],
            "tasks": [each.model_dump(mode="json") for each in await client.read_task_runs()],
            "flows": [each.model_dump(mode="json") for each in await client.read_flow_runs()],
            "deployments": [each.model_dump(mode="json") for each in await client.read_deployments()],
        }))

asyncio.run(main())
"""


def surroundings(home: Path, api: str = "") -> dict[str, str]:
    """Return the variables of a person with this folder of Prefect's and this server, and `tahona` on the path."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "TAHONA_RUN"))}
    named = {"PREFECT_API_URL": api} if api else {}
    calm = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "OMP_NUM_THREADS": "1"}
    start = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(PATIENCE)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**ours, **calm, **start, **named, "PREFECT_HOME": str(home), "PATH": path}


def ask(python: Path, home: Path, api: str = "") -> dict[str, Any]:
    """Return what the API says: the newest artifact by key, every comparison, runs of tasks and flows, deployments."""
    done = subprocess.run(
        [python, "-c", _ASK],
        env=surroundings(home, api),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def table(told: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the rows of a table artifact."""
    rows: list[dict[str, Any]] = json.loads(told["artifacts"][key]["data"])
    return rows


@contextmanager
def server(python: Path, home: Path) -> Iterator[str]:
    """Start `prefect server start` on a free port, wait until it answers, and give the address of its API."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    words = [python, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port), "--no-ui"]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("w") as log, started(words, home, log) as process:
        address = f"http://{LOOPBACK}:{port}/api"
        end = time.monotonic() + PATIENCE
        while not _answers(f"{address}/health"):
            assert process.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.5)
        yield address


@contextmanager
def started(words: list[Any], home: Path, log: Any, api: str = "", **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program of Prefect's; end it on leaving."""
    process = subprocess.Popen(
        [str(word) for word in words],
        env={**surroundings(home, api), **more},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
