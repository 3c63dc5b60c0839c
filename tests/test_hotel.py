"""The hotel example: it stops on the leak, is honest about time, and says why a random split flatters."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from projects import Answer, Command

import tahona as tahona_package

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "hotel"
QUICK = ("--set", "train.trials=1", "--set", "train.search.lightgbm.n_estimators=[60]")
HALF_HOUR = 1800
AT_RANDOM = ("--set", "split.kind=random", "--set", "data.types={}")
"""Nothing but the table and the name of its label."""


def copy_example(folder: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".tahona", "reports", "data")))


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with 6,000 invented bookings."""
    folder = copy_example(tmp_path_factory.mktemp("hotel") / "hotel")
    subprocess.run([sys.executable, "-W", "error", folder / "make_data.py", "--rows", "6000"], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """The example with the public table in place of the invented one."""
    folder = copy_example(tmp_path_factory.mktemp("hotel") / "hotel")
    (folder / "data" / "raw").mkdir(parents=True)
    shutil.copyfile(real_data / "hotel_bookings.parquet", folder / "data" / "raw" / "hotel_bookings.parquet")
    return folder


def kinds(answer: Answer) -> set[tuple[str, str]]:
    return {(finding["kind"], finding["column"]) for finding in answer.document["findings"]}


def check_stops(answer: Answer) -> None:
    """Exit 3, the column by name, no model trained."""
    assert answer.code == 3, answer.stderr
    error = answer.document["error"]
    assert "'reservation_status' alone tells the classes apart (AUC 1.0)" in error["what"]
    assert "'reservation_status'" in error["where"]
    assert '[data] drop = ["reservation_status"' in error["fix"]
    assert not any(step["id"].startswith("train") and step["state"] == "done" for step in answer.document["steps"])


def test_the_generator_writes_the_columns_and_the_traps_of_the_public_table(invented: Path) -> None:
    made = pd.read_parquet(invented / "data" / "raw" / "hotel_bookings.parquet")
    assert made.shape == (6000, 32)
    assert made["is_canceled"].mean() == pytest.approx(0.37, abs=0.03)
    known = made.drop(columns=["is_canceled", "reservation_status", "reservation_status_date", "assigned_room_type"])
    assert known.duplicated().mean() == pytest.approx(0.31, abs=0.04)
    assert set(made["reservation_status"]) == {"Check-Out", "Canceled", "No-Show"}


@pytest.mark.real
def test_the_generator_has_the_very_columns_and_types_of_the_public_table(invented: Path, real_data: Path) -> None:
    made = pd.read_parquet(invented / "data" / "raw" / "hotel_bookings.parquet")
    public = pd.read_parquet(real_data / "hotel_bookings.parquet")
    assert made.dtypes.to_dict() == public.dtypes.to_dict()
    assert list(made.columns) == list(public.columns)


def test_with_nothing_dropped_the_run_stops_and_names_the_leak(invented: Path, tahona: Command) -> None:
    answer = tahona("run", "-C", invented, "--json", "--set", "data.drop=[]")
    assert answer.code == 3
    check_stops(answer)


def test_later_bookings_are_judged_and_a_booking_is_predicted(invented: Path, tahona: Command) -> None:
    """The user's functions run before a prediction too: a raw row has no arrival date."""
    answer = tahona("run", "-C", invented, "--json", *QUICK)
    assert answer.code == 0, answer.stderr
    assert answer.document["test"]["roc_auc"]["value"] > 0.75
    assert ("near_deterministic_level", "deposit_type") in kinds(answer)
    assert not {kind for kind, _ in kinds(answer)} & {"duplicates_across", "time_unused"}
    rows = pd.read_parquet(invented / "data" / "raw" / "hotel_bookings.parquet").head(200)
    predicted = tahona_package.load_bundle("hotel@champion", project=invented).predict(
        rows.drop(columns=["is_canceled"])
    )
    assert set(predicted["label"]) <= {"0", "1"}
    assert (predicted["label"].astype(int) == rows["is_canceled"]).mean() > 0.6


def test_a_random_split_is_told_what_it_hides(invented: Path, tahona: Command) -> None:
    answer = tahona("run", "-C", invented / "random.toml", "--json", *QUICK)
    assert answer.code == 0, answer.stderr
    assert {("duplicates_across", ""), ("time_unused", "arrival_date")} <= kinds(answer)
    report = Path(answer.document["report"]).read_text("utf-8")
    assert "repeat a training row exactly" in report


@pytest.mark.real
def test_the_real_hotel_with_nothing_dropped_stops(real: Path, tahona: Command) -> None:
    answer = tahona("run", "-C", real, "--json", "--set", "data.drop=[]", "--set", "data.clean=[]", *AT_RANDOM)
    assert answer.code == 3
    check_stops(answer)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(HALF_HOUR)
def test_the_real_hotel_judged_on_its_latest_arrivals(real: Path, here: Callable[..., Answer]) -> None:
    answer = here("run", "-C", real, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.document["test"]["roc_auc"]["value"] >= 0.900


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(HALF_HOUR)
def test_the_real_hotel_at_random_is_higher_and_warned_about(real: Path, here: Callable[..., Answer]) -> None:
    answer = here("run", "-C", real / "random.toml", "--json", "--set", 'train.models=["lightgbm"]')
    assert answer.code == 0, answer.stderr
    assert answer.document["test"]["roc_auc"]["value"] >= 0.962
    repeated = next(finding for finding in answer.document["findings"] if finding["kind"] == "duplicates_across")
    assert "(32." in repeated["message"]
    assert 'split.duplicates = "together"' in repeated["message"]
