"""Several runs of one project at once, and clocks that jump: versions, aliases and history stay in order."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from killing import Nursery, nursery
from projects import Command, all_outputs, write_project
from survival import assert_cleared

from tahona.core.records import AliasEvent, RunRecord, Version
from tahona.lifecycle.running import run_project
from tahona.ports import Ledger
from tahona.wiring import open_project


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("temporary")) as found:
        yield found


def variant(number: int) -> tuple[str, ...]:
    """Return settings that make another run of the same table."""
    return ("--set", f"train.search.logistic_regression.C=[{0.1 * (number + 1):.1f}]")


def facts(folder: Path, *words: str) -> dict[str, tuple[object, ...]]:
    """Return what each run's version is, whatever its number."""
    ledger = open_project(folder, overrides=words).ledger
    return {
        version.run: (version.bundle_digest, version.predictions_digest, version.model, dict(version.metrics))
        for version in ledger.versions("quick")
    }


def assert_in_order(ledger: Ledger, count: int) -> None:
    """Versions count from 1 without a gap; each move starts where the last one of its alias ended."""
    versions = ledger.versions("quick")
    assert [version.number for version in versions] == list(range(count, 0, -1))
    assert len({version.run for version in versions}) == count
    present: dict[str, int] = {}
    history = ledger.history("quick")
    for event in history:
        assert event.previous == present.get(event.alias, 0)
        present[event.alias] = event.version
    assert {alias: version.number for version in versions for alias in version.aliases} == present
    assert sorted(event.version for event in history) == list(range(1, count + 1))
    assert {run.status for run in ledger.runs("quick")} == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 8])
def test_different_runs_at_once_are_numbered_and_right(
    mortal: Nursery, tmp_path: Path, here: Command, count: int
) -> None:
    """Each gives, bit for bit, what it gives when it runs alone."""
    alone, together = (write_project(tmp_path / name) for name in ("alone", "together"))
    for number in range(count):
        assert mortal.run("run", "-C", alone, *variant(number)) == 0
    codes = mortal.together(*(("run", "-C", together, *variant(number)) for number in range(count)))
    assert codes == [0] * count
    assert facts(together) == facts(alone)
    assert_in_order(open_project(together).ledger, count)
    assert_cleared(together, tmp_path, here)


@pytest.mark.slow
def test_the_same_run_many_times_at_once_is_one_run(mortal: Nursery, tmp_path: Path, here: Command) -> None:
    alone, together = (write_project(tmp_path / name) for name in ("alone", "together"))
    assert mortal.run("run", "-C", alone) == 0
    assert mortal.together(*(("run", "-C", together) for _ in range(6))) == [0] * 6
    assert all_outputs(together) == all_outputs(alone)
    assert_in_order(open_project(together).ledger, 1)
    assert len(open_project(together).ledger.runs()) == 1
    assert_cleared(together, tmp_path, here)


@pytest.mark.slow
def test_runs_of_several_folders_share_a_ledger_and_a_store(mortal: Nursery, tmp_path: Path) -> None:
    """As on several machines: no lock of one folder is known to the others, so one overtakes another."""
    shared = tmp_path / "shared"
    shared.mkdir()
    store, ledger = json.dumps(str(shared / "store")), json.dumps(f"sqlite:///{shared / 'ledger.db'}")
    places = ("--set", f"stores.artifacts={store}", "--set", f"stores.ledger={ledger}")
    folders = [write_project(tmp_path / f"machine{number}") for number in range(5)]
    commands = [("run", "-C", folder, *places, *variant(number)) for number, folder in enumerate(folders)]
    assert mortal.together(*commands) == [0] * 5
    assert_in_order(open_project(folders[0], overrides=places[1::2]).ledger, 5)


class Overtaking:
    """A ledger in which somebody else's version becomes champion just before ours is to."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._times = 3

    def move_alias(self, event: AliasEvent) -> None:
        if event.alias == "champion" and self._times:
            self._times -= 1
            first = self._ledger.versions("quick")[-1]
            rival = self._ledger.add_version(replace(first, run=f"rival-{self._times}", number=0, aliases=()))
            self._ledger.move_alias(replace(event, version=rival.number, who="rival"))
        self._ledger.move_alias(event)

    def save_run(self, run: RunRecord) -> None:
        self._ledger.save_run(run)

    def runs(self, project: str | None = None) -> Sequence[RunRecord]:
        return self._ledger.runs(project)

    def add_version(self, version: Version) -> Version:
        return self._ledger.add_version(version)

    def versions(self, name: str) -> Sequence[Version]:
        return self._ledger.versions(name)

    def history(self, name: str) -> Sequence[AliasEvent]:
        return self._ledger.history(name)


def test_a_version_that_is_overtaken_is_judged_against_the_new_champion(project: Path, here: Command) -> None:
    """Three times somebody is faster: the run is done all the same, and the gate's words are about the last of them."""
    assert here("run", "-C", project).code == 0
    opened = open_project(project, overrides=["train.search.logistic_regression.C=[1.0]"])
    summary = run_project(replace(opened, ledger=Overtaking(opened.ledger)))
    assert (summary.status, summary.version, summary.champion) == ("done", 2, True)
    moves = [(event.who == "rival", event.version, event.previous) for event in opened.ledger.history("quick")]
    assert moves == [(False, 1, 0), (True, 3, 1), (True, 4, 3), (True, 5, 4), (False, 2, 5)]
    assert opened.ledger.versions("quick")[3].aliases == ("champion",)
    assert summary.gate["passed"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("faketime") is None, reason="libfaketime comes with the Debian package faketime")
def test_a_clock_that_jumps_changes_no_order(project: Path, tmp_path: Path, here: Command) -> None:
    """Processes that think it is long ago or far ahead, each with its own clock: what came later stays later."""

    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def at(clock: str, *words: object) -> dict[str, Any]:
        command = Path(sys.executable).with_name("tahona")
        done = subprocess.run(
            ["faketime", "-f", clock, str(command), *map(str, words), "-C", str(project), "--json"],
            env={**os.environ, "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return dict(json.loads(done.stdout))

    clocks = ["+0d", "-400d", "+400d", "-1d"]
    runs = [at(clock, "run", *variant(number))["run"] for number, clock in enumerate(clocks)]
    at("+900d", "promote", "1")
    at("-900d", "rollback")
    shown = here("runs", "-C", project, "--json").document["runs"]
    assert [run["run"] for run in shown] == runs[::-1]
    assert {run["status"] for run in shown} == {"done"}
    assert all(run["started"] <= run["finished"] for run in shown)
    assert here("show", "-C", project, "--json").document["run"] == runs[-1]
    models = here("models", "-C", project, "--json").document["models"]
    assert [(model["number"], model["run"]) for model in models] == [(n, runs[n - 1]) for n in (4, 3, 2, 1)]
    history = here("history", "-C", project, "--json").document["history"]
    assert [(event["action"], event["version"]) for event in history][-2:] == [("promote", 1), ("rollback", 4)]
    assert at("+400d", "gc")["removed"] == [{"kind": "objects that no result names", "count": 1, "bytes": 18}]
    again = at("-400d", "run", *variant(3))
    assert again["nothing_to_do"]
