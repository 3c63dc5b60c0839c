"""`kill -9` at any instant, then run again: the same result, and no finished step done twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from killing import KILLED, Nursery, nursery
from projects import QUICK, Command, all_outputs, edit, kept_files, output, write_project

from tahona.digests import digest_file

pytestmark = pytest.mark.slow

STEPS = 11
INSTANTS = 12
STUDY = """
[train.search.logistic_regression]
C = { float = [0.01, 10.0], log = true }
"""


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("temporary")) as found:
        yield found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, mortal: Nursery) -> Path:
    """The quick project after a run that nothing disturbed, and how many writing operations that took."""
    folder = write_project(tmp_path_factory.mktemp("uninterrupted") / "quick")
    assert mortal.run("run", "-C", folder, count=folder / "operations") == 0
    return folder


def results(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return inode, time and bytes of every finished step's record."""
    found = {}
    for path in (folder / ".tahona" / "artifacts" / "results").glob("*"):
        about = path.stat()
        found[path.name] = (about.st_ino, about.st_mtime_ns, path.read_bytes())
    return found


def assert_whole(folder: Path) -> None:
    """Every artefact has the bytes that its name says, and every finished step's files are there."""
    store = folder / ".tahona" / "artifacts"
    for path in (store / "objects").rglob("*"):
        if path.is_file():
            assert digest_file(path) == path.name
    for _, _, data in results(folder).values():
        for digest in json.loads(data)["outputs"].values():
            assert (store / "objects" / digest[:2] / digest).is_file()


def assert_same_end(folder: Path, uninterrupted: Path) -> None:
    """The interrupted project ended as the other did: same bytes, one run, one version, nothing lying about."""
    for name in ("predictions.parquet", "evaluation.json"):
        same = output(uninterrupted, "evaluate", name).read_bytes()
        assert output(folder, "evaluate", name).read_bytes() == same
    assert all_outputs(folder) == all_outputs(uninterrupted)
    assert_whole(folder)
    own = folder / ".tahona"
    left = [*(own / "scratch").iterdir(), *(own / "notes").iterdir(), *(own / "artifacts" / "new").iterdir()]
    assert not left
    assert not [path for path in folder.rglob("*") if path.name.endswith((".new", ".db-journal"))]
    with sqlite3.connect(own / "ledger.db") as database:
        counts = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("versions", "runs")]
        assert database.execute("SELECT status FROM runs").fetchall() == [("done",)]
    database.close()
    assert counts == [1, 1]


def test_killed_before_and_after_every_step_boundary(mortal: Nursery, tmp_path: Path, uninterrupted: Path) -> None:
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
def test_killed_at_any_writing_operation(mortal: Nursery, tmp_path: Path, uninterrupted: Path, instant: int) -> None:
    """Twelve operations, spread over all there are: opening, renaming, linking, removing files, the database's too."""
    operations = int((uninterrupted / "operations").read_text("utf-8"))
    within = operations * (instant + np.random.default_rng(instant).random()) / INSTANTS
    folder = write_project(tmp_path / "quick")
    assert mortal.run("run", "-C", folder, number=max(1, int(within))) == KILLED
    if (folder / ".tahona" / "artifacts").is_dir():
        assert_whole(folder)
    before = results(folder)
    assert mortal.run("run", "-C", folder) == 0
    assert {name: results(folder)[name] for name in before} == before
    assert_same_end(folder, uninterrupted)


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
