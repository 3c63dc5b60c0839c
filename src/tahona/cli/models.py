"""Commands about versions: models, promote, rollback, history, export model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set
from tahona.errors import InputError

Reference = Annotated[str, typer.Argument(metavar="VERSION", help="A number, an alias, or NAME@NUMBER.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it stands in the history for good.")]


def models(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """List the project's model versions, the newest first."""
    from tahona.cli.terminal import print_json, print_table
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    found = opened.ledger.versions(opened.project.name)
    if json:
        print_json({"models": [asdict(version) for version in found]})
        return
    metric = opened.project.train.metric
    print_table(
        ("version", "aliases", "model", f"test {metric}", "gate", "run", "created"),
        [
            (
                version.number,
                ", ".join(version.aliases),
                version.model,
                version.metrics.get(metric),
                "passed" if version.gate_passed else "refused",
                version.run,
                version.created[:19],
            )
            for version in found
        ],
        title=opened.project.name,
    )


def promote(
    version: Reference,
    override: Annotated[
        str, typer.Option("--override", metavar="REASON", help="Promote a version that the gate refused.")
    ] = "",
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Make a version the champion; refused (exit 3) when it did not pass the gate, unless a reason overrides it."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.registry import promote as move
    from tahona.wiring import open_project

    event = move(open_project(directory, env=env, overrides=set_ or ()), version, override=override)
    if json:
        print_json(asdict(event))
        return
    out().print(f"{event.name}: version {event.version} is champion (before: {event.previous or 'none'})", markup=False)


def rollback(directory: Folder = HERE, why: Why = "", json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Make the champion before the present one champion again."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.registry import roll_back
    from tahona.wiring import open_project

    event = roll_back(open_project(directory, env=env, overrides=set_ or ()), why=why)
    if json:
        print_json(asdict(event))
        return
    out().print(f"{event.name}: back to version {event.version} (before: {event.previous})", markup=False)


def history(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Show who made which version champion, when and why; nothing is ever removed from it."""
    from tahona.cli.terminal import print_json, print_table
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    events = opened.ledger.history(opened.project.name)
    if json:
        print_json({"history": [asdict(event) for event in events]})
        return
    print_table(
        ("when", "alias", "version", "before", "action", "who", "why"),
        [(e.when[:19], e.alias, e.version, e.previous or "", e.action, e.who, e.why) for e in events],
        title=opened.project.name,
    )


def export_model(
    version: Reference = "champion",
    pickle: Annotated[bool, typer.Option("--pickle", help="Write a pickle, for programs that need one.")] = False,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write into.")] = HERE,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Write a version as one file: the bundle as it is, or with --pickle as `<algorithm>_<dataset>_v<N>.pkl`."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.exporting import export_version
    from tahona.wiring import open_project

    if not output.is_dir():
        raise InputError("the folder does not exist", where=str(output), fix="make it, or name another with -o")
    file = export_version(open_project(directory, env=env, overrides=set_ or ()), version, output, pickled=pickle)
    if json:
        print_json({"file": str(file)})
        return
    out().print(str(file), markup=False)
