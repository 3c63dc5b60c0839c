"""Commands about orchestrators: orchestrators install and list, and export NAME for each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tahona.cli.options import HERE, Env, Folder, Json, Python, Set, overlay

if TYPE_CHECKING:
    from tahona.orchestrators.outside import OutsideOrchestrator

NAMES = ("prefect", "metaflow", "airflow", "dvc")

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(NAMES)}.")]


def install(name: Name, directory: Folder = HERE, json: Json = False) -> None:
    """Make the orchestrator's environment from tested pins, unless it is made already; print its interpreter."""
    from tahona.cli.terminal import out, print_json

    python = _outside(name, directory, None).python()
    if json:
        print_json({"name": name, "python": str(python)})
        return
    out().print(str(python), markup=False)


def list_all(directory: Folder = HERE, json: Json = False) -> None:  # noqa: ARG001 - the same anywhere
    """List the orchestrators, and which of them have their environment already."""
    from tahona.cli.terminal import print_json, print_table
    from tahona.lifecycle.environments import is_ready
    from tahona.orchestrators.outside import REQUIREMENTS

    made = {name: is_ready(name, REQUIREMENTS / f"{name}.txt") for name in NAMES}
    if json:
        print_json(
            {"orchestrators": [{"name": "local", "ready": True}, *({"name": n, "ready": r} for n, r in made.items())]}
        )
        return
    rows = [("local", "in this process"), *((name, "ready" if ready else "") for name, ready in made.items())]
    print_table(("orchestrator", "environment"), rows)


def exporter(name: str) -> Callable[..., None]:
    """Return the command that writes an orchestrator's file."""

    def export(
        output: Annotated[
            Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: its usual name in the project.")
        ] = None,
        directory: Folder = HERE,
        json: Json = False,
        env: Env = None,
        set_: Set = None,
        python: Python = None,
    ) -> None:
        from tahona.cli.terminal import out, print_json
        from tahona.lifecycle.road import plan_run
        from tahona.lifecycle.tasks import lay_workflow
        from tahona.wiring import open_project

        opened = open_project(directory, env=env, overrides=set_ or (), on=name, python=python)
        outside = cast("OutsideOrchestrator", opened.orchestrator)
        file = output or opened.project.root / outside.file
        outside.write(file, lay_workflow(opened, plan_run(opened), overlay(env, set_)))
        outside.check(file)
        if json:
            print_json({"file": str(file)})
            return
        out().print(f"{file} written, and read by {name} without complaint", markup=False)

    return export


def _outside(name: str, directory: Path, python: Path | None) -> OutsideOrchestrator:
    from tahona.errors import InputError
    from tahona.wiring import adapter

    if name not in NAMES:
        raise InputError(
            f"there is no environment for '{name}'", where="command line", fix=f"one of {', '.join(NAMES)}"
        )
    return cast("OutsideOrchestrator", adapter("orchestrators", name)(directory.resolve(), python))
