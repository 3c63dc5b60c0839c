"""`tahona gc` removes what nothing refers to, says what, and leaves alone what somebody needs or is writing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import started
from projects import Command, all_outputs, edit, kept_files, output, states, write_project

from tahona.digests import digest_bytes
from tahona.lifecycle.results import StepResult
from tahona.owners import ABANDONED
from tahona.stores.folder import FolderStore


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def gone() -> str:
    """How a process that has ended marked what was its own."""
    code = "from tahona.owners import tag; print(tag())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def living() -> Iterator[str]:
    """How a process that lives marks what is its own."""
    code = """
        import os, time
        from pathlib import Path
        from tahona.owners import tag
        print("ready", flush=True)
        print(tag(), flush=True)
        time.sleep(300)
    """
    with started(code) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def removed(command: Command, folder: Path, *words: object) -> dict[str, tuple[int, int]]:
    """Run `tahona gc` and return kind → (count, bytes); the sum is right."""
    answer = command("gc", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    found = answer.document["removed"]
    assert answer.document["bytes"] == sum(each["bytes"] for each in found)
    return {each["kind"]: (each["count"], each["bytes"]) for each in found}


def run(command: Command, folder: Path, *words: object) -> dict[str, Any]:
    answer = command("run", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    return answer.document


def put(folder: Path, data: bytes) -> Path:
    """Put bytes into the project's store as a step would, and return the object."""
    file = folder / "artefact.bin"
    file.write_bytes(data)
    store = FolderStore(folder / ".tahona" / "artifacts")
    place = store.get(store.put(file))
    file.unlink()
    return place


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


OBJECTS = "objects that no result names"
RESULTS = "results of no run in the ledger"
PROOF = (1, len(b"tahona pre-flight\n"))
"""What the pre-flight of a run puts into the store."""


def test_after_a_run_nothing_that_it_gave_is_removed(project: Path, here: Command, temporary: Path) -> None:
    """Only the pre-flight's proof goes; the run, its report and its version are as they were."""
    run(here, project)
    before, given = kept_files(project), all_outputs(project)
    assert removed(here, project, "--dry-run") == {OBJECTS: PROOF}
    assert kept_files(project) == before
    assert removed(here, project) == {OBJECTS: PROOF}
    assert removed(here, project) == {}
    assert len(kept_files(project)) == len(before) - 1
    assert set(states(here("run", "-C", project, "--json")).values()) == {"cached"}
    assert all_outputs(project) == given
    assert here("predict", project / "table.csv", "-C", project, "-o", temporary / "answers.csv").code == 0


def test_objects_that_no_result_names_go(project: Path, here: Command, temporary: Path) -> None:
    """What a step had put when it was killed; the words say how many bytes."""
    run(here, project)
    removed(here, project)
    lost = put(project, b"chaff" * 1000)
    said = here("gc", "-C", project, "--dry-run").stdout
    assert said.splitlines() == [f"{OBJECTS}: 1 (5,000 bytes)", "5,000 bytes would be removed"]
    assert lost.exists()
    said = here("gc", "-C", project).stdout
    assert said.splitlines() == [f"{OBJECTS}: 1 (5,000 bytes)", "5,000 bytes removed"]
    assert not lost.exists()
    assert here("gc", "-C", project).stdout == "nothing to remove\n"


def test_every_run_of_the_ledger_keeps_its_results(project: Path, here: Command, temporary: Path) -> None:
    """Earlier runs, failed ones and refused ones too: going back to one of them runs nothing again."""
    run(here, project)
    run(here, project, "--set", "split.seed=7")
    failing = ("--set", 'data.drop=["size"]', "--set", "gate.min.roc_auc=2")
    assert here("run", "-C", project, *failing).code != 1
    edit(project, "folds = 3", "folds = 4")
    before = kept_files(project)
    assert removed(here, project) == {OBJECTS: PROOF}
    assert len(kept_files(project)) == len(before) - 1
    edit(project, "folds = 4", "folds = 3")
    assert run(here, project)["nothing_to_do"]
    assert run(here, project, "--set", "split.seed=7")["nothing_to_do"]


def test_results_of_no_known_run_go_only_when_asked_and_old(project: Path, here: Command, temporary: Path) -> None:
    """They may be those of another environment's ledger."""
    run(here, project)
    removed(here, project)
    store = FolderStore(project / ".tahona" / "artifacts")
    foreign = put(project, b"foreign")
    result = StepResult("ingest", "e" * 64, {}, {"raw.parquet": foreign.name}, 0.1, 0.1).to_bytes()
    store.record("e" * 64, result)
    age(store.root / "results" / f"{'e' * 64}.json", 10 * 24 * 3600)
    before = kept_files(project)
    assert removed(here, project) == {}
    assert removed(here, project, "--keep-days", 11) == {}
    assert kept_files(project) == before
    assert removed(here, project, "--keep-days", 9) == {RESULTS: (1, len(result)), OBJECTS: (1, 7)}
    assert store.recall("e" * 64) is None
    assert run(here, project)["nothing_to_do"]


