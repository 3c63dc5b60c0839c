"""The ledger in MLflow: an experiment per project, a run per run with its trials nested, registered models.

MLflow has no history of aliases, no gate and no transactions over more than one call. So what Tahona knows is kept
whole in tags (see `mlflow_tags`), and each method writes the tag that counts last: after a ``kill -9`` the next call
finds either nothing or everything, or an event marked pending, which it carries out. Tahona's processes on one machine
take turns by a file lock.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.digests import digest_file
from tahona.errors import InputError, RefusedError, SetupError
from tahona.ledgers import mlflow_tags as tagged
from tahona.ledgers.mlflow_address import MlflowAddress, parse_address
from tahona.lifecycle.environments import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import RegisteredModel

    from tahona.core.records import AliasEvent, RunRecord, TrialRecord, Version

CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # there stands our JSON document, and nothing else
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # its own seven take minutes to say that nobody listens
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
MODEL = "model"
"""Folder of the model among a run's artifacts."""
_ENDS = {"done": "FINISHED", "refused": "FAILED", "failed": "FAILED"}
_BATCH = 100
_PAGE = 1000
_PARENT = "mlflow.parentRunId"


def open_ledger(url: str, root: Path) -> MlflowLedger:
    """Open the ledger at `mlflow+sqlite:///…`, `mlflow+postgresql://…` or `mlflow+http://…`."""
    return MlflowLedger(parse_address(url, root))


