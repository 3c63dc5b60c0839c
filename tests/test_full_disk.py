"""No room: said with path and bytes (exit 4), nothing half-written stays visible, and the run goes on once there is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from killing import Nursery, nursery
from projects import Command, all_outputs, write_project
from serving import ROW, copied, serving, until
from survival import assert_cleared, assert_same_end, assert_whole, results

from tahona.project.load import load_project
from tahona.wiring import open_prediction_log

pytestmark = pytest.mark.slow

Disk = Callable[..., Path]


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def mortal(temporary: Path) -> Iterator[Nursery]:
    with nursery(temporary) as found:
        yield found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, mortal: Nursery) -> Path:
    folder = write_project(tmp_path_factory.mktemp("uninterrupted") / "quick")
    assert mortal.run("run", "-C", folder) == 0
    return folder


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Mounts a small disk in memory at a folder, or gives a mounted one another size."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        options = f"remount,size={size}" if folder in mounted else f"size={size}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"a disk of its own cannot be mounted here: {done.stderr.strip()}")
        if folder not in mounted:
            mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def told(said: Path, place: Path) -> str:
    """Return the error; it names the place (or something in it) and how many bytes there are, and is no bug."""
    text = said.read_text("utf-8")
    error = text[text.index("tahona: ") :]
    assert str(place) in error
    assert re.search(r"[\d,]+ bytes (are free|were to be kept)|larger than [\d,]+ bytes", error), error
    assert "make room" in error
    assert "a bug in Tahona" not in error
    return error


@pytest.mark.parametrize("size", ["16k", "100k", "150k", "220k", "300k", "450k", "700k"])
def test_a_full_disk_stops_the_run_which_then_goes_on(
    disk: Disk, mortal: Nursery, tmp_path: Path, uninterrupted: Path, temporary: Path, here: Command, size: str
) -> None:
    """Store, ledger, scratch and notes on a disk that is too small, by more or by less."""
    folder = write_project(tmp_path / "quick")
    own, said = disk(folder / ".tahona", size), tmp_path / "said"
    assert mortal.run("run", "-C", folder, say=said) == 4
    told(said, own)
    if (own / "artifacts").is_dir():
        assert_whole(folder)
        assert not list((own / "artifacts" / "new").iterdir())
    before = results(folder)
    disk(folder / ".tahona", "64m")
    if (own / "ledger.db").is_file():
        runs = here("runs", "-C", folder, "--json").document["runs"]
        assert {run["status"] for run in runs} <= {"failed", "interrupted"}
    assert mortal.run("run", "-C", folder, say=said) == 0, said.read_text("utf-8")
    assert {name: results(folder)[name] for name in before} == before
    assert_same_end(folder, uninterrupted)
    assert_cleared(folder, temporary, here)


def fill_up(file: Path) -> None:
    """Write until there is no room."""
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(b"\0" * 4096)


def test_predictions_go_on_while_the_servers_disk_is_full(disk: Disk, trained: Path, tmp_path: Path) -> None:
    """They are kept in memory, rows of JSON by the worker and CSV by the back, and each is in the log afterwards."""
    folder = copied(trained, tmp_path / "quick")
    own = disk(folder / ".tahona" / "serve", "1m")
    with serving(folder) as server:
        server.whole()
        fill_up(own / "filling")
        answers = [server.predict(ROW) for _ in range(20)]
        table = "size,weight,colour\n1,2,red\n3,4,green\n"
        answers.append(server.client.post("/predict", content=table, headers={"content-type": "text/csv"}))
        assert {answer.status_code for answer in answers} == {200}
        until(lambda: server.lines("the spool cannot be written; predictions are kept in memory"))
        until(lambda: 'tahona_trouble{part="log"} 1.0' in server.client.get("/metrics").text)
        (own / "filling").unlink()
        log = open_prediction_log(load_project(folder).project)
        until(lambda: len(list(log.read("quick"))) == 22, seconds=20)


@pytest.mark.parametrize("largest", [1_000, 10_000, 60_000, 99_000, 110_000])
def test_a_limit_on_file_sizes_is_named(
    mortal: Nursery, tmp_path: Path, uninterrupted: Path, temporary: Path, here: Command, largest: int
) -> None:
    """As `ulimit -f` sets it: first the ledger does not fit, then a page of the report."""
    folder, said = write_project(tmp_path / "quick"), tmp_path / "said"
    assert mortal.run("run", "-C", folder, say=said, largest=largest) == 4
    assert f"larger than {largest:,} bytes" in told(said, folder)
    if (folder / ".tahona" / "artifacts").is_dir():
        assert_whole(folder)
    before = results(folder)
    assert mortal.run("run", "-C", folder, say=said) == 0
    assert {name: results(folder)[name] for name in before} == before
    assert_same_end(folder, uninterrupted)
    assert_cleared(folder, temporary, here)


def test_reports_that_do_not_fit_are_made_once_there_is_room(
    disk: Disk, mortal: Nursery, tmp_path: Path, uninterrupted: Path
) -> None:
    """The run is done by then: what is laid out for people can be laid out again."""
    folder, said = write_project(tmp_path / "quick"), tmp_path / "said"
    reports = disk(folder / "reports", "64k")
    assert mortal.run("run", "-C", folder, say=said) == 4
    told(said, reports)
    disk(folder / "reports", "8m")
    assert mortal.run("run", "-C", folder, say=said) == 0
    assert (reports / "report.html").stat().st_size > 64 << 10
    assert all_outputs(folder) == all_outputs(uninterrupted)


def test_a_full_temporary_disk_is_named_where_a_bundle_is_unpacked(
    disk: Disk, uninterrupted: Path, tmp_path: Path
) -> None:
    small = disk(tmp_path / "small", "8k")
    said = tmp_path / "said"
    answers = tmp_path / "answers.csv"
    words = ("predict", uninterrupted / "table.csv", "-C", uninterrupted, "-o", answers)
    with nursery(small) as cramped:
        assert cramped.run(*words, say=said) == 4
        assert "TMPDIR" in told(said, small)
        assert not answers.exists()
        assert not list(small.glob("tahona-*"))
        disk(small, "8m")
        assert cramped.run(*words, say=said) == 0
    assert len(answers.read_text("utf-8").splitlines()) == 241
