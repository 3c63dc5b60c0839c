"""Artefacts in a folder: real files, real processes, real kills."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import race, started

from tahona.errors import IntegrityError, SetupError
from tahona.owners import ABANDONED
from tahona.stores.folder import FolderStore, open_store
from tahona.testing import MemoryStore, StoreroomContract

FINGERPRINT = "f" * 64


class TestFolderStore(StoreroomContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "artifacts")


class TestMemoryStore(StoreroomContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> MemoryStore:
        (tmp_path / "lent").mkdir()
        return MemoryStore(tmp_path / "lent")


def keep(store: FolderStore, folder: Path, data: bytes = b"grain" * 1000) -> str:
    file = folder / "artefact.bin"
    file.write_bytes(data)
    return store.put(file)


def test_artefacts_outlive_the_process_that_kept_them(tmp_path: Path) -> None:
    """A store opened later has what an earlier one kept, at the place the documentation names."""
    digest = keep(FolderStore(tmp_path / "store"), tmp_path)
    later = open_store("store", tmp_path)
    assert later.get(digest) == tmp_path / "store" / "objects" / digest[:2] / digest
    later.record(FINGERPRINT, b"{}")
    assert (tmp_path / "store" / "results" / f"{FINGERPRINT}.json").read_bytes() == b"{}"


@pytest.mark.parametrize("damage", ["a bit", "the end", "all"])
def test_damage_is_refused_with_a_way_out(tmp_path: Path, damage: str) -> None:
    """A changed bit, a lost end or a lost file: refused with exit 5, naming what to remove so that a rerun mends it."""
    store = FolderStore(tmp_path / "store")
    digest = keep(store, tmp_path)
    store.record(FINGERPRINT, f'{{"model.txt": "{digest}"}}'.encode())
    store.record("e" * 64, b"{}")
    place = store.get(digest)
    data = bytearray(place.read_bytes())
    if damage == "a bit":
        data[2500] ^= 0x10
        place.write_bytes(data)
    elif damage == "the end":
        place.write_bytes(data[:-1])
    else:
        place.unlink()
    with pytest.raises(IntegrityError) as caught:
        store.get(digest)
    assert caught.value.exit_code == 5
    assert caught.value.where == str(place)
    assert str(tmp_path / "store" / "results" / f"{FINGERPRINT}.json") in caught.value.fix
    assert "e" * 64 not in caught.value.fix
    (tmp_path / "store" / "results" / f"{FINGERPRINT}.json").unlink()
    assert keep(store, tmp_path) == digest
    assert store.get(digest).read_bytes() == b"grain" * 1000


def test_no_write_leaves_anything_behind(tmp_path: Path) -> None:
    """After writes that succeed, repeat or lose a race, the store holds its artefacts and nothing else."""
    store = FolderStore(tmp_path / "store")
    digest = keep(store, tmp_path)
    keep(store, tmp_path)
    store.record(FINGERPRINT, b"first")
    store.record(FINGERPRINT, b"second")
    files = {path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file()}
    assert files == {"store.json", f"objects/{digest[:2]}/{digest}", f"results/{FINGERPRINT}.json"}


def test_what_dead_processes_left_is_cleared_and_the_living_are_left_alone(tmp_path: Path) -> None:
    """Only files of dead processes, or older than a day, are removed when a store is opened."""
    store = FolderStore(tmp_path / "store")
    writer = """
        import sys, time
        from pathlib import Path
        from tahona.stores.folder import FolderStore
        from tahona.stores.unfinished import new_file
        with new_file(FolderStore(Path(sys.argv[1])).root / "new") as (path, file):
            print("ready", flush=True)
            time.sleep(60)
    """
    with started(writer, store.root):
        new = store.root / "new"
        (mine,) = new.iterdir()
        elsewhere = new / "0badcafe-1-00"
        elsewhere.write_bytes(b"from another machine")
        FolderStore(store.root)
        assert set(new.iterdir()) == {mine, elsewhere}
    old = time.time() - ABANDONED - 60
    os.utime(elsewhere, (old, old))
    FolderStore(store.root)
    assert list(new.iterdir()) == []


WRITER = """
    import hashlib, json, random, sys
    from pathlib import Path
    from tahona.stores.folder import FolderStore
    root, seed = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    file = root.parent / f"made-{seed}"
    store = FolderStore(root)
    print("ready", flush=True)
    for number in range(10_000):
        data = chance.randbytes(chance.choice([10, 5_000, 3_000_000]))
        file.write_bytes(data)
        digest = store.put(file)
        store.record(f"{seed}-{number}", json.dumps({"output": digest, "more": "x" * 5000}).encode())
