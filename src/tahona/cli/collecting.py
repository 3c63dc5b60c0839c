"""The command that makes room: gc."""

from __future__ import annotations

from typing import Annotated

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Set


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    keep_days: Annotated[
        float | None,
        typer.Option(
            "--keep-days",
            metavar="N",
            min=0,
            help="Remove results, too, that no run of this ledger names and that are older than N days.",
        ),
    ] = None,
    directory: Folder = HERE,
    json: Json = False,
    env: Env = None,
    set_: Set = None,
) -> None:
    """Remove what nothing refers to any more: objects without a result, what killed processes left."""
    from tahona.cli.terminal import out, print_json
    from tahona.lifecycle.collecting import collect
    from tahona.wiring import open_project

    opened = open_project(directory, env=env, overrides=set_ or ())
    removed = collect(opened, keep_days=keep_days, dry_run=dry_run)
    total = sum(each.size for each in removed)
    if json:
        kinds = [{"kind": each.kind, "count": each.count, "bytes": each.size} for each in removed]
        print_json({"dry_run": dry_run, "removed": kinds, "bytes": total})
        return
    console = out()
    for each in removed:
        console.print(f"{each.kind}: {each.count} ({each.size:,} bytes)", markup=False)
    verb = "would be removed" if dry_run else "removed"
    console.print(f"{total:,} bytes {verb}" if removed else "nothing to remove", markup=False)
