"""What a server is that `tahona up` starts: a row of functions, and a folder with its data, ports and credentials."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM, Signals
from typing import Any

from tahona.files import write_whole
from tahona.project.model import Project

LOOPBACK = "127.0.0.1"
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PREFECT_", "MLFLOW_")
"""Variables that would change what a server of ours is: another program's, or another environment's."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one server, and what was chosen once for it."""

    folder: Path
    ports: Mapping[str, int]
    secret: str = field(repr=False)
    mark: str
    """Stands in the environment of the server and of all that it starts."""

    @property
    def port(self) -> int:
        """The port that clients speak to: the first."""
        return next(iter(self.ports.values()))

    @property
    def http(self) -> str:
        """The address of a server that speaks HTTP on its first port."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"


@dataclass(frozen=True, slots=True)
class Program:
    """A command, and whom and where it runs as."""

    words: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of `subprocess` that name another user."""


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of server. `program` makes its data the first time; `furnish` makes in it what the project names."""

    name: str
    ports: tuple[str, ...]
    program: Callable[[Place], Program]
    answers: Callable[[Place], bool]
    address: Callable[[Place], str]
    """Where people find it; no credential is in it."""
    variables: Callable[[Place], Mapping[str, str]]
    """What the project's process finds it by. An empty value takes a variable away."""
    furnish: Callable[[Place, Project], None] = lambda _place, _project: None
    ending: Signals = SIGTERM
    """Asks its first process to end in order."""


def settle(folder: Path, server: Server) -> Place:
    """Return the server's place; ports and credentials are chosen the first time, and kept."""
    file = folder / "settings.json"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ports = dict(zip(server.ports, _free_ports(len(server.ports)), strict=True))
        chosen = {"ports": ports, "secret": secrets.token_hex(20), "mark": secrets.token_hex(8)}
        write_whole(file, json.dumps(chosen), private=True)
    kept = json.loads(file.read_text("utf-8"))
    return Place(folder, kept["ports"], kept["secret"], kept["mark"])


def plain_environ() -> dict[str, str]:
    """Return our variables without those that would make another server of it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def _free_ports(number: int) -> list[int]:
    doors = [socket.create_server((LOOPBACK, 0)) for _ in range(number)]
    ports = [int(door.getsockname()[1]) for door in doors]
    for door in doors:
        door.close()
    return ports


def is_taken(port: int) -> bool:
    """Tell whether somebody listens on this port."""
    with socket.socket() as door:
        door.settimeout(1)
        return door.connect_ex((LOOPBACK, port)) == 0


def says_well(url: str) -> bool:
    """Tell whether a page answers with 200."""
    import httpx

    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:  # nobody listens yet, or it is not ready to speak
        return False
