"""`kill -9` at any instant, then run again: the same result, and no finished step done twice."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from killing import KILLED, Nursery, nursery, run_and_kill
from projects import QUICK, Command, all_outputs, edit, kept_files, output, write_project
from survival import assert_cleared, assert_same_end, assert_whole, results

pytestmark = pytest.mark.slow

STEPS = 11
INSTANTS = int(os.environ.get("TAHONA_KILLS", "20"))
"""How many instants, spread over a whole run; 200 take ten times as long."""
STUDY = """
[train.search.logistic_regression]
C = { float = [0.01, 10.0], log = true }
"""


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for temporary files of all processes that die here, and of the `tahona gc` after them."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(autouse=True)
def temporary_files_go_there(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))


@pytest.fixture(scope="module")
def mortal(temporary: Path) -> Iterator[Nursery]:
    with nursery(temporary) as found:
        yield found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, mortal: Nursery) -> Path:
    """The quick project after a run that nothing disturbed, and how many writing operations that took."""
    folder = write_project(tmp_path_factory.mktemp("uninterrupted") / "quick")
    assert mortal.run("run", "-C", folder, count=folder / "operations") == 0
    return folder


def test_killed_before_and_after_every_step_boundary(
    mortal: Nursery, tmp_path: Path, uninterrupted: Path, temporary: Path, here: Command
) -> None:
    """A record is made visible by a link: each step is killed once just before its link and once just after it."""
    folder = write_project(tmp_path / "quick")
    for number in range(STEPS):
        for after in (False, True):
            before = results(folder)
            assert mortal.run("run", "-C", folder, event="os.link", number=1, after=after) == KILLED
            now = results(folder)
            assert len(now) == number + after
            assert {name: now[name] for name in before} == before
    before = results(folder)
    assert mortal.run("run", "-C", folder) == 0
    assert results(folder) == before
    assert_same_end(folder, uninterrupted)
    assert_cleared(folder, temporary, here)
    assert mortal.run("run", "-C", folder) == 0
    assert results(folder) == before


def test_steps_killed_one_by_one_are_taken_up_by_a_run(mortal: Nursery, tmp_path: Path, uninterrupted: Path) -> None:
    """An orchestrator's worker that dies in each step on its first attempt costs that attempt only."""
    folder = write_project(tmp_path / "quick")
    for step in ("ingest", "clean", "split", "audit", "train@tree"):
        assert mortal.run("step", step, "-C", folder, event="os.rename", path="/new/", number=1) == KILLED
        assert mortal.run("step", step, "-C", folder) == 0
    before = results(folder)
    assert mortal.run("run", "-C", folder) == 0
    assert {name: results(folder)[name] for name in before} == before
    assert_same_end(folder, uninterrupted)


@pytest.mark.parametrize("instant", range(INSTANTS))
def test_killed_at_any_writing_operation(
    mortal: Nursery, tmp_path: Path, uninterrupted: Path, temporary: Path, here: Command, instant: int
) -> None:
    """Operations spread over all there are: opening, renaming, linking, removing files, the database's too.

    Every second time `tahona gc` goes over what the dead process left before the run goes on.
    """
    operations = int((uninterrupted / "operations").read_text("utf-8"))
    within = operations * (instant + np.random.default_rng(instant).random()) / INSTANTS
    folder = write_project(tmp_path / "quick")
    assert mortal.run("run", "-C", folder, number=max(1, int(within))) == KILLED
    if (folder / ".tahona" / "artifacts").is_dir():
        assert_whole(folder)
    before = results(folder)
    if instant % 2:
        assert_cleared(folder, temporary, here)
    assert mortal.run("run", "-C", folder) == 0
    assert {name: results(folder)[name] for name in before} == before
    assert_same_end(folder, uninterrupted)
    assert_cleared(folder, temporary, here)


def test_killed_from_outside_again_and_again(mortal: Nursery, tmp_path: Path, uninterrupted: Path) -> None:
    """At instants that nobody chose, the same project each time."""
    folder = write_project(tmp_path / "quick")
    rng = np.random.default_rng(5)
    for _ in range(8):
        before = results(folder)
        code = mortal.run("run", "-C", folder, after_seconds=float(rng.uniform(0.05, 0.6)))
        assert code in {KILLED, 0}
        assert {name: results(folder)[name] for name in before} == before
    assert mortal.run("run", "-C", folder) == 0
    assert_same_end(folder, uninterrupted)


@pytest.mark.parametrize("on", ["local"])
def test_killed_with_all_its_workers_again_and_again(
    tmp_path: Path, uninterrupted: Path, temporary: Path, here: Command, on: str
) -> None:
    """The command itself, on an orchestrator, with an executor's processes: each attempt has a little more time."""
    folder = write_project(tmp_path / "quick")
    words = ("run", "-C", folder, "--on", on, "--set", "run.executor=processes", "--set", "run.workers=2")
    code, seconds = KILLED, 1.5
    while code == KILLED:
        before = results(folder)
        code = run_and_kill(seconds, *words, env={"TMPDIR": str(temporary)})
        assert {name: results(folder)[name] for name in before} == before
        seconds *= 1.5
    assert code == 0
    assert seconds > 3  # it was killed at least twice
    assert_same_end(folder, uninterrupted)
    assert_cleared(folder, temporary, here)


def test_an_interrupted_study_goes_on_where_it_stopped(mortal: Nursery, tmp_path: Path) -> None:
    """Trials that were finished are not tried again, and the best is the one of a study that was never interrupted."""
    text = QUICK.partition("[train.search.logistic_regression]")[0] + STUDY
    folders = [write_project(tmp_path / name, text) for name in ("whole", "broken")]
    for folder in folders:
        edit(folder, "[train]", "[train]\ntrials = 9\nbatch = 2")
    whole, broken = folders
    assert mortal.run("run", "-C", whole) == 0
    step = ("step", "train@logistic_regression", "-C", broken)
    for early in ("ingest", "clean", "split", "audit"):
        assert mortal.run("step", early, "-C", broken) == 0
    tried = b""
    for _ in range(3):
        assert mortal.run(*step, event="open", path="trials_", number=6) == KILLED
        (journal,) = (broken / ".tahona" / "notes").rglob("trials_*.jsonl")
        lines = journal.read_bytes()
        assert lines.startswith(tried)
        assert lines.count(b"\n") == tried.count(b"\n") + 5
        tried = lines
        with journal.open("ab") as file:
            file.write(b'{"number": 3, "fo')  # as a power failure would leave it
    assert mortal.run("run", "-C", broken) == 0
    name = "train@logistic_regression"
    found = json.loads(output(broken, name, "search.json").read_text("utf-8"))
    assert len(found["trials"]) == 9
    assert output(broken, name, "search.json").read_bytes() == output(whole, name, "search.json").read_bytes()
    assert all_outputs(broken) == all_outputs(whole)


def test_a_run_after_a_kill_says_what_it_found_done(mortal: Nursery, tmp_path: Path, tahona: Command) -> None:
    """The same with the command itself, as a user has it."""
    folder = write_project(tmp_path / "quick")
    assert mortal.run("run", "-C", folder, event="os.link", number=6, after=True) == KILLED
    before = kept_files(folder)
    answer = tahona("run", "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    found = [step["state"] for step in answer.document["steps"]]
    assert found == ["cached"] * 6 + ["done"] * 5
    after = kept_files(folder)
    kept = {name for name in before if not name.startswith("new/")}
    assert kept
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