"""


def test_a_kill_at_any_instant_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Killed forty times amid its work, a writer leaves whole artefacts, and results that name whole artefacts."""
    root, chance, signals = tmp_path / "store", random.Random(7), []
    for kill in range(40):
        with started(WRITER, root, kill) as writer:
            time.sleep(chance.uniform(0.0, 0.06))
            writer.kill()
            signals.append(writer.wait())
    assert set(signals) == {-signal.SIGKILL}
    objects = [path for path in (root / "objects").rglob("*") if path.is_file()]
    results = list((root / "results").iterdir())
    assert len(objects) > 10
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in objects)
    store = FolderStore(root)
    assert all(store.has(json.loads(path.read_bytes())["output"]) for path in results)
    assert list((root / "new").iterdir()) == []


def test_processes_that_record_the_same_step_agree(tmp_path: Path) -> None:
    """Four processes finish the same hundred steps at once: each step has one result and all four were given it."""
    racer = """
        import hashlib, sys
        from pathlib import Path
        from tahona.stores.folder import FolderStore
        store, me = FolderStore(Path(sys.argv[1])), sys.argv[2]
        print("ready", flush=True)
        sys.stdin.readline()
        kept = [store.record(f"step-{number}", f"{me} did {number} ".encode() * 50) for number in range(100)]
        print(hashlib.sha256(b"".join(kept)).hexdigest(), flush=True)
    """
    told = race(racer, *((tmp_path / "store", me) for me in range(4)))
    store = FolderStore(tmp_path / "store")
    kept = [store.recall(f"step-{number}") or b"" for number in range(100)]
    assert told == [hashlib.sha256(b"".join(kept)).hexdigest() + "\n"] * 4
    assert all(result == result[: len(result) // 50] * 50 for result in kept)  # each is one writer's


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_is_no_folder_is_named(tmp_path: Path, place: str) -> None:
    """A file where the store should be is a matter of setup (exit 4), told with its path."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SetupError) as caught:
        FolderStore(tmp_path / place)
    assert caught.value.exit_code == 4
    assert str(tmp_path / "file") in caught.value.where
    assert "stores.artifacts" in caught.value.fix
    assert "folder" in caught.value.what or "directory" in caught.value.what


@contextmanager
def somebody_else() -> Iterator[None]:
    """Give up root's right to write anywhere for a while; anyone but root has no such right."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_that_may_only_be_read_serves_and_says_why_it_keeps_nothing() -> None:
    with tempfile.TemporaryDirectory() as text:  # pytest's own folders are closed to others
        folder = Path(text)
        folder.chmod(0o777)
        store = FolderStore(folder / "store")
        digest = keep(store, folder)
        (folder / "chaff").write_bytes(b"chaff")
        for place in (store.root, store.root / "new", store.root / "objects"):
            place.chmod(0o555)
        with somebody_else():
            assert FolderStore(store.root).get(digest).read_bytes() == b"grain" * 1000
            with pytest.raises(SetupError, match="Permission denied"):
                store.put(folder / "chaff")


def test_a_write_that_does_not_fit_keeps_nothing(tmp_path: Path) -> None:
    """When the system refuses more bytes (here: a limit on file size) the place is named and no trace stays."""
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import resource, sys
                from pathlib import Path
                from tahona.errors import SetupError
                from tahona.stores.folder import FolderStore
                store, file = FolderStore(Path(sys.argv[1])), Path(sys.argv[2])
                file.write_bytes(b"x" * 3_000_000)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
                try:
                    store.put(file)
                except SetupError as error:
                    print(error)
                """
            ),
            str(tmp_path / "store"),
            str(tmp_path / "large.parquet"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert str(tmp_path / "store") in child.stdout
    assert "File too large" in child.stdout
    assert "large.parquet" in child.stdout
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["store.json"]


def test_a_store_of_a_newer_tahona_is_left_alone(tmp_path: Path) -> None:
    """A format that this Tahona does not know is not guessed at."""
    store = FolderStore(tmp_path / "store")
    (store.root / "store.json").write_text('{"tahona_store": 2}\n')
    with pytest.raises(SetupError, match="format"):
        FolderStore(store.root)


def test_a_fingerprint_is_no_path(tmp_path: Path) -> None:
    """Nothing outside the store can be written by way of a fingerprint."""
    store = FolderStore(tmp_path / "store")
    with pytest.raises(Exception, match="fingerprint"):
        store.record("../../outside", b"{}")
    assert not list(tmp_path.glob("outside*"))


def test_checking_a_large_artefact_is_quick(tmp_path: Path) -> None:
    """A get reads the file once: 200 MB in a second of CPU."""
    store = FolderStore(tmp_path / "store")
    digest = keep(store, tmp_path, bytes(200_000_000))
    before = time.process_time()
    store.get(digest)
    assert time.process_time() - before < 1.0
