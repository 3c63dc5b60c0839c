"""Commands about MLflow: mlflow ui."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set

Port = Annotated[int, typer.Option("--port", metavar="NUMBER", help="Where to listen, on this machine only.")]
Python = Annotated[
    Path | None, typer.Option("--python", metavar="FILE", help="An interpreter that has MLflow already.")
]


def ui(
    directory: Folder = HERE,
    port: Port = 5000,
    python: Python = None,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Serve MLflow's UI of the project's ledger until Ctrl-C; its environment is made the first time."""
    from tahona.cli.terminal import out, print_json
    from tahona.ledgers.mlflow_address import parse_address
    from tahona.ledgers.mlflow_server import mlflow_server
    from tahona.project.load import load_project

    project = load_project(directory, env=env, overrides=set_ or ()).project
    address = parse_address(project.stores.ledger, project.root)

    def say(url: str) -> None:
        if json:
            print_json({"url": url, "ledger": address.place})
        else:
            out().print(f"MLflow of {address.place}: {url}", markup=False)

    if address.is_server:
        say(address.place)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being asked to end is the same as Ctrl-C
    with suppress(KeyboardInterrupt), mlflow_server(address, port=port, python=python) as (url, process):
        say(url)
        process.wait()