def test_what_dead_processes_left_goes_and_the_living_keep_theirs(
    project: Path, here: Command, temporary: Path, gone: str, living: str
) -> None:
    run(here, project)
    removed(here, project)
    home = project / ".tahona"
    for owner in (gone, living, "0badcafe-1-t5"):
        for place in (
            home / "scratch" / f"train@tree.{owner}",
            home / "notes" / f"{'a' * 64}.{owner}",
            temporary / f"tahona-model-{owner}-x1y2",
            temporary / f"tahona-bundle-{owner}-x1y2",
        ):
            place.mkdir()
            (place / "half").write_bytes(b"12345")
    (temporary / "tahona-model-of-yore").mkdir()
    age(temporary / "tahona-model-of-yore", ABANDONED + 60)
    (temporary / f"other-{gone}").mkdir()
    found = removed(here, project)
    assert found == {
        "scratch of dead processes": (1, 5),
        "notes that no run goes on from": (1, 5),
        "temporary folders of dead processes": (3, 10),
    }
    left = {path.name for folder in (home / "scratch", home / "notes", temporary) for path in folder.iterdir()}
    owners = (living, "0badcafe-1-t5")
    assert left == {
        f"other-{gone}",
        *(f"train@tree.{owner}" for owner in owners),
        *(f"{'a' * 64}.{owner}" for owner in owners),
        *(f"tahona-{kind}-{owner}-x1y2" for kind in ("model", "bundle") for owner in owners),
    }


def test_half_made_downloads_go(project: Path, here: Command, temporary: Path) -> None:
    run(here, project)
    removed(here, project)
    cache = project / ".tahona" / "cache" / "http"
    cache.mkdir(parents=True)
    for name in ("abc.part", "abc.part.json", "abc.json.new", "abc.csv"):
        (cache / name).write_bytes(b"1234")
    assert removed(here, project) == {"half-made downloads": (3, 12)}
    assert [path.name for path in cache.iterdir()] == ["abc.csv"]


RUNNER = """
    import sys
    from pathlib import Path
    from tahona.lifecycle.presence import at_work
    with at_work(Path(sys.argv[1]), "quick-0123456789"):
        print("ready", flush=True)
        sys.stdin.readline()
"""


def test_beside_a_running_run_only_what_is_a_day_old_goes(project: Path, here: Command, temporary: Path) -> None:
    """A step puts its files before its result names them; what it puts that is there already counts as new."""
    run(here, project)
    removed(here, project)
    young, old, renewed = (put(project, data) for data in (b"young", b"old", b"renewed"))
    for path in (old, renewed):
        age(path, ABANDONED + 60)
    put(project, b"renewed")
    with started(RUNNER, project / ".tahona"):
        assert removed(here, project) == {OBJECTS: (1, 3)}
        assert (young.exists(), old.exists(), renewed.exists()) == (True, False, True)
    kinds = removed(here, project)
    assert kinds.pop("marks of ended runs")[0] == 1  # the ledger knows no such run
    assert kinds == {OBJECTS: (2, 12)}


def test_a_store_that_others_may_share_keeps_what_is_young(tmp_path: Path, here: Command, temporary: Path) -> None:
    """Two projects, each with its own ledger, and one store outside of both: neither takes anything from the other."""
    shared = ("--set", f"stores.artifacts={json.dumps(str(tmp_path / 'shared'))}")
    one, other = (write_project(tmp_path / name) for name in ("one", "other"))
    edit(other, "folds = 3", "folds = 4")
    for folder in (one, other):
        run(here, folder, *shared)
    for folder in (one, other):
        assert removed(here, folder, *shared) == {}
    for folder in (one, other):
        assert run(here, folder, *shared)["nothing_to_do"]
    proof = digest_bytes(b"tahona pre-flight\n")
    age(tmp_path / "shared" / "objects" / proof[:2] / proof, ABANDONED + 60)
    assert removed(here, one, *shared) == {OBJECTS: PROOF}


def test_a_damaged_result_stops_it_before_anything_is_removed(project: Path, here: Command, temporary: Path) -> None:
    """Who cannot read which objects a result names may not say that nothing names them."""
    run(here, project)
    put(project, b"chaff")
    before = kept_files(project)
    damaged = next((project / ".tahona" / "artifacts" / "results").iterdir())
    data = bytearray(damaged.read_bytes())
    data[20] ^= 1
    damaged.write_bytes(data)
    answer = here("gc", "-C", project, "--json")
    assert answer.code == 5
    assert damaged.name in answer.document["error"]["where"]
    assert set(kept_files(project)) == set(before)


def test_output_of_a_registered_version_outlives_its_result(project: Path, here: Command, temporary: Path) -> None:
    """A version's bundle and predictions stay even where somebody removed the results that named them."""
    run(here, project)
    bundle = output(project, "select", "bundle.zip")
    for path in (project / ".tahona" / "artifacts" / "results").iterdir():
        path.unlink()
    assert removed(here, project)[OBJECTS][0] > 10
    assert bundle.exists()
    assert here("predict", project / "table.csv", "-C", project, "-o", temporary / "answers.csv").code == 0
