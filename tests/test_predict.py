"""`tahona predict`: a file of any length, in pieces, with the answers that the run itself gave."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import QUICK, quick_table, write_project

import tahona as public
from tahona.errors import DataError
from tahona.lifecycle import predicting
from tahona.wiring import open_project, open_table

MEGABYTE = 1024


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project that was run: two numbers, a colour, a code that looks like a number, and a label."""
    folder = write_project(tmp_path_factory.mktemp("predict") / "quick")
    frame = quick_table()
    frame["code"] = np.arange(len(frame)) % 9  # whole numbers, declared a category
    frame.loc[::17, "size"] = np.nan
    frame.loc[::13, "colour"] = None
    frame.to_parquet(folder / "table.parquet", index=False)
    file = folder / "tahona.toml"
    text = file.read_text("utf-8").replace("table.csv", "table.parquet")
    file.write_text(text.replace("[split]", '[data.types]\ncode = "category"\n[split]'), "utf-8")
    public.load(folder).run()
    return folder


@pytest.fixture(scope="module")
def raw(trained: Path) -> pd.DataFrame:
    return pd.read_parquet(trained / "table.parquet").drop(columns="label")


def predicted(here, trained, source, output, *more):
    answer = here("predict", source, "-o", output, "-C", trained, *more)
    assert answer.code == 0, answer.stderr
    return pd.read_csv(output) if output.suffix == ".csv" else pd.read_parquet(output)


def test_csv_and_parquet_give_what_the_notebook_gives(here, trained, raw, tmp_path):
    raw.to_csv(tmp_path / "rows.csv", index=False)
    raw.to_parquet(tmp_path / "rows.parquet", index=False)
    wanted = public.load_bundle("quick@champion", project=trained).predict(raw)["probability_yes"].to_numpy()
    for name in ("rows.csv", "rows.parquet"):
        found = predicted(here, trained, tmp_path / name, tmp_path / "out.parquet")
        assert found["probability_yes"].to_numpy().tobytes() == wanted.tobytes(), name
        assert found["row"].tolist() == list(range(len(raw)))
        assert set(found["version"]) == {1}


def test_the_test_rows_get_the_probabilities_of_the_run(here, trained, raw, tmp_path):
    raw.to_csv(tmp_path / "rows.csv", index=False)
    found = predicted(here, trained, tmp_path / "rows.csv", tmp_path / "out.parquet").set_index("row")
    opened = open_project(trained)
    version = opened.ledger.versions("quick")[0]
    said = pd.read_parquet(opened.store.get(version.predictions_digest)).set_index("_row")
    assert found.loc[said.index, "probability_yes"].to_numpy().tobytes() == said["probability_yes"].to_numpy().tobytes()


def test_pieces_of_any_size_give_the_same_bits(trained, raw, tmp_path, monkeypatch):
    raw.to_csv(tmp_path / "rows.csv", index=False)
    opened = open_project(trained)
    answers = {}
    for size in (1, 7, 100_000):
        monkeypatch.setattr(predicting, "PIECE", size)
        file = tmp_path / f"out{size}.csv"
        predicting.predict_file(opened, lambda bundle: open_table(opened.project, tmp_path / "rows.csv", bundle), file)
        answers[size] = file.read_bytes()
    assert answers[1] == answers[7] == answers[100_000]


@pytest.mark.parametrize("spelling", ["{}", "{}.0", " {}"])
def test_a_code_is_the_same_code_however_it_is_spelt(here, trained, raw, tmp_path, spelling):
    """Training read whole numbers; a file written by another program may write 9.0."""
    raw.to_csv(tmp_path / "plain.csv", index=False)
    spelt = raw.assign(code=[spelling.format(code) for code in raw["code"]])
    spelt.to_csv(tmp_path / "spelt.csv", index=False)
    one = predicted(here, trained, tmp_path / "plain.csv", tmp_path / "one.csv")
    other = predicted(here, trained, tmp_path / "spelt.csv", tmp_path / "other.csv")
    assert not other["warnings"].fillna("").str.contains("unseen").any()
    pd.testing.assert_frame_equal(one, other)


def test_row_ids_are_kept_and_formulas_escaped(here, trained, raw, tmp_path):
    ids = ["=1+1", "+x", "-y", "@z", "00123", "plain"]
    raw.head(6).assign(customer=ids).to_csv(tmp_path / "rows.csv", index=False)
    here("predict", tmp_path / "rows.csv", "-o", tmp_path / "out.csv", "-C", trained, "--id", "customer")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["customer"] for row in rows] == ["'=1+1", "'+x", "'-y", "'@z", "00123", "plain"]
    assert not any(row["probability_yes"].startswith("'") for row in rows)


