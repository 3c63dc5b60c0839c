"""The options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path, typer.Option("-C", "--directory", metavar="DIR", help="The project's folder, or a project file in it.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output; all else on standard error.")]
Env = Annotated[str | None, typer.Option("--env", metavar="NAME", help="Overlay the tables of [env.NAME].")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one key, for example train.trials=5. May be repeated."),
]
Python = Annotated[
    Path | None,
    typer.Option("--python", metavar="FILE", help="An interpreter that has the orchestrator, instead of our own pins."),
]

HERE = Path()


def overlay(env: str | None, set_: list[str] | None) -> list[str]:
    """Return the words that choose the same overlays again: what an orchestrator's tasks are started with."""
    return [*(("--env", env) if env else ()), *(word for each in set_ or () for word in ("--set", each))]
