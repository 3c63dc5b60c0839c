"""Figures: PNG and SVG, the same bytes every time, in the report's language, whatever the classes are called."""

import re
import struct
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tahona.report.figures import TOPICS, draw_figures

PNG = b"\x89PNG\r\n\x1a\n"


def line(points=50):
    x = np.linspace(0, 1, points)
    return {"x": x.tolist(), "y": np.sqrt(x).tolist()}


def documents(labels=("benign", "malignant"), models=("lightgbm", "svc"), cost=True, threshold=0.31):
    """Return an evaluation and a leaderboard as the steps write them."""
    binary = len(labels) == 2
    drawn = labels[1:] if binary else labels
    thresholds = np.linspace(0, 1, 101)
    interval = {"value": 0.9, "low": 0.88, "high": 0.92}
    evaluation = {
        "rows": 100 * len(labels),
        "labels": list(labels),
        "positive": labels[1] if binary else None,
        "chosen": models[0],
        "threshold": threshold if binary else None,
        "metrics": {"roc_auc": interval, "pr_auc": {"value": None, "low": None, "high": None}},
        "confusion": {"labels": list(labels), "matrix": (np.eye(len(labels), dtype=int) * 90 + 3).tolist()},
        "curves": {
            "roc": {label: line() for label in drawn},
            "pr": {label: line() for label in drawn},
            "calibration": {
                label: {"predicted": [0.1, 0.5, 0.9], "observed": [0.2, 0.5, 0.7], "count": [60, 30, 10]}
                for label in drawn
            },
            "threshold": {
                "threshold": thresholds.tolist(),
                "cost": ((thresholds - 0.3) ** 2).tolist() if cost else [],
                "f1": (thresholds * (1 - thresholds) * 4).tolist(),
            }
            if binary
            else {},
        },
        "importance": [
            {"column": f"column_{place}", "value": 1 / (place + 1), "low": 0.9 / (place + 1), "high": 1.1 / (place + 1)}
            for place in range(20)
        ],
        "per_class": [{"label": label, "rows": 100, "precision": 1, "recall": 1, "f1": 1} for label in labels],
    }
    rows = [
        {"model": name, "metric": "roc_auc", "value": 0.95 - place / 100, "low": 0.9, "high": 0.97}
        for place, name in enumerate(models)
    ]
    rows.append({"model": "dummy", "metric": "roc_auc", "value": 0.5, "low": None, "high": None})
    return evaluation, {"metric": "roc_auc", "better": "higher", "chosen": models[0], "rows": rows}


def texts(file):
    """Return every text that an SVG shows."""
    root = ET.fromstring(file.read_bytes())
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_topic_is_a_png_and_an_svg_named_by_the_rule(tmp_path):
    files = draw_figures(*documents(), tmp_path, "breast_cancer", "en")
    names = {file.name for file in files}
    assert names == {f"{topic}_breast_cancer_.{suffix}" for topic in TOPICS for suffix in ("png", "svg")}
    assert names == {file.name for file in tmp_path.iterdir()}
    for file in tmp_path.glob("*.png"):
        head = file.read_bytes()[:24]
        width, height = struct.unpack(">II", head[16:24])
        assert head[:8] == PNG
        assert width > 600
        assert height > 250


def test_the_same_documents_give_the_same_bytes_in_another_process(tmp_path):
    here = draw_figures(*documents(), tmp_path / "here", "d", "en")
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); import test_figures as t;"
        "t.draw_figures(*t.documents(), Path(sys.argv[1]), 'd', 'en')"
    )
    there = tmp_path / "there"
    subprocess.run([sys.executable, "-c", script, str(there), str(Path(__file__).parent)], check=True)
    for file in here:
        assert file.read_bytes() == (there / file.name).read_bytes(), file.name


def test_a_matplotlibrc_of_the_user_changes_nothing_and_is_left_as_it_was(tmp_path):
    import matplotlib as mpl

    first = draw_figures(*documents(), tmp_path / "a", "d", "en")
    with mpl.rc_context({"font.size": 20, "axes.grid": False, "savefig.facecolor": "black"}):
        second = draw_figures(*documents(), tmp_path / "b", "d", "en")
        assert mpl.rcParams["font.size"] == 20
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_no_file_says_when_or_by_what_it_was_made(tmp_path):
    for file in draw_figures(*documents(), tmp_path, "d", "en"):
        content = file.read_bytes()
        assert b"Matplotlib v" not in content
        assert b"dc:date" not in content
        if file.suffix == ".svg":
            assert not re.search(rb"(?:href|src)=\"https?:", content)


def test_the_class_that_matters_stands_first_in_the_confusion_matrix(tmp_path):
    draw_figures(*documents(), tmp_path, "d", "en")
    shown = texts(tmp_path / "confusion_matrix_d_.svg")
    assert shown.index("malignant") < shown.index("benign")
    assert shown.count("93") == 2


def test_the_legend_tells_the_area_and_guessing(tmp_path):
    draw_figures(*documents(), tmp_path, "d", "en")
    shown = texts(tmp_path / "roc_curve_d_.svg")
    assert "malignant: ROC AUC 0.900" in shown
    assert "guessing" in shown
    assert "malignant" in texts(tmp_path / "pr_curve_d_.svg"), "an area that does not exist is not told"


def test_spanish_figures_speak_spanish_with_decimal_commas(tmp_path):
    draw_figures(*documents(), tmp_path, "d", "es")
    every = [text for file in tmp_path.glob("*.svg") for text in texts(file)]
    assert {"Curva ROC · Potenciación de gradiente LightGBM", "Exhaustividad", "Umbral", "elegido: 0,310"} <= set(every)
    assert not [text for text in every if re.search(r"\d\.\d", text)]
    assert not {"Recall", "Precision", "Threshold", "guessing"} & set(every)


def test_without_a_cost_only_f1_is_drawn_against_the_threshold(tmp_path):
    draw_figures(*documents(cost=False), tmp_path, "d", "en")
    shown = texts(tmp_path / "threshold_cost_d_.svg")
    assert "F1" in shown
    assert "Cost per row" not in shown


def test_what_has_no_numbers_is_not_drawn(tmp_path):
    evaluation, leaderboard = documents(labels=("a", "b", "c"))
    files = draw_figures(evaluation | {"importance": []}, leaderboard, tmp_path, "d", "en")
    topics = {file.name.removesuffix("_d_.svg") for file in files if file.suffix == ".svg"}
    assert topics == set(TOPICS) - {"threshold_cost", "importance"}


def test_a_distant_dummy_is_told_instead_of_squeezing_the_models(tmp_path):
    draw_figures(*documents(), tmp_path, "d", "en")
    assert "ROC AUC: mean over folds and 95 % interval (dummy 0.500)" in texts(tmp_path / "leaderboard_d_.svg")


@pytest.mark.parametrize(
    "labels",
    [
        ("$no$", "_yes_^2"),
        ("<b>a</b>", "x" * 300),
        ("没有", "はい"),
        ("no", "depresión mayor"),
        tuple(f"a rather long class name {number}" for number in range(25)),
    ],
)
def test_class_names_of_any_kind_are_drawn_as_they_are(tmp_path, labels):
    files = draw_figures(*documents(labels=labels), tmp_path, "d", "en")
    assert len(files) >= 12
    shown = texts(tmp_path / "confusion_matrix_d_.svg")
    assert labels[0] in shown


def test_all_figures_cost_little(tmp_path):
    draw_figures(*documents(), tmp_path / "warm", "d", "en")
    start = time.process_time()
    draw_figures(*documents(), tmp_path / "timed", "d", "en")
    assert time.process_time() - start < 1.5