def test_unseen_values_are_answered_with_a_warning(here, trained, raw, tmp_path):
    raw.head(3).assign(colour=["violet", "red", None], size=[0.1, 999.0, None]).to_csv(tmp_path / "r.csv", index=False)
    found = predicted(here, trained, tmp_path / "r.csv", tmp_path / "out.csv")
    assert found["warnings"].fillna("").tolist() == [
        "unseen category in colour",
        "size outside the training range",
        "",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("weight", "wait", 1), "missing column(s): weight"),
        (lambda text: text.splitlines()[0] + "\n", "0 rows"),
        (lambda text: "", "empty"),
        (lambda text: text.replace("\n", "\nx", 150).replace("\nx", "\n", 149), "rows.csv:151: column 'size'"),
        (lambda text: text + "1,2\n", "rows.csv:242"),
    ],
    ids=["missing column", "header only", "empty", "not a number", "short row"],
)
def test_bad_rows_are_refused_with_their_place_and_nothing_is_written(here, trained, raw, tmp_path, change, message):
    file = tmp_path / "rows.csv"
    file.write_text(change(raw.to_csv(index=False)), "utf-8")
    answer = here("predict", file, "-o", tmp_path / "out.csv", "-C", trained)
    assert answer.code == 2
    assert message in answer.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"]


def test_an_unknown_output_or_version_is_refused(here, trained, raw, tmp_path):
    raw.to_csv(tmp_path / "rows.csv", index=False)
    answer = here("predict", tmp_path / "rows.csv", "-o", tmp_path / "out.xlsx", "-C", trained)
    assert (answer.code, "neither .csv nor .parquet" in answer.stderr) == (2, True)
    answer = here("predict", tmp_path / "rows.csv", "-o", tmp_path / "o.csv", "-C", trained, "--model", "7")
    assert (answer.code, "no version or alias '7'" in answer.stderr) == (2, True)
    answer = here("predict", tmp_path / "rows.csv", "-o", tmp_path / "o.csv", "-C", trained, "--json", "--id", "none")
    assert (answer.code, answer.document["error"]["where"]) == (2, "--id")


def test_an_output_that_is_a_folder_or_the_input_is_refused(here, trained, raw, tmp_path):
    raw.to_csv(tmp_path / "rows.csv", index=False)
    before = (tmp_path / "rows.csv").read_bytes()
    (tmp_path / "folder.csv").mkdir()
    for output, said in (("rows.csv", "the output is the input"), ("folder.csv", "the output is a folder")):
        answer = here("predict", tmp_path / "rows.csv", "-o", tmp_path / output, "-C", trained)
        assert (answer.code, said in answer.stderr) == (2, True)
    assert (tmp_path / "rows.csv").read_bytes() == before


def test_programs_get_one_document_that_says_how_the_file_was_read(here, trained, raw, tmp_path):
    raw.to_csv(tmp_path / "rows.csv", index=False, sep=";", decimal=",", encoding="utf-16")
    answer = here("predict", tmp_path / "rows.csv", "-o", tmp_path / "out.csv", "-C", trained, "--json")
    document = answer.document
    assert document | {"findings": []} == {
        "rows": len(raw),
        "warned": 1,
        "model": "quick",
        "version": 1,
        "output": str(tmp_path / "out.csv"),
        "findings": [],
    }
    assert [each["message"] for each in document["findings"]] == [
        "Read as CSV: encoding=utf-16, separator=';', decimal=','."
    ]


def test_ids_keep_their_type_and_their_nulls(here, trained, raw, tmp_path):
    """A negative number is no formula; a null id stays null, also where a whole piece has none."""
    rows = raw.head(4).assign(visit=pd.array([-1, None, 3, 2**60 + 1], dtype="Int64"), note=[None, None, None, "=x"])
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for source in ("rows.parquet", "rows.csv"):
        arguments = ("predict", tmp_path / source, "-C", trained, "--id")
        assert here(*arguments, "visit", "-o", tmp_path / "out.csv").code == 0
        ids = [line.split(",")[0] for line in (tmp_path / "out.csv").read_text("utf-8").splitlines()]
        assert ids == ["visit", "-1", "", "3", str(2**60 + 1)]
    predicting_in_ones = predicting.PIECE
    try:
        predicting.PIECE = 1
        assert here(*arguments, "note", "-o", tmp_path / "out.parquet").code == 0
    finally:
        predicting.PIECE = predicting_in_ones
    assert pd.read_parquet(tmp_path / "out.parquet")["note"].tolist()[-1] == "=x"
    assert here(*arguments, "label", "-o", tmp_path / "out.csv").code == 2


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project behind cleaning functions that was run: codes `007`, a date, a truth value, numbers with nulls."""
    rng = np.random.default_rng(3)
    frame = quick_table(300)
    frame["code"] = rng.choice(["007", "08", "9", "10"], len(frame))
    frame["seen"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, len(frame)), unit="D")
    frame["paid"] = rng.random(len(frame)) < 0.5
    frame["visits"] = rng.integers(0, 30, len(frame))
    frame["agent"] = pd.array(rng.integers(1, 9, len(frame)), dtype="Int64")
    frame.loc[::5, "agent"] = None
    frame.loc[20:34, "colour"] = None  # whole pieces of seven without a colour and an agent
    frame.loc[20:34, "agent"] = None
    source = """
