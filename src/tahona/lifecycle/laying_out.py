"""Lay a step's result out in the project as files, for people and for programs that keep versions of files.

    data/raw/<name>_raw_<YYYYMMDD>.parquet               ingest
    data/interim/<name>_interim_<YYYYMMDD>.parquet       clean
    data/processed/<name>_train_processed_<YYYYMMDD>.parquet, and …_test_…     split
    models/<name>.tahona                                 select: the bundle
    reports/metrics/<name>.json                          evaluate: metric → value on the test rows
    reports/report.html, report.md, model_card.md, figures/      report
    .tahona/laid/<step>/                                 the rest of every step (`lifecycle/taking_in.py`)

The day is the caller's: the day of the data, not of the clock, so that laying out twice gives the same names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.naming import data_name, word
from tahona.digests import digest_file
from tahona.errors import InputError
from tahona.lifecycle.taking_in import FORMAT, LAID, LEDGER, Entries, Laid, laid_folder

if TYPE_CHECKING:
    from tahona.lifecycle.road import Road


def peoples_places(name: str, station: str, day: date) -> Mapping[str, str]:
    """Return where in the project a station's outputs lie that people open: output, or folder of outputs → path."""
    raw, interim = (f"data/{phase}/{data_name(name, phase, day)}" for phase in ("raw", "interim"))
    train, test = (f"data/processed/{data_name(f'{name}_{part}', 'processed', day)}" for part in ("train", "test"))
    pages = ("report.html", "report.md", "model_card.md", "figures")
    return {
        "ingest": {"raw.parquet": raw},
        "clean": {"interim.parquet": interim},
        "split": {"train.parquet": train, "test.parquet": test},
        "select": {"bundle.zip": f"models/{word(name)}.tahona"},
        "report": {page: f"reports/{page}" for page in pages},
    }.get(station, {})


def metrics_place(name: str) -> str:
    """Return where the test metrics lie."""
    return f"reports/metrics/{word(name)}.json"


def lay_out(road: Road, step_id: str, day: date) -> None:
    """Write the step's result into the project's folders; what lies there already with the same bytes stays.

    Raise InputError where the project's own data would be overwritten.
    """
    opened, result = road.opened, road.result(step_id)
    assert result is not None
    root, own = opened.project.root, laid_folder(step_id)
    named = peoples_places(opened.project.name, road.plan[step_id].station, day)
    places = {output: _place(output, named) or f"{own}/{output}" for output in result.outputs}
    source = root / opened.project.data.source
    if any((root / place).resolve() == source.resolve() for place in places.values()):
        raise InputError(
            "the raw table would be laid out over the project's own data",
            where=opened.project.place("data", "source"),
            fix="lay out with another day, or rename that file",
        )
    _clear(root / own, keep={root / place for place in places.values()})
    for output, digest in result.outputs.items():
        place = root / places[output]
        if not place.is_file() or digest_file(place) != digest:
            _write(place, opened.store.get(digest))
    if "evaluation.json" in result.outputs:
        metrics = json.loads(opened.store.get(result.outputs["evaluation.json"]).read_bytes())["metrics"]
        _write(root / metrics_place(opened.project.name), {key: value["value"] for key, value in metrics.items()})
    if "registration.json" in result.outputs:
        known = Entries.of(opened)
        lists = {"versions": [*map(asdict, known.versions)], "history": [*map(asdict, known.history)]}
        _write(root / own / LEDGER, {"format": FORMAT, **lists})
    _write(root / own / LAID, Laid(result, places).to_dict())


def _place(output: str, named: Mapping[str, str]) -> str:
    """Return people's place of an output, or the empty string: by its name, or by the folder that it lies in."""
    folder, _, inside = output.partition("/")
    return f"{named[folder]}/{inside}" if inside and folder in named else named.get(output, "")


def _clear(folder: Path, keep: set[Path]) -> None:
    """Remove what an earlier result left in the folder."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file not in keep:
            file.unlink()


def _write(place: Path, content: Path | Mapping[str, object]) -> None:
    """Write a copy of the file, or the document; it appears whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    if isinstance(content, Path):
        shutil.copyfile(content, fresh)
    else:
        fresh.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n", "utf-8")
    fresh.replace(place)
