"""The only place that knows every adapter: a name in the project file → the function that opens it.

A third party's adapter is found by its entry point: group ``tahona.sources`` (or ``stores``, ``publishers``,
``ledgers``, ``executors``, ``orchestrators``), name = the URL's scheme or the setting's value, object = a function
with our signature.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tahona.core.spelling import did_you_mean
from tahona.errors import InputError, SetupError
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.taking_in import enter_versions
from tahona.ports import Executor, Ledger, Orchestrator, PredictionLog, Publisher, Source, Store
from tahona.project.model import DataPart, Project

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle
    from tahona.core.findings import Finding
    from tahona.ledgers.database import LedgerDatabase
    from tahona.servers.running import Standing
    from tahona.sources.file import FileSource

ADAPTERS: Mapping[str, Mapping[str, str]] = {
    "sources": {
        "file": "tahona.sources.file:open_source",
        "http": "tahona.sources.http:open_source",
        "https": "tahona.sources.http:open_source",
        "sqlite": "tahona.sources.sql:open_source",
        "postgresql": "tahona.sources.sql:open_source",
        "postgres": "tahona.sources.sql:open_source",
        "sample": "tahona.sources.sample:open_source",
    },
    "stores": {"file": "tahona.stores.folder:open_store", "s3": "tahona.stores.s3:open_store"},
    "publishers": {"file": "tahona.stores.folder_publisher:open_publisher", "s3": "tahona.stores.s3:open_publisher"},
    "ledgers": {
        "sqlite": "tahona.ledgers.sql:open_ledger",
        "postgresql": "tahona.ledgers.sql:open_ledger",
        "postgres": "tahona.ledgers.sql:open_ledger",
        "mlflow": "tahona.ledgers.mlflow:open_ledger",
    },
    "prediction logs": {
        "sqlite": "tahona.ledgers.predictions:open_prediction_log",
        "postgresql": "tahona.ledgers.predictions:open_prediction_log",
        "postgres": "tahona.ledgers.predictions:open_prediction_log",
    },
    "databases": {
        "sqlite": "tahona.ledgers.database:open_database",
        "postgresql": "tahona.ledgers.database:open_database",
        "postgres": "tahona.ledgers.database:open_database",
    },
    "executors": {
        "inline": "tahona.executors.inline:open_executor",
        "processes": "tahona.executors.processes:open_executor",
        "dask": "tahona.executors.dask:open_executor",
    },
    "orchestrators": {
        "local": "tahona.orchestrators.local:open_orchestrator",
        "prefect": "tahona.orchestrators.prefect:open_orchestrator",
        "metaflow": "tahona.orchestrators.metaflow:open_orchestrator",
        "airflow": "tahona.orchestrators.airflow:open_orchestrator",
        "dvc": "tahona.orchestrators.dvc:open_orchestrator",
    },
}


def open_project(
    place: Path,
    *,
    env: str | None = None,
    overrides: Sequence[str] = (),
    on: str = "local",
    python: Path | None = None,
) -> OpenProject:
    """Read the project file in (or at) ``place`` and open what it names.

    ``on`` is the orchestrator, ``python`` an interpreter that has it (without it an environment is made from our pins).
    How servers of its own are found (`tahona up`) is put into the environment: other programs are started with it.
    Versions that came with the project's files (a clone, `dvc pull`) are entered into a ledger that lacks them.
    """
    from tahona.project.load import load_project

    loaded = load_project(place, env=env, overrides=overrides)
    project = loaded.project
    enter(loaded.variables)
    opened = OpenProject(
        project=project,
        source=open_source(project),
        store=open_store(project),
        ledger=open_ledger(project),
        executor=open_executor(project),
        orchestrator=open_orchestrator(project, on, python),
        publisher=open_publisher(project),
        notices=loaded.findings,
    )
    enter_versions(opened)
    return opened


def enter(variables: Mapping[str, str]) -> None:
    """Put variables into the environment of this process and of all that it starts; an empty one is taken away."""
    for name, value in variables.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)


def start_servers(
    place: Path, *, env: str | None = None, overrides: Sequence[str] = (), tell: Callable[[str], None]
) -> tuple[Standing, ...]:
    """Start the servers that `[up]` names, with buckets, database and tables for the project, and make its files.

    What runs and what is there stays as it is. Raise SetupError for a server that does not start.
    """
    from tahona.project.load import load_project, load_up
    from tahona.servers.running import furnish, make_files, start

    root, up = load_up(place, env=env, overrides=overrides)
    servers = start(root, up.servers, tell)
    loaded = load_project(place, env=env, overrides=overrides)
    enter(loaded.variables)
    furnish(root, loaded.project)
    if "postgres" in up.servers and scheme(loaded.project.stores.ledger).startswith("postgres"):
        open_database(loaded.project).set_up()
    make_files(root, up.make, tell)
    return servers


def open_source(project: Project) -> Source:
    """Open the source of the project's data."""
    source = project.data.source
    opener = adapter("sources", scheme(source), where="data.source")
    return cast("Source", opener(source, project.data, project.root, project.root / ".tahona" / "cache"))