def prepare(frame):
    frame = frame[frame["visits"] > 0].copy()
    frame["often"] = frame["visits"] / frame["visits"].where(frame["paid"], 2)
    frame["agent"] = frame["agent"].astype("str")
    return frame
"""
    text = QUICK.replace('source = "table.csv"', 'source = "table.csv"\nclean = ["cleaning:prepare"]')
    folder = write_project(tmp_path_factory.mktemp("cleaned") / "quick", text, frame, cleaning=source)
    public.load(folder).run()
    return folder


def in_pieces(folder: Path, file: Path, output: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> pd.DataFrame:
    monkeypatch.setattr(predicting, "PIECE", rows)
    opened = open_project(folder)
    predicting.predict_file(opened, lambda bundle: open_table(opened.project, file, bundle), output)
    return pd.read_parquet(output).set_index("row")


def as_the_run_said(folder: Path, name: str, found: pd.DataFrame) -> bool:
    """Tell whether the test rows have the bits of the run's own predictions."""
    opened = open_project(folder)
    said = pd.read_parquet(opened.store.get(opened.ledger.versions(name)[0].predictions_digest)).set_index("_row")
    columns = [column for column in said.columns if column.startswith("probability_")]
    assert columns
    return found.loc[said.index, columns].to_numpy().tobytes() == said[columns].to_numpy().tobytes()


def test_behind_cleaning_functions_pieces_give_the_bits_of_the_run(cleaned, tmp_path, monkeypatch):
    whole = in_pieces(cleaned, cleaned / "table.csv", tmp_path / "whole.parquet", monkeypatch, 1000)
    pieces = in_pieces(cleaned, cleaned / "table.csv", tmp_path / "pieces.parquet", monkeypatch, 7)
    pd.testing.assert_frame_equal(whole, pieces, check_exact=True)
    assert as_the_run_said(cleaned, "quick", whole)
    table = pd.read_csv(cleaned / "table.csv", dtype={"code": "str", "agent": "Int64"})
    dropped = table["visits"] == 0
    assert dropped.any()
    assert (whole["label"].isna() == dropped).all()
    assert (whole["warnings"] == "dropped by a cleaning function").tolist() == dropped.tolist()
    table.to_parquet(tmp_path / "table.parquet", index=False)
    from_parquet = in_pieces(cleaned, tmp_path / "table.parquet", tmp_path / "other.parquet", monkeypatch, 7)
    pd.testing.assert_frame_equal(whole, from_parquet, check_exact=True)


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("visits", "3.5", "rows.csv:222: column 'visits' held whole numbers in training"),
        ("visits", "many", "rows.csv:222: column 'visits' holds numbers"),
        ("paid", "maybe", "rows.csv:222: column 'paid' held true and false"),
        ("seen", "31/31/2024", "column 'seen', row 221"),
        ("size", "1e999", "rows.csv:222"),
    ],
)
def test_a_cell_of_the_wrong_type_is_named_by_its_place_in_the_whole_file(
    cleaned, tmp_path, monkeypatch, column, cell, said
):
    """Pieces of seven, and rows dropped before it, do not move the place."""
    frame = pd.read_csv(cleaned / "table.csv", dtype="str", keep_default_na=False)
    frame.loc[220, column] = cell
    frame.loc[220, "visits"] = frame.loc[220, "visits"] if column == "visits" else "5"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError) as caught:
        in_pieces(cleaned, tmp_path / "rows.csv", tmp_path / "out.parquet", monkeypatch, 7)
    assert said in str(caught.value)
    assert cell not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("visits", ["1", "2"]),
        ("visits", [1.5, 2.0]),
        ("size", ["0.5", "1.5"]),
        ("paid", ["false", "true"]),
        ("paid", [0, 1]),
    ],
)
def test_a_notebook_gets_no_guess_either(cleaned, column, cells):
    """Text is no number, 1.5 no whole number and "false" no truth value: pandas' own conversion takes them all."""
    table = pd.read_csv(cleaned / "table.csv", dtype={"code": "str", "agent": "Int64"}).head(2)
    bundle = public.load_bundle("quick@champion", project=cleaned)
    bundle.predict(table)
    with pytest.raises(DataError, match=f"column '{column}', row 1"):
        bundle.predict(table.assign(**{column: cells}))


