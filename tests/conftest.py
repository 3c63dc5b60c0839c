"""What several tests stand on: the command itself, small projects, one finished run, the real data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest
from postgres_servers import PostgresServer, postgres_server
from projects import Answer, Command, write_project
from serving import Server, copied, serving

ROOT = Path(__file__).resolve().parents[1]
CALM = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
SECONDS = 300

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background: what tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# how long an example takes says how busy the machine is; what fails once fails again
hypothesis.settings.register_profile(
    "calm", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("calm")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tables beside the project; tests that need it are skipped where it is missing."""
    place = os.environ.get("TAHONA_REAL_DATA")
    folder = Path(place) if place else ROOT.parent / "shared" / "data"
    if not (folder / "hotel_bookings.parquet").is_file():
        pytest.skip("the real tables are not beside the project; name their folder in TAHONA_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def example() -> Callable[[Path], Path]:
    """Copies the breast-cancer example, without what was run in it, and returns the copy."""

    def copy(folder: Path) -> Path:
        source = ROOT / "examples" / "breast_cancer"
        return Path(shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".tahona", "reports")))

    return copy


@pytest.fixture(scope="session")
def tahona() -> Command:
    """Runs the command `tahona` in a process of its own."""
    command = Path(sys.executable).with_name("tahona")

    def run(*words: object, env: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Answer:
        done = subprocess.run(
            [command, *map(str, words)],
            env={**os.environ, **CALM, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process: the same code, without the seconds that its imports take."""
    from tahona.cli import run as run_words

    def run(*words: object) -> Answer:
        capsys.readouterr()
        code = run_words([str(word) for word in words])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a small project that runs in about a second: a table of 240 rows, two families, no result yet."""
    return write_project(tmp_path / "quick")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, example: Callable[[Path], Path], tahona: Command) -> Path:
    """The breast-cancer example after its run. Read it, do not change it."""
    folder = example(tmp_path_factory.mktemp("finished") / "breast_cancer")
    answer = tahona("run", "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    (folder / "run.json").write_text(answer.stdout, "utf-8")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tahona: Command) -> Path:
    """The quick project after its run, with a champion. Read it, do not change it."""
    folder = write_project(tmp_path_factory.mktemp("trained") / "quick")
    answer = tahona("run", "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """The quick project served to anybody on this machine. Ask it, do not change it."""
    with serving(copied(trained, tmp_path_factory.mktemp("served") / "quick")) as running:
        yield running.whole()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; make a database or a user of your own in it, and do not stop it."""
    with postgres_server() as server:
        yield server
