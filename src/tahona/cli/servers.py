"""Commands about servers on this machine: up, down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set

if TYPE_CHECKING:
    from tahona.servers.running import Standing


def up(
    directory: Folder = HERE,
    status: Annotated[bool, typer.Option("--status", help="Only tell how they are; start nothing.")] = False,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Start the servers that [up] names, on this machine only, and make the files it says; what is there stays."""
    from tahona.cli.terminal import err
    from tahona.project.load import load_up
    from tahona.servers.running import look
    from tahona.wiring import start_servers

    if status:
        root, wanted = load_up(directory, env=env, overrides=set_ or ())
        _tell(look(root, wanted.servers), json)
        return
    tell = partial(err().print, markup=False)
    _tell(start_servers(directory, env=env, overrides=set_ or (), tell=tell), json)


def down(directory: Folder = HERE, json: Json = False) -> None:
    """End the servers that `tahona up` started for this project, and no others; their data stays."""
    from tahona.project.load import find_project_file
    from tahona.servers.running import stop

    _tell(stop(find_project_file(directory).resolve().parent), json)


def _tell(servers: Sequence[Standing], json: bool) -> None:
    from tahona.cli.terminal import out, print_json, print_table

    if json:
        print_json({"servers": [server.to_dict() for server in servers]})
    elif servers:
        print_table(
            ("server", "", "address", "log"),
            [(each.name, "started" if each.started else each.state, each.address, each.log) for each in servers],
        )
    else:
        out().print("no servers")
