"""Lay out a finished run's files under names that people know, in a folder of the run's own.

`LAYOUTS` says which names: each stands beside the function that makes its file. A name that is there already stays as
it is and its file is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.naming import data_name, model_name
from tahona.lifecycle.exporting import short_name, write_pickle
from tahona.lifecycle.road import Road
from tahona.lifecycle.workplace import scratch_folder
from tahona.steps.documents import read_json, read_table

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle

DUMMY = "dummy"
Make = Callable[[Path], Path]
"""Gives the file to publish: one of the store's, or one written at the path it is given."""
Names = Iterator[tuple[str, Make]]


def publish_run(road: Road) -> str:
    """Publish the run's files as `[publish]` says and return their folder; nothing and "" where it says nothing.

    Raise SetupError where a file cannot be laid out; those before it stay, and the next time goes on from there.
    """
    publisher, part = road.opened.publisher, road.opened.project.publish
    if publisher is None:
        return ""
    with scratch_folder(road.opened.folder, "publish") as scratch:
        for name, make in LAYOUTS[part.layout](Finished(road)):
            place = f"{road.plan.run}/{name}"
            if not publisher.has(place):
                publisher.publish(place, make(scratch / name.replace("/", "_")))
    return f"{publisher.place}/{road.plan.run}"


@dataclass(frozen=True, slots=True)
class Finished:
    """A run all of whose steps have their results."""

    road: Road

    @property
    def name(self) -> str:
        return self.road.opened.project.name

    @property
    def families(self) -> tuple[str, ...]:
        """Name the families that were trained, without the dummy."""
        return tuple(step.family for step in self.road.plan if step.station == "train" and step.family != DUMMY)

    def file(self, step: str, name: str) -> Path:
        """Return a step's result file."""
        result = self.road.result(step)
        assert result is not None
        return self.road.opened.store.get(result.outputs[name])

    def kept(self, step: str, name: str) -> Make:
        """Return what gives a step's result file as it is."""
        return lambda _: self.file(step, name)

    def document(self, step: str, name: str) -> dict[str, Any]:
        return dict(read_json(self.file(step, name)))

    def report(self) -> Names:
        """Give the report's page, text, card and figures under the names that they have in the project's `reports`."""
        result = self.road.result("report")
        assert result is not None
        for name in result.outputs:
            yield f"reports/{name}", self.kept("report", name)


def ccds(run: Finished) -> Names:
    """Name the files as Cookiecutter Data Science lays them out, by the four rules of `tahona names check`."""
    part = run.road.opened.project.publish
    registration = run.document("register", "registration.json")
    number, chosen = registration["version"], run.document("evaluate", "evaluation.json")["chosen"]
    if part.data:
        day = date.fromisoformat(run.document("register", "registered.json")["created"][:10])
        yield f"data/raw/{data_name(run.name, 'raw', day)}", run.kept("ingest", "raw.parquet")
        yield f"data/interim/{data_name(run.name, 'interim', day)}", run.kept("clean", "interim.parquet")
        for role in ("train", "test"):
            name = data_name(f"{run.name}_{role}", "processed", day)
            yield f"data/processed/{name}", run.kept("split", f"{role}.parquet")
    yield f"models/{run.name}_v{number}.tahona", run.kept("select", "bundle.zip")
    if part.pickles:
        yield f"models/{model_name(short_name(chosen), run.name, number)}", partial(_pickle, run, chosen)
    yield "reports/metrics/evaluation.json", run.kept("evaluate", "evaluation.json")
    yield "reports/metrics/leaderboard.json", run.kept("select", "leaderboard.json")
    yield from run.report()


def flat(run: Finished) -> Names:
    """Name a table, its labels, and model, confusion matrix and ROC curve of every family by its short name."""
    part = run.road.opened.project.publish
    if part.data:
        yield f"data/{run.name}.csv", partial(_table, run, labels=False)
        yield f"data/{run.name}_y.csv", partial(_table, run, labels=True)
    evaluation = run.document("evaluate", "evaluation.json")
    for family in evaluation["candidates"]:
        short = short_name(family)
        yield f"{short}_model.tahona", partial(_bundle, run, family)
        if part.pickles:
            yield f"{short}_model.pkl", partial(_pickle, run, family)
        yield f"confusion_matrix_{short}.png", partial(_figure, run, "confusion_matrix", family)
        if evaluation["rocs"][family]:
            yield f"roc_curve_{short}.png", partial(_figure, run, "roc_curve", family)


LAYOUTS: Mapping[str, Callable[[Finished], Names]] = {"ccds": ccds, "flat": flat}


def _table(run: Finished, place: Path, *, labels: bool) -> Path:
    """Write the cleaned table without its labels, or the labels alone, as CSV in the order of the rows."""
    from tahona.core.schema import ROW

    frame = read_table(run.file("clean", "interim.parquet")).drop(columns=ROW)
    target = run.road.opened.project.project.target
    (frame[[target]] if labels else frame.drop(columns=target)).to_csv(place, index=False, lineterminator="\n")
    return place


def _figure(run: Finished, topic: str, family: str, place: Path) -> Path:
    from tahona.report.figures import draw_of_family

    board = run.document("select", "leaderboard.json")
    language = run.road.opened.project.project.language
    draw_of_family(topic, run.document("evaluate", "evaluation.json"), board, family, language, place)
    return place


def _bundle(run: Finished, family: str, place: Path) -> Path:
    from tahona.bundle.bundle import save_bundle
    from tahona.steps.select import judged_rows

    if family == run.document("select", "leaderboard.json")["chosen"]:
        return run.file("select", "bundle.zip")
    bundle = bundle_of(run, family)
    seed = run.road.opened.project.split.seed
    save_bundle(bundle, place, judged_rows(run.file("split", "train.parquet"), bundle.schema, seed))
    return place


def _pickle(run: Finished, family: str, place: Path) -> Path:
    write_pickle(bundle_of(run, family), place)
    return place


def bundle_of(run: Finished, family: str) -> Bundle:
    """Return a bundle with this family alone; of the chosen model the one that was registered."""
    from dataclasses import replace

    from tahona.bundle.bundle import Member, load_bundle
    from tahona.learn.calibration import Calibrator
    from tahona.steps.select import fitted_model

    registered = load_bundle(run.file("select", "bundle.zip"))
    if family == registered.title:
        return registered
    own = run.document("select", "selection.json")[family]
    files = run.road.files(f"train@{family}")
    member = Member(fitted_model(files), Calibrator.from_dict(own["calibrator"]))
    return replace(registered, members=(member,), threshold=own["threshold"])