def open_table(
    project: Project,
    file: Path,
    bundle: Bundle,
    row_id: str | None = None,
    tell: Callable[[Finding], None] = lambda _: None,
) -> FileSource:
    """Open a file of raw rows for a bundle, inside the project or not: its columns are read as training read them.

    Separator, decimal mark, encoding, nulls and sheet hold that the project declares. A column ``row_id`` is read
    besides, as it stands. ``tell`` hears how the file was read.
    """
    return table_opener(project, row_id)(file, bundle, tell)


def table_opener(project: Project, row_id: str | None = None) -> Callable[..., FileSource]:
    """Return `open_table` for any file, as something that can travel: it takes no secret of the project along."""
    kept = project.data.model_dump(include={"nulls", "separator", "decimal", "encoding", "sheet"})
    return partial(_open_table, DataPart(source="-", **kept), row_id)


def _open_table(
    data: DataPart, row_id: str | None, file: Path, bundle: Bundle, tell: Callable[[Finding], None]
) -> FileSource:
    from tahona.bundle.raw import coded_columns, column_forms
    from tahona.sources.file import FileSource

    forms = column_forms(bundle)
    if row_id is not None:
        forms.setdefault(row_id, "text")
    coded = coded_columns(bundle) - {row_id}
    return FileSource(file, data, where=file.name, forms=forms, coded=coded, tell=tell)


def open_store(project: Project) -> Store:
    """Open the artifact store."""
    place = project.stores.artifacts
    return cast("Store", adapter("stores", scheme(place), where="stores.artifacts")(place, project.root))


def open_publisher(project: Project) -> Publisher | None:
    """Open the place for files that people read, if the project names one. It is asked only when a run is done."""
    place = project.publish.to
    if place is None:
        return None
    return cast("Publisher", adapter("publishers", scheme(place), where="publish.to")(place, project.root))


def open_ledger(project: Project) -> Ledger:
    """Open the ledger; its tables are made or brought up to date."""
    url = project.stores.ledger
    return cast("Ledger", adapter("ledgers", scheme(url), where="stores.ledger")(url, project.root))


def open_prediction_log(project: Project) -> PredictionLog:
    """Open the prediction log: in the ledger's database where that has Tahona's tables, else in a file of its own."""
    url = project.stores.ledger
    if scheme(url) not in ADAPTERS["prediction logs"]:
        url = "sqlite:///.tahona/predictions.db"
    return cast("PredictionLog", adapter("prediction logs", scheme(url))(url, project.root))


def open_database(project: Project) -> LedgerDatabase:
    """Return the database below the ledger, whether it is there or not."""
    url = project.stores.ledger
    kind = scheme(url)
    if kind not in ADAPTERS["databases"]:
        raise InputError(
            f"a ledger in '{kind}' has no tables of Tahona's",
            where="stores.ledger",
            fix="this command is for ledgers at sqlite:/// and postgresql://",
        )
    return cast("LedgerDatabase", adapter("databases", kind)(url, project.root))


def open_executor(project: Project) -> Executor:
    """Open the executor with its workers."""
    opener = adapter("executors", project.run.executor, where=project.place("run", "executor"))
    return cast("Executor", opener(project.run, project.root))


def open_orchestrator(project: Project, name: str, python: Path | None = None) -> Orchestrator:
    """Open an orchestrator for the project; its environment is made when it is first needed."""
    return cast("Orchestrator", adapter("orchestrators", name)(project.root.resolve(), python))


def scheme(place: str) -> str:
    """Return what stands before the colon of a URL, `file` for a path."""
    head, colon, _ = place.partition(":")
    return head.partition("+")[0].lower() if colon and len(head) > 1 else "file"


def adapter(port: str, name: str, *, where: str = "") -> Callable[..., Any]:
    """Import the function that opens this adapter; look at entry points for names that are not ours."""
    target = ADAPTERS[port].get(name) or _entry_point(port, name)
    if target is None:
        guess, known = did_you_mean(name, ADAPTERS[port]), ", ".join(sorted(ADAPTERS[port]))
        raise InputError(
            f"there is no {port.removesuffix('s')} called '{name}'",
            where=where,
            fix=f"{guess} There are {known}" if guess else f"one of {known}",
        )
    module, _, function = target.partition(":")
    try:
        return cast("Callable[..., Any]", getattr(import_module(module), function))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tahona"):
            raise
        raise SetupError(
            f"'{name}' needs the package {error.name}, which is not installed",
            where=where,
            fix=f"pip install {error.name}",
        ) from error


def _entry_point(port: str, name: str) -> str | None:
    from importlib.metadata import entry_points

    found = [point.value for point in entry_points(group=f"tahona.{port}") if point.name == name]
    return found[0] if found else None
