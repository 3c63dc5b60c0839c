"""The four rules for file names."""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath

import pytest

from tahona.core.naming import (
    ALGORITHMS,
    check_name,
    check_names,
    data_name,
    figure_name,
    model_name,
    notebook_name,
)
from tahona.errors import InputError


def test_names_that_are_made_follow_the_rules() -> None:
    names = {
        f"data/raw/{data_name('hotel', 'raw', date(2025, 9, 30), 'csv')}": "data/raw/hotel_raw_20250930.csv",
        f"reports/figures/{figure_name('roc_curve', 'hotel')}": "reports/figures/roc_curve_hotel_.png",
        f"reports/figures/{figure_name('matriz de confusión', 'niños', 'svg')}": (
            "reports/figures/matriz_de_confusion_ninos_.svg"
        ),
        f"notebooks/{notebook_name(3, 'training rf', 'Mª José')}": "notebooks/03_training_rf_Ma-Jose.ipynb",
        f"models/{model_name('rf', 'breast_cancer', 12)}": "models/rf_breast_cancer_v12.pkl",
    }
    assert list(names) == list(names.values())
    assert check_names(PurePosixPath(name) for name in names) == {}


@pytest.mark.parametrize(
    "path",
    [
        "data/raw/clientes_raw_20250930.csv",
        "data/processed/ventas_processed_20251002.csv",
        "data/hotel_bookings_interim_20240229.parquet",
        "notebooks/01_eda_jv.ipynb",
        "notebooks/03_training_rf_mg.ipynb",
        "models/rf_clientes_v1.pkl",
        "xgb_ventas_v3.pkl",
        "reports/figures/distribucion_clientes_.png",
    ],
)
def test_the_examples_of_the_people_who_asked_are_right(path: str) -> None:
    assert check_name(PurePosixPath(path)) is None


@pytest.mark.parametrize(
    "path", ["README.md", "src/model.py", "logo.png", "docs/table.csv", "model.tahona", "data/notes.txt"]
)
def test_other_files_are_nobodys_business(path: str) -> None:
    assert check_name(PurePosixPath(path)) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("data/raw/hotel.csv", "not of the form <dataset>_<phase>_<YYYYMMDD>.csv"),
        ("data/raw/hotel_final_20250930.csv", "phase raw, interim, processed"),
        ("data/raw/hotel_raw_20250230.csv", "20250230 is no day of the calendar"),
        ("data/raw/hotel_interim_20250930.csv", "a file of the phase interim lies in a folder for raw"),
        ("data/raw/hotel_raw_20250930.CSV", "not of the form"),
        ("reports/figures/roc_hotel.png", "not of the form <topic>_<dataset>_.png"),
        ("figures/roc_hotel_.png", "reports/figures/"),
        ("notebooks/eda.ipynb", "<nn>_<topic>_<author>.ipynb"),
        ("notebooks/1_eda_jv.ipynb", "<nn>_<topic>_<author>.ipynb"),
        ("models/final_model.pkl", "<algorithm>_<dataset>_v<N>.pkl"),
        ("models/rf_clientes_v0.pkl", "<algorithm>_<dataset>_v<N>.pkl"),
        ("models/magic_clientes_v1.pkl", "'magic' stands for no algorithm: one of dummy, tree, svc"),
    ],
)
def test_a_wrong_name_is_told_with_its_reason(path: str, reason: str) -> None:
    assert reason in (check_name(PurePosixPath(path)) or "")


def test_a_check_of_many_files_gives_the_wrong_ones_in_order() -> None:
    paths = [PurePosixPath(path) for path in ("b.pkl", "models/rf_hotel_v1.pkl", "a.ipynb")]
    assert list(check_names(paths)) == [paths[0], paths[2]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: figure_name("¿?", "hotel"),
        lambda: figure_name("roc", "漢字"),
        lambda: model_name("magic", "hotel", 1),
        lambda: model_name("rf", "hotel", 0),
        lambda: notebook_name(100, "eda", "jv"),
    ],
)
def test_no_wrong_name_is_ever_made(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]


def test_every_family_has_a_short_name() -> None:
    from tahona.core.families import FAMILY_NAMES

    assert set(ALGORITHMS.values()) == {*FAMILY_NAMES, "ensemble"}
