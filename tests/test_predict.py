"""`tahona predict`: a file of any length, in pieces, with the answers that the run itself gave."""

from __future__ import annotations

import csv
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import quick_table, write_project

import tahona as public
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
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_file(trained, raw, tmp_path, suffix):
    """Ten times the rows take less than 60 MB more at the peak."""
    peaks = []
    for copies in (125, 1250):
        big = pd.concat([raw] * copies, ignore_index=True)
        file = tmp_path / f"rows{copies}.{suffix}"
        big.to_csv(file, index=False) if suffix == "csv" else big.to_parquet(file, index=False, row_group_size=20_000)
        peaks.append(_peak(trained, file, tmp_path / f"out.{suffix}"))
    assert peaks[1] - peaks[0] < 60 * MEGABYTE


def _peak(trained: Path, file: Path, output: Path) -> int:
    """Return the peak memory of a prediction in a process of its own, in KiB."""
    command = [
        str(Path(sys.executable).with_name("tahona")),
        "predict",
        str(file),
        "-o",
        str(output),
        "-C",
        str(trained),
    ]
    pid = os.posix_spawn(command[0], command, {**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_maxrss
