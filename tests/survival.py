"""What must hold of a project after processes died in it, however its steps were run."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from projects import Command, all_outputs, output

from tahona.digests import digest_file


def kill_in_training(words: Sequence[object], folder: Path, environ: Mapping[str, str], patience: float) -> None:
    """Start what runs the project, and kill it, with all that it started, once the first family is trained."""
    process = subprocess.Popen(
        [*map(str, words)],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + patience
    while not (folder / ".tahona" / "last" / "train@dummy.json").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
    for digest in named(folder):
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
    assert not list((own / "running").iterdir())
    assert not [path for path in folder.rglob("*") if path.name.endswith((".new", ".db-journal"))]
    with sqlite3.connect(own / "ledger.db") as database:
        counts = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("versions", "runs")]
        assert database.execute("SELECT status FROM runs").fetchall() == [("done",)]
    database.close()
    assert counts == [1, 1]


def assert_cleared(folder: Path, temporary: Path, command: Command, *words: object) -> None:
    """After `tahona gc` no object is one that no result names, no folder of a dead process is left, and all is whole.

    ``temporary`` is the folder for temporary files of the processes that died; ``words`` go to every command.
    """
    lost = objects(folder) - named(folder)
    answer = command("gc", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    removed = {each["kind"]: each["count"] for each in answer.document["removed"]}
    assert removed.get("objects that no result names", 0) == len(lost)
    assert objects(folder) == named(folder)
    assert not list(temporary.glob("tahona-*"))
    assert_whole(folder)
    again = command("gc", "-C", folder, "--json", *words)
    assert again.document["removed"] == []


def named(folder: Path) -> set[str]:
    """Return the digests of all objects that a finished step's record names."""
    return {digest for _, _, data in results(folder).values() for digest in json.loads(data)["outputs"].values()}


def objects(folder: Path) -> set[str]:
    """Return the digests of all objects in the project's store."""
    return {path.name for path in (folder / ".tahona" / "artifacts" / "objects").rglob("*") if path.is_file()}
