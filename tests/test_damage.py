"""A changed bit or a lost end, anywhere in what Tahona keeps: found before it is parsed, and told with exit code 5."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import Command, output, write_project

from tahona.errors import IntegrityError
from tahona.ledgers.sql import open_ledger
from tahona.lifecycle.results import StepResult
from tahona.testing.ledger_suite import a_move, a_run, a_version

RESULT = StepResult(
    "ingest", "a" * 64, {"step": "ingest"}, {"raw.parquet": "b" * 64, "table.json": "c" * 64}, 1.25, 0.5
)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_bit_and_every_lost_end_of_a_result_is_found() -> None:
    data = RESULT.to_bytes()
    assert StepResult.from_bytes(data, "results/a.json") == RESULT
    assert json.loads(data)["outputs"] == dict(RESULT.outputs)
    damaged = [flipped(data, bit) for bit in range(8 * len(data))] + [data[:length] for length in range(len(data))]
    for each in damaged:
        with pytest.raises(IntegrityError) as caught:
            StepResult.from_bytes(each, "results/a.json")
        assert caught.value.where == "results/a.json"
        assert "remove that file and run again" in caught.value.fix


def test_a_result_of_before_is_read_as_it_is() -> None:
    """Format 1 had no seal: `tahona gc` meets such records in an old store."""
    old = {**RESULT.to_dict(), "format": 1}
    data = json.dumps(old, sort_keys=True).encode()
    assert StepResult.from_bytes(data, "results/a.json").outputs == RESULT.outputs
    with pytest.raises(IntegrityError):
        StepResult.from_bytes(data[:-1], "results/a.json")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tahona.cli import run

    folder = write_project(tmp_path_factory.mktemp("done") / "quick")
    assert run(["run", "-C", str(folder)]) == 0
    return folder


def truncate(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flip(data: bytes) -> bytes:
    return flipped(data, 8 * (len(data) // 2) + 3)


def result_of(step: str) -> Callable[[Path], Path]:
    def find(folder: Path) -> Path:
        fingerprint = json.loads((folder / ".tahona" / "last" / f"{step}.json").read_text("utf-8"))["fingerprint"]
        return folder / ".tahona" / "artifacts" / "results" / f"{fingerprint}.json"

    return find


PLACES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "table": (lambda folder: output(folder, "ingest", "raw.parquet"), ("step", "clean")),
    "model": (lambda folder: output(folder, "train@tree", "oof.npz"), ("step", "select")),
    "bundle": (lambda folder: output(folder, "select", "bundle.zip"), ("predict", "table.csv", "-o", "answers.csv")),
    "result": (result_of("train@tree"), ("run",)),
    "last": (lambda folder: folder / ".tahona" / "last" / "split.json", ("gc",)),
    "ledger": (lambda folder: folder / ".tahona" / "ledger.db", ("models",)),
}


@pytest.mark.parametrize("damage", [truncate, flip])
@pytest.mark.parametrize("place", PLACES)
def test_damage_ends_a_command_with_5_and_its_place(
    done: Path, tmp_path: Path, here: Command, monkeypatch: pytest.MonkeyPatch, place: str, damage: Callable[..., bytes]
) -> None:
    folder = Path(shutil.copytree(done, tmp_path / "quick"))
    monkeypatch.chdir(folder)
    find, words = PLACES[place]
    file = find(folder)
    if words[0] == "step":  # it would not run again while it has a result
        result_of(words[1])(folder).unlink()
    if place == "ledger" and damage is flip:  # one bit of a digest
        data = file.read_bytes()
        file.write_bytes(flipped(data, 8 * data.index(output(folder, "select", "bundle.zip").name.encode())))
    else:
        file.write_bytes(damage(file.read_bytes()))
    answer = here(*words, "--json")
    assert answer.code == 5, answer.stderr
    error = answer.document["error"]
    assert file.name in error["where"] or place == "ledger"
    assert "damaged" in error["what"]
    assert error["fix"]
    assert not (folder / "answers.csv").exists()


def test_a_flipped_bit_of_the_ledger_changes_no_version_and_no_history_unnoticed(tmp_path: Path) -> None:
    """Four hundred bits all over the file of a SQLite ledger: what is read is what was written, or nothing is."""
    ledger = open_ledger("sqlite:///whole.db", tmp_path)
    for number in range(1, 6):
        ledger.save_run(a_run(number))
        ledger.add_version(a_version(f"hotel-{number}"))
        ledger.move_alias(a_move(number, number - 1))
    whole = (ledger.versions("hotel"), ledger.history("hotel"))
    data, chance = (tmp_path / "whole.db").read_bytes(), random.Random(4)
    written = [place for place, byte in enumerate(data) if byte]
    found = 0
    for _ in range(400):
        bit = 8 * chance.choice(written) + chance.randrange(8)
        (tmp_path / "flipped.db").write_bytes(flipped(data, bit))
        try:
            changed = open_ledger("sqlite:///flipped.db", tmp_path)
            assert (changed.versions("hotel"), changed.history("hotel")) == whole, bit
        except IntegrityError:
            found += 1
    assert found > 50