@pytest.mark.real
@pytest.mark.parametrize("trained_on", ["csv", "parquet"])
def test_hotel_rows_in_pieces_have_the_bits_of_the_run(real_data, tmp_path, monkeypatch, trained_on):
    """Codes with nulls (agent, company), null countries: CSV and Parquet, whole and in sevens, and the run itself."""
    frame = pd.read_parquet(real_data / "hotel_bookings.parquet").sample(1500, random_state=1)
    frame = frame.drop(columns=["reservation_status", "reservation_status_date", "assigned_room_type"])
    frame["deposit_type"] = frame["deposit_type"].where(frame.index % 3 > 0)
    folder = tmp_path / "hotel"
    folder.mkdir()
    frame.to_csv(folder / "table.csv", index=False)
    frame.to_parquet(folder / "table.parquet", index=False)
    text = HOTEL.replace("SUFFIX", trained_on)
    (folder / "tahona.toml").write_text(text, "utf-8")
    public.load(folder).run()
    same = f"table.{trained_on}"
    whole = in_pieces(folder, folder / same, tmp_path / "a.parquet", monkeypatch, 2000)
    pieces = in_pieces(folder, folder / same, tmp_path / "b.parquet", monkeypatch, 7)
    pd.testing.assert_frame_equal(whole, pieces, check_exact=True)
    assert as_the_run_said(folder, "hotel", whole)
    if trained_on == "parquet":  # a CSV file cannot say that 9.0 is meant as 9: training on it declared text
        other = in_pieces(folder, folder / "table.csv", tmp_path / "c.parquet", monkeypatch, 7)
        pd.testing.assert_frame_equal(whole, other, check_exact=True)


HOTEL = """\
[project]
name = "hotel"
target = "is_canceled"
positive = 1
[data]
source = "table.SUFFIX"
[data.types]
agent = "category"
company = "category"
[audit]
allow = { deposit_type = "a test of reading" }
[train]
metric = "roc_auc"
models = ["tree", "lightgbm"]
trials = 1
[train.search.tree]
max_depth = [4]
[train.search.lightgbm]
n_estimators = [20]
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="files without a name are looked for in /proc")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM], ids=lambda by: by.name)
def test_killed_midway_it_leaves_nothing_and_an_older_output_as_it_was(trained, raw, tmp_path, by):
    pd.concat([raw] * 1000, ignore_index=True).to_csv(tmp_path / "big.csv", index=False)
    (tmp_path / "out.csv").write_text("older", "utf-8")
    command = Path(sys.executable).with_name("tahona")
    child = subprocess.Popen([command, "predict", tmp_path / "big.csv", "-o", tmp_path / "out.csv", "-C", trained])
    deadline = time.monotonic() + 60
    while _written(child.pid, tmp_path) < 100_000 and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(by)
    assert child.wait() == -by
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.csv", "out.csv"]
    assert (tmp_path / "out.csv").read_text("utf-8") == "older"


def _written(pid: int, folder: Path) -> int:
    """Return how many bytes the process holds in a nameless file of the folder."""
    sizes = [0]
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(handle.readlink()).startswith(str(folder)) and handle.stat().st_nlink == 0:
                    sizes.append(handle.stat().st_size)
    return max(sizes)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read in /proc")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_file(trained, raw, tmp_path, suffix):
    """Ten times the rows take less than 60 MB more at the peak, in a Parquet file of one row group too."""
    peaks = []
    for copies in (125, 1250):
        big = pd.concat([raw] * copies, ignore_index=True)
        file = tmp_path / f"rows{copies}.{suffix}"
        big.to_csv(file, index=False) if suffix == "csv" else big.to_parquet(file, index=False)
        peaks.append(_peak(trained, file, tmp_path / f"out.{suffix}"))
    assert peaks[1] - peaks[0] < 60 * MEGABYTE


PEAK = """
import sys
from pathlib import Path
from tahona.cli import run
assert run(sys.argv[1:]) == 0
lines = Path("/proc/self/status").read_text().splitlines()
print("peak", next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""
"""ru_maxrss would count what this test's own process held when it started the child."""


def _peak(trained: Path, file: Path, output: Path) -> int:
    """Return the peak memory of a prediction in a process of its own, in KiB."""
    command = [sys.executable, "-c", PEAK, "predict", file, "-o", output, "-C", trained]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, encoding="utf-8", check=True
    )
    return int(done.stdout.split()[-1])