class MlflowLedger:
    """A `Ledger`, and a `Gallery`, in MLflow."""

    def __init__(self, address: MlflowAddress) -> None:
        """Open the database (MLflow makes its tables) or ask the server. Raise SetupError when that fails."""
        self.place = address.place
        self._address = address
        with self._writing():
            self._client = _connect(address)

    def save_run(self, run: RunRecord) -> None:
        """Write the run, whole; a run with the same id is replaced."""
        from mlflow.entities import Param, RunTag

        params = tagged.shown_params(run.params)
        with self._writing():
            shown = self._shown_run(run.project, run.id, run.started)
            if any(params.get(key, value) != value for key, value in shown.data.params.items()):
                self._delete(shown)  # MLflow never changes a parameter
                shown = self._shown_run(run.project, run.id, run.started)
            fresh = [Param(key, value) for key, value in params.items() if key not in shown.data.params]
            for start in range(0, len(fresh), _BATCH):
                self._client.log_batch(shown.info.run_id, params=fresh[start : start + _BATCH])
            texts = tagged.pieces(tagged.RECORD, tagged.run_to_text(run))
            texts |= {"tahona.status": run.status, "tahona.chosen": run.chosen, "tahona.data_digest": run.data_digest}
            self._client.log_batch(
                shown.info.run_id,
                metrics=_metrics(run, shown.data.metrics),
                tags=[RunTag(key, value) for key, value in texts.items()],
            )
            if run.status in _ENDS:
                self._client.set_terminated(shown.info.run_id, _ENDS[run.status], _milliseconds(run.finished))
            else:
                self._client.update_run(shown.info.run_id, status="RUNNING")

    def runs(self, project: str | None = None) -> Sequence[RunRecord]:
        """Return the runs, the newest first."""
        with self._reported():
            found = {
                run.data.tags[tagged.RUN]: tagged.run_from_text(tagged.joined(run.data.tags, tagged.RECORD))
                for run in reversed(self._search(self._experiments(project), f"tags.`{tagged.RECORD}` LIKE '%'"))
            }
        return tuple(sorted(found.values(), key=lambda run: (run.started, run.id), reverse=True))

    def add_version(self, version: Version) -> Version:
        """Give the version MLflow's next number and keep it; the same run again gets what it got before."""
        with self._writing():
            model = self._model(version.name) or self._client.create_registered_model(version.name)
            for known in self._versions(model):
                if known.run == version.run:
                    return known
            shown = self._shown_run(version.name, version.run, version.created)
            made = self._client.create_model_version(
                version.name,
                source=f"{shown.info.artifact_uri}/{MODEL}",
                run_id=shown.info.run_id,
                description=" ".join(version.gate_reasons)[: tagged.LONGEST],
                tags={
                    tagged.RUN: version.run,
                    "tahona.gate": "passed" if version.gate_passed else "refused",
                    "tahona.model": version.model,
                    "tahona.bundle_digest": version.bundle_digest,
                    **tagged.pieces(tagged.VERSION, tagged.version_to_text(version)),
                },
            )
            return replace(version, number=int(made.version), aliases=())

    def versions(self, name: str) -> Sequence[Version]:
        """Return a model's versions that Tahona registered, the newest first; aliases filled in."""
        with self._settled(name) as model:
            return () if model is None else tuple(self._versions(model))

    def move_alias(self, event: AliasEvent) -> None:
        """Point an alias at a version and append the event to the history, both or neither.

        Raise InputError when there is no such version, RefusedError when the alias is no longer where the event says it
        was: whoever judged the move compared with another version than the present one.
        """
        with self._writing():
            model = self._model(event.name)
            if model is not None and self._settle(model):
                model = self._model(event.name)
            present = 0 if model is None else int(model.aliases.get(event.alias, 0))
            if present != event.previous:
                raise RefusedError(
                    f"alias '{event.alias}' points at version {present or 'none'} by now, not at "
                    f"{event.previous or 'none'}",
                    where=event.name,
                    fix="see tahona history, and judge the move again",
                )
            if model is None or (event.version and event.version not in self._numbers(model)):
                raise InputError(
                    f"model '{event.name}' has no version {event.version}",
                    where=event.name,
                    fix="tahona models lists them",
                )
            key = tagged.next_event_key(model.tags)
            for name, text in tagged.pieces(key, tagged.event_to_text(event, pending=True)).items():
                self._client.set_registered_model_tag(event.name, name, text)
            self._carry_out(key, event)

    def history(self, name: str) -> Sequence[AliasEvent]:
        """Return who moved which alias why, the oldest first."""
        with self._settled(name) as model:
            return () if model is None else tuple(event for _, event, _ in tagged.events(model.tags))

    def show_run(self, run: RunRecord, trials: Sequence[TrialRecord], files: Mapping[str, Path]) -> None:
        """Show each trial as a run nested in the run, and the files (name → file) among its artifacts."""
        with self._writing():
            shown = self._shown_run(run.project, run.id, run.started)
            known = {
                child.data.tags[tagged.TRIAL]: child
                for child in self._children(shown)
                if tagged.TRIAL in child.data.tags
            }
            for trial in trials:
                self._show_trial(shown, trial, known.get(f"{trial.family} {trial.number}"))
            with tempfile.TemporaryDirectory(prefix="tahona-mlflow-") as text:
                for name, file in files.items():
                    place = Path(text) / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, place)
                self._client.log_artifacts(shown.info.run_id, text)

    def show_model(self, version: Version, bundle: Path, modules: Mapping[str, Path]) -> None:
        """Log the bundle as a pyfunc model of its run, with the project's modules that clean its rows."""
        from tahona.ledgers.mlflow_model import write_model

        digest = digest_file(bundle)
        with self._writing():
            shown = self._shown_run(version.name, version.run, version.created)
            if shown.data.tags.get(tagged.BUNDLE) == digest:
                return
            with tempfile.TemporaryDirectory(prefix="tahona-mlflow-") as text:
                write_model(Path(text) / MODEL, bundle, modules)
                self._client.log_artifacts(shown.info.run_id, str(Path(text) / MODEL), MODEL)
            self._client.set_tag(shown.info.run_id, tagged.BUNDLE, digest)

    def _show_trial(self, parent: Run, trial: TrialRecord, known: Run | None) -> None:
        """Make the trial's run unless it is there; one that a dead process left half done is finished."""
        from mlflow.entities import Metric, Param

        if known is not None and known.info.status != "RUNNING":
            return
        name = f"{trial.family} {trial.number}"
        when = parent.info.start_time
        child = known or self._client.create_run(
            parent.info.experiment_id,
            start_time=when,
            run_name=name,
            tags={_PARENT: parent.info.run_id, tagged.TRIAL: name, "tahona.family": trial.family},
        )
        numbers = [] if trial.value is None else [Metric(trial.metric, trial.value, when, 0)]
        params = tagged.shown_params(trial.params)
        self._client.log_batch(
            child.info.run_id, metrics=numbers, params=[Param(key, value) for key, value in params.items()]
        )
        self._client.set_terminated(child.info.run_id, "FAILED" if trial.state == "failed" else "FINISHED", when)

    def _shown_run(self, project: str, run: str, started: str) -> Run:
        """Return MLflow's run for this run of ours, made if need be; of two made at once the first counts."""
        experiment = self._experiment(project)
        found = self._search([experiment], f"tags.`{tagged.RUN}` = '{run}'")
        if found:
            return found[0]
        return self._client.create_run(
            experiment, start_time=_milliseconds(started), run_name=run, tags={tagged.RUN: run}
        )

    def _experiment(self, project: str) -> str:
        found = self._client.get_experiment_by_name(project)
        if found is None:
            return self._client.create_experiment(
                project, artifact_location=self._address.artifacts and f"{self._address.artifacts}/{project}"
            )
        if found.lifecycle_stage != "active":
            raise SetupError(
                f"the experiment '{project}' was deleted in MLflow",
                where=self.place,
                fix=f"mlflow experiments restore --experiment-id {found.experiment_id}",
            )
        return str(found.experiment_id)

    def _experiments(self, project: str | None) -> list[str]:
        if project is not None:
            found = self._client.get_experiment_by_name(project)
            return [] if found is None else [found.experiment_id]
        return [each.experiment_id for each in _pages(lambda token: self._client.search_experiments(page_token=token))]

    def _search(self, experiments: list[str], wanted: str) -> list[Run]:
        """Return the runs that match, the oldest first."""
        if not experiments:
            return []
        order = ["attributes.start_time ASC", "attributes.run_id ASC"]
        return _pages(
            lambda token: self._client.search_runs(
                experiments, wanted, max_results=_PAGE, order_by=order, page_token=token
            )
        )

    def _children(self, run: Run) -> list[Run]:
        return self._search([run.info.experiment_id], f"tags.`{_PARENT}` = '{run.info.run_id}'")

    def _delete(self, run: Run) -> None:
        for each in (*self._children(run), run):
            self._client.delete_run(each.info.run_id)

    def _model(self, name: str) -> RegisteredModel | None:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _versions(self, model: RegisteredModel) -> Iterator[Version]:
        pointing: dict[int, tuple[str, ...]] = {}
        for alias, number in sorted(model.aliases.items()):
            pointing[int(number)] = (*pointing.get(int(number), ()), alias)
        found = _pages(
            lambda token: self._client.search_model_versions(
                f"name = '{model.name}'", max_results=_PAGE, page_token=token
            )
        )
        for each in sorted(found, key=lambda version: -int(version.version)):
            if tagged.VERSION in each.tags:
                number = int(each.version)
                text = tagged.joined(each.tags, tagged.VERSION)
                yield tagged.version_from_text(text, number, pointing.get(number, ()))

    def _numbers(self, model: RegisteredModel) -> set[int]:
        return {version.number for version in self._versions(model)}

    @contextmanager
    def _settled(self, name: str) -> Iterator[RegisteredModel | None]:
        """Give the model after carrying out what a dead process left pending."""
        with self._reported():
            model = self._model(name)
            if model is not None and any(pending for *_, pending in tagged.events(model.tags)):
                with locked(self._address.lock):  # whoever is at work is waited for
                    model = self._model(name)
                    if model is not None and self._settle(model):
                        model = self._model(name)
            yield model

    def _settle(self, model: RegisteredModel) -> bool:
        """Carry out pending events; the caller holds the lock. Tell whether there were any."""
        waiting = [(key, event) for key, event, pending in tagged.events(model.tags) if pending]
        for key, event in waiting:
            self._carry_out(key, event)
        return bool(waiting)

    def _carry_out(self, key: str, event: AliasEvent) -> None:
        if event.version:
            self._client.set_registered_model_alias(event.name, event.alias, str(event.version))
        else:
            self._client.delete_registered_model_alias(event.name, event.alias)
        for name, text in tagged.pieces(key, tagged.event_to_text(event, pending=False)).items():
            self._client.set_registered_model_tag(event.name, name, text)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reported(), locked(self._address.lock):
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn what MLflow, its database or the way to its server refuses into a SetupError that names the place."""
        try:
            yield
        except _refusals() as error:
            reason = self._address.masked(str(error).partition("\n")[0])[:300]
            raise SetupError(
                f"the MLflow ledger cannot be used: {reason}",
                where=self.place,
                fix="see that the MLflow server runs and lets you in (MLFLOW_TRACKING_USERNAME, …_PASSWORD, …_TOKEN)"
                if self._address.is_server
                else "see that the database is there and may be written to, or name another one in stores.ledger",
            ) from None  # MLflow's own chain shows statements with their values


def _connect(address: MlflowAddress) -> MlflowClient:
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    if not address.is_server:
        _knock(address)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about releases to come of what it stands on
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError as error:
            raise SetupError(
                f"a ledger in MLflow needs the package {error.name}, which is not installed",
                where="stores.ledger",
                fix="pip install 'tahona[mlflow]'",
            ) from error
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        client = MlflowClient(address.tracking, address.tracking)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return client


def _knock(address: MlflowAddress) -> None:
    """Connect once: MLflow itself would try for an hour before it says that a database does not answer."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    if address.tracking.startswith("sqlite"):
        address.lock.parent.mkdir(parents=True, exist_ok=True)
    with create_engine(address.tracking, poolclass=NullPool).connect():
        pass


