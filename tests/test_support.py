"""The table of what is the same where names what tests/test_equality.py compares, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import CELLS, FOLDER, Cell, noted

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path("scripts") / "write_support.py"
NOTES, PAGE = Path("docs") / "support.json", Path("docs") / "orchestrators.md"


def told(page: Path) -> dict[Cell, str]:
    """Return what the table on the page says of each cell that it does not leave empty."""
    table = page.read_text("utf-8").partition("write_support.py -->")[2].partition("<!--")[0]
    header, _, *rows = [
        [part.strip().lower() for part in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    places = [re.sub("postgresql", "postgres", name).split(", ") for name in header[1:]]
    return {
        Cell(row[0], *place): said for row in rows for place, said in zip(places, row[1:], strict=True) if said != ""
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the script, what it reads and what it writes."""
    for name in (SCRIPT, NOTES, PAGE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def write(folder: Path, *words: object) -> None:
    subprocess.run([sys.executable, folder / SCRIPT, *map(str, words)], check=True)


def test_the_table_has_the_cells_of_the_suite_and_no_others(copy: Path) -> None:
    """What it says of each is what was noted, and writing it again changes nothing."""
    noted_as = {
        Cell(each["orchestrator"], each["store"], each["ledger"]): "same" if each["equal"] else "differs"
        for each in json.loads((ROOT / NOTES).read_text("utf-8"))
    }
    assert set(noted_as) == set(CELLS)
    assert told(ROOT / PAGE) == noted_as
    write(copy)
    assert (copy / PAGE).read_text("utf-8") == (ROOT / PAGE).read_text("utf-8")


def test_every_orchestrator_meets_every_store_and_every_ledger() -> None:
    for name in ("local", "prefect", "metaflow", "airflow", "dvc"):
        mine = [cell for cell in CELLS if cell.orchestrator == name]
        assert {cell.store for cell in mine} == {"folder", "s3"}
        assert {cell.ledger for cell in mine} == {"sqlite", "postgres", "mlflow"}
    assert len({cell[1:] for cell in CELLS}) == 6


def test_a_comparison_that_fails_is_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are told beside it, in the suite's order; without the variable nothing is noted."""
    with pytest.raises(AssertionError), noted(CELLS[0], {"dvc": "0.0.0"}):
        raise AssertionError
    monkeypatch.setenv(FOLDER, str(copy / "notes"))
    with pytest.raises(AssertionError), noted(CELLS[-1], {"dvc": "0.0.1"}):
        raise AssertionError
    for cell in CELLS[1:-1]:
        with noted(cell, {}):
            pass
    write(copy, copy / "notes")
    assert told(copy / PAGE) == dict.fromkeys(CELLS[1:-1], "same") | {CELLS[-1]: "differs"}
    assert "DVC 0.0.1" in (copy / PAGE).read_text("utf-8")
    assert "DVC 0.0.0" not in (copy / PAGE).read_text("utf-8")
    order = [(each["orchestrator"], each["store"], each["ledger"]) for each in json.loads((copy / NOTES).read_text())]
    assert order == [tuple(cell) for cell in CELLS[1:]]
