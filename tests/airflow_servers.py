"""A real Airflow for tests: api-server, scheduler and dag-processor on loopback, its database in a folder.

`airflow standalone` listens on every interface, so the three are started by themselves.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

LOOPBACK = "127.0.0.1"
PATIENCE = 240
_USER = "tester"
_LAST_WORDS = 30


class AirflowServer:
    """A server whose DAGs are the files in `dags`; `get` asks its API."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.dags = folder / "dags"
        self.dags.mkdir(parents=True)
        self._airflow = python.with_name("airflow")
        self._url = f"http://{LOOPBACK}:{_free_port()}"
        self._password = secrets.token_hex(16)
        self._token = ""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "passwords.json").write_text(json.dumps({_USER: self._password}), "utf-8")

    def environment(self) -> dict[str, str]:
        """Return the variables of Airflow's processes; `tahona` is on their path."""
        settings = {
            "API__BASE_URL": self._url,
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": self._password * 2,
            "CORE__DAGS_FOLDER": str(self.dags),
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__PARALLELISM": "2",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TAHONA"))}
        return {
            **kept,
            "AIRFLOW_HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        }

    def start(self) -> None:
        """Start the three; all are healthy when this returns."""
        self._run("migrate", "db", "migrate").wait()
        port = self._url.rpartition(":")[2]
        self._run("api-server", "api-server", "--host", LOOPBACK, "--port", port)
        self._run("dag-processor", "dag-processor")
        self._run("scheduler", "scheduler", "--skip-serve-logs")
        self.wait_for(self._is_healthy, "a healthy Airflow")

    def stop(self) -> None:
        """Let the three end their tasks and themselves."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(_LAST_WORDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def get(self, path: str) -> Any:
        """Ask the public API; `path` begins with what follows /api/v2/."""
        return self._ask("GET", f"/api/v2/{path}", {"Authorization": f"Bearer {self._sign_in()}"})

    def runs(self, state: str) -> list[dict[str, Any]]:
        """Return the runs of all DAGs in this state, the newest first."""
        return list(self.get(f"dags/~/dagRuns?state={state}&order_by=-run_after")["dag_runs"])

    def pause(self, dag: str) -> None:
        """Let the DAG begin no other run."""
        headers = {"Authorization": f"Bearer {self._sign_in()}"}
        self._ask("PATCH", f"/api/v2/dags/{dag}", headers, {"is_paused": True})

    def wait_for(self, what: Callable[[], Any], name: str) -> Any:
        """Return the first true answer of `what`."""
        end = time.monotonic() + PATIENCE
        while not (answer := what()):
            for part, process in self._processes.items():
                assert part == "migrate" or process.poll() is None, self.log(part)
            assert time.monotonic() < end, f"no {name} after {PATIENCE} s\n" + self.log("scheduler")
            time.sleep(1)
        return answer

    def log(self, part: str) -> str:
        """Return the end of what one of the processes said."""
        return (self.folder / f"{part}.log").read_text("utf-8", "replace")[-4000:]

    def _run(self, part: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{part}.log").open("wb") as log:
            self._processes[part] = subprocess.Popen(
                [self._airflow, *words],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._processes[part]

    def _is_healthy(self) -> bool:
        try:
            health = self._ask("GET", "/api/v2/monitor/health", {})
        except (URLError, ConnectionError, TimeoutError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def _sign_in(self) -> str:
        if not self._token:
            who = {"username": _USER, "password": self._password}
            self._token = self._ask("POST", "/auth/token", {}, who)["access_token"]
        return self._token

    def _ask(self, verb: str, path: str, headers: Mapping[str, str], body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        asked = Request(self._url + path, content, {"Content-Type": "application/json", **headers}, method=verb)
        with urlopen(asked, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def running(folder: Path, python: Path) -> Iterator[AirflowServer]:
    """Give a started Airflow; on leaving, its processes are gone."""
    server = AirflowServer(folder, python)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as door:
        return int(door.getsockname()[1])
