"""Commands about the HTTP API: serve, keys."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set, overlay

Scopes = Annotated[
    list[str], typer.Option("--scope", metavar="SCOPE", help="predict, read, train or admin. May be repeated.")
]


def serve(
    host: Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen at.")] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="NUMBER", help="Port; 0 takes any free one.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="COUNT", help="Processes that predict.")] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Serve the champion over HTTP until Ctrl-C or SIGTERM; the log goes to standard error."""
    from tahona.cli.terminal import print_json
    from tahona.serve.supervisor import Address
    from tahona.serve.supervisor import serve as run
    from tahona.wiring import open_project

    given = {"host": host and f'"{host}"', "port": port, "workers": workers}
    chosen = [*(set_ or ()), *(f"serve.{key}={value}" for key, value in given.items() if value is not None)]

    def say(at: Address) -> None:
        if json:
            print_json(asdict(at))
        else:
            version = f"version {at.version}" if at.version else "no version yet"
            access = "; nobody needs a key" if at.open else ""
            print(f"{at.model}, {version}, at {at.address} (process {at.process}){access}")
        sys.stdout.flush()

    run(open_project(directory, env=env, overrides=chosen), overlay(env, chosen), say)


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it.")],
    scope: Scopes,
    directory: Folder = HERE,
    json: Json = False,
) -> None:
    """Make a key for the HTTP API and show it, this once."""
    from tahona.cli.terminal import print_json
    from tahona.serve.keys import create_key

    key, text = create_key(_root(directory), name, scope)
    if json:
        print_json({"id": key.id, "name": key.name, "scopes": key.scopes, "key": text})
    else:
        print(text)
        typer.echo("Keep it: it is not shown again.", err=True)


def list_all(directory: Folder = HERE, json: Json = False) -> None:
    """List the keys of the HTTP API, without their secrets."""
    from tahona.cli.terminal import print_json, print_table
    from tahona.serve.keys import keys_file, read_keys

    keys = (read_keys(keys_file(_root(directory))) or {}).values()
    if json:
        shown = ("id", "name", "scopes", "created", "last")
        print_json({"keys": [{name: getattr(key, name) for name in shown} for key in keys]})
        return
    print_table(
        ("id", "name", "scopes", "created", "ends in"),
        [(key.id, key.name, ", ".join(key.scopes), key.created, key.last) for key in keys],
    )


def remove(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or its name.")],
    directory: Folder = HERE,
    json: Json = False,
) -> None:
    """Take a key away; running servers refuse it within a second."""
    from tahona.cli.terminal import out, print_json
    from tahona.serve.keys import remove_key

    removed = remove_key(_root(directory), key)
    if json:
        print_json({"id": removed.id, "name": removed.name})
        return
    out().print(f"key '{removed.name}' ({removed.id}) is no more", markup=False)


def _root(directory: Path) -> Path:
    from tahona.project.load import find_project_file

    return find_project_file(directory).resolve().parent
