"""Prefect's server with its pages: a program of Prefect's own environment, on a SQLite file."""

from __future__ import annotations

from tahona.lifecycle.environments import environment
from tahona.orchestrators.outside import REQUIREMENTS
from tahona.servers.server import LOOPBACK, Place, Program, Server, plain_environ, says_well


def _program(place: Place) -> Program:
    python = environment("prefect", REQUIREMENTS / "prefect.txt")
    words = (str(python), "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(place.port))
    calm = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    return Program(words, {**plain_environ(), **calm, "PREFECT_HOME": str(place.folder)})


PREFECT = Server(
    "prefect",
    ("port",),
    _program,
    lambda place: says_well(f"{place.http}/api/health"),
    lambda place: place.http,
    lambda place: {"PREFECT_API_URL": f"{place.http}/api"},
)
