"""One measured run: a peer, a table, a seed. What was measured is kept, so that only what is new runs again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import tahona
from peers.environments import REQUIREMENTS, python_of
from peers.measuring import measure

HERE = Path(__file__).resolve().parent
LIMIT = 3 * 3600.0
"""Seconds after which a peer is stopped."""
THREADS = ("OMP_", "OPENBLAS_", "MKL_", "BLIS_", "NUMEXPR_", "VECLIB_", "LOKY_", "PYTHON")
"""Settings of the caller's that no peer gets: each has the threads that its users have."""
Arguments = Mapping[str, float | str]


@dataclass(frozen=True)
class Peer:
    """A tool that learns, and with which arguments it does so on which table."""

    name: str
    title: str
    script: str
    environment: str | None
    """Name of its requirements; None is the project's own environment."""
    arguments: Mapping[str, Arguments] = field(default_factory=dict)
    """By table; ``*`` for every other."""
    budget_of: str | None = None
    """It gets the CPU seconds that this peer took for the same table and seed."""

    def arguments_for(self, data: str) -> dict[str, float | str]:
        return dict(self.arguments.get(data, self.arguments.get("*", {})))


@dataclass(frozen=True)
class Result:
    """What is kept of a run."""

    peer: str
    data: str
    seed: int
    arguments: Arguments
    date: str
    facts: Mapping[str, Any]
    """What the peer said of itself: chosen model, versions, times, sizes."""
    training: Mapping[str, float]
    """Wall and CPU seconds, peak memory of the process that trained and saved."""
    predictions: np.ndarray

    @property
    def key(self) -> tuple[str, tuple[tuple[str, float | str], ...]]:
        return self.peer, tuple(sorted(self.arguments.items()))


def versions_of(peer: Peer) -> str:
    """Return what changes when the peer does: its pins, or Tahona's own code with what is installed beside it."""
    if peer.environment:
        return (REQUIREMENTS / f"{peer.environment}.txt").read_text("utf-8")
    root = Path(tahona.__file__).parent
    code = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        code.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return code.hexdigest()


def place_of(peer: Peer, arguments: Arguments, task: Path, cache: Path) -> Path:
    """Return the folder of a run's result: another peer, table, cut, argument or version has another."""
    about = json.loads((task / "task.json").read_text("utf-8"))
    told = json.dumps([dict(arguments), versions_of(peer), about["digest"], about["metric"]], sort_keys=True)
    return cache / "results" / peer.name / f"{task.name}-{hashlib.sha256(told.encode()).hexdigest()[:10]}"


def run(peer: Peer, arguments: Arguments, task: Path, cache: Path) -> Path:
    """Measure a peer on a task unless that has been done; return the folder of its result. Raises PeerError."""
    place = place_of(peer, arguments, task, cache)
    if (place / "result.json").is_file():
        return place
    about = json.loads((task / "task.json").read_text("utf-8"))
    python = python_of(peer.environment, cache / "environments") if peer.environment else Path(sys.executable)
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(THREADS)}
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # in favour of peers with threads: theirs spin while they wait
    costs = {}
    for phase in ("train", "predict"):
        costs[phase] = measure(
            (python, HERE / peer.script, phase, task, part, f"--seed={about['seed']}", *words),
            log=part / "log.txt",
            cwd=part,
            env=environment,
            limit=LIMIT,
        ).facts()
    document = {
        "peer": peer.name,
        "data": about["data"],
        "seed": about["seed"],
        "arguments": dict(arguments),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "facts": {**read(part / "train.json"), **read(part / "predict.json")},
        "training": costs["train"],
        "predicting": costs["predict"],
    }
    (part / "result.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    for folder in ("model", "project"):  # a gigabyte, for some
        shutil.rmtree(part / folder, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    part.replace(place)
    return place


def read_result(place: Path) -> Result:
    about = read(place / "result.json")
    about.pop("predicting")
    return Result(**about, predictions=np.load(place / "predictions.npy"))


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document
