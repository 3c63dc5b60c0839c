"""MLflow's tracking server with its pages: a program of MLflow's own environment, on a SQLite file."""

from __future__ import annotations

from tahona.ledgers.mlflow_address import parse_address
from tahona.ledgers.mlflow_server import REQUIREMENTS, server_environ, server_words
from tahona.lifecycle.environments import environment
from tahona.servers.server import Place, Program, Server, says_well


def _program(place: Place) -> Program:
    store = parse_address("mlflow+sqlite:///mlflow.db?artifacts=artifacts", place.folder)
    python = environment("mlflow", REQUIREMENTS)
    return Program((str(python), *server_words(store, place.port)), server_environ(store))


MLFLOW = Server(
    "mlflow",
    ("port",),
    _program,
    lambda place: says_well(f"{place.http}/health"),
    lambda place: place.http,
    lambda place: {"TAHONA_MLFLOW_URL": f"mlflow+{place.http}"},
)
