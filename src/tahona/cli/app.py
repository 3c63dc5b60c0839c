"""All commands in one place; each group is one file."""

from __future__ import annotations

from typing import Annotated

import typer

from tahona.cli import (
    collecting,
    database,
    mlflow,
    models,
    names,
    orchestrators,
    predicting,
    project,
    runs,
    servers,
    serving,
)

app = typer.Typer(
    name="tahona",
    help="From a table with a label to a registered model whose numbers hold in production.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
export = typer.Typer(help="Write things in other programs' formats.", no_args_is_help=True)
orchestrating = typer.Typer(help="The programs that may walk a run, each in its own environment.", no_args_is_help=True)
orchestrating.command("install")(orchestrators.install)
orchestrating.command("list")(orchestrators.list_all)
storing = typer.Typer(help="The ledger's database.", no_args_is_help=True)
naming = typer.Typer(help="File names.", no_args_is_help=True)
keeping = typer.Typer(help="Keys for the HTTP API.", no_args_is_help=True)
tracking = typer.Typer(help="A ledger in MLflow.", no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        from tahona import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Take the options that stand before a command; each of them acts by itself."""


app.command("run")(runs.run)
app.command("step")(runs.step)
app.command("notify")(runs.notify)
app.command("plan")(runs.plan)
app.command("why")(runs.why)
app.command("runs")(runs.runs)
app.command("show")(runs.show)
app.command("leaderboard")(runs.leaderboard)
app.command("report")(runs.report)
app.command("gc")(collecting.gc)
app.command("models")(models.models)
app.command("promote")(models.promote)
app.command("rollback")(models.rollback)
app.command("history")(models.history)
app.command("predict")(predicting.predict)
app.command("serve")(serving.serve)
app.command("up")(servers.up)
app.command("down")(servers.down)
app.command("check")(project.check)
app.command("schema")(project.schema)
app.command("new")(project.new)
export.command("model")(models.export_model)
naming.command("check")(names.check)
storing.command("setup")(database.setup)
storing.command("check")(database.check)
storing.command("upgrade")(database.upgrade)
keeping.command("create")(serving.create)
keeping.command("list")(serving.list_all)
keeping.command("remove")(serving.remove)
tracking.command("ui")(mlflow.ui)
for known in orchestrators.NAMES:
    export.command(known, help=f"Write the run as a file of {known.capitalize()}.")(orchestrators.exporter(known))
app.add_typer(export, name="export")
app.add_typer(orchestrating, name="orchestrators")
app.add_typer(naming, name="names")
app.add_typer(storing, name="db")
app.add_typer(keeping, name="keys")
app.add_typer(tracking, name="mlflow")