def _refusals() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, RequestException, SQLAlchemyError)


def _pages(ask: Any) -> list[Any]:  # noqa: ANN401 - MLflow's PagedList of whatever is asked for
    found, token = [], None
    while True:
        page = ask(token)
        found += page
        token = page.token
        if not token:
            return found


def _metrics(run: RunRecord, known: Mapping[str, float]) -> list[Any]:
    """Return the run's numbers as MLflow's metrics, those left out that it has already."""
    from math import isfinite

    from mlflow.entities import Metric

    rows: list[tuple[str, Mapping[str, Any], str]] = [
        (part, interval.to_dict(), metric)
        for part, metrics in {"test": run.test, **{f"test/{m}": each for m, each in run.candidates.items()}}.items()
        for metric, interval in metrics.items()
    ]
    rows += [(f"folds/{row['model']}", row, row["metric"]) for row in run.leaderboard]
    numbers = {
        f"{part}/{metric}{ending}": row.get(key)
        for part, row, metric in rows
        for key, ending in (("value", ""), ("low", "/low"), ("high", "/high"))
    }
    when = _milliseconds(run.finished or run.started)
    return [
        Metric(name, float(value), when, 0)
        for name, value in numbers.items()
        if value is not None and isfinite(value) and known.get(name) != value
    ]


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
