"""`POST /validate`: S4's form and S4's keys, with a validation that validates."""

from __future__ import annotations

import httpx
import numpy as np
import pandas as pd
import pytest
from backs import Back, started_back
from projects import QUICK, quick_table, write_project
from serving import ROW as QUICK_ROW
from serving import Server

import tahona

PROJECT = QUICK.replace('["tree", "logistic_regression"]', '["logistic_regression"]')
KEYS = ["status", "model_used", "input_shape", "predictions_count", "predictions", "input_columns", "message"]
TABLE = quick_table(300, seed=11)
TABLE[["size", "weight"]] = TABLE[["size", "weight"]].clip(-1.5, 1.5)  # inside of what training saw


@pytest.fixture(scope="session")
def back(server: Server) -> Back:
    return Back(server.folder, server.client)


def send(back: Back, text: str | bytes, name: str = "quick", **query: object) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    form = {"files": {"csv_file": ("../../etc/rows.csv", content, "text/csv")}, "data": {"model_name": name}}
    return back.http.post("/validate", params=query, **form)


def detail(back: Back, frame: pd.DataFrame, **how: object) -> dict:
    answer = send(back, frame.to_csv(index=False, **how), detail=True)
    assert answer.status_code == 200, answer.text
    return answer.json()


def findings(document: dict) -> dict[tuple[str, str], dict]:
    return {(each["kind"], each["column"]): each for each in document["findings"]}


def test_the_answer_has_exactly_s4s_keys(back):
    answer = send(back, TABLE.to_csv(index=False))
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert list(document) == KEYS
    assert document["status"] == "valid"
    assert document["model_used"] == "quick@1"
    assert document["input_shape"] == [300, 4]
    assert document["input_columns"] == list(TABLE.columns)
    assert document["predictions_count"] == len(document["predictions"]) == 300
    wanted = tahona.load_bundle("champion", project=back.root).predict(TABLE.drop(columns="label"))
    assert document["predictions"] == wanted["label"].tolist()
    assert "On 300 rows with a label: accuracy 0." in document["message"]


def test_metrics_are_measured_with_intervals_where_the_label_is_in_the_file(back):
    """They are scikit-learn's numbers for these rows."""
    from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

    document = detail(back, TABLE)
    wanted = tahona.load_bundle("champion", project=back.root).predict(TABLE.drop(columns="label"))
    measured = document["metrics"]
    assert document["labelled_rows"] == 300
    assert measured["accuracy"]["value"] == pytest.approx(accuracy_score(TABLE["label"], wanted["label"]), abs=1e-12)
    assert measured["f1"]["value"] == pytest.approx(f1_score(TABLE["label"], wanted["label"], pos_label="yes"))
    assert measured["roc_auc"]["value"] == pytest.approx(roc_auc_score(TABLE["label"], wanted["probability_yes"]))
    assert measured["roc_auc"]["low"] < measured["roc_auc"]["value"] < measured["roc_auc"]["high"]
    assert document["findings"] == []


def test_without_the_label_nothing_is_measured(back):
    document = detail(back, TABLE.drop(columns="label"))
    assert (document["status"], document["metrics"], document["labelled_rows"]) == ("valid", {}, 0)
    assert "label" not in document["message"]


def test_every_kind_of_difference_is_counted_with_its_first_row(back):
    frame = TABLE.copy().astype({"size": object})
    frame.loc[4, "colour"] = "mauve"
    frame.loc[[7, 9], "weight"] = 1e5
    frame.loc[3, "size"] = None
    frame.loc[[1, 5], "label"] = ["maybe", None]
    document = detail(back, frame.assign(hat=1))
    found = findings(document)
    unseen, beyond = found["unseen_level", "colour"], found["out_of_range", "weight"]
    assert (unseen["rows"], unseen["first_row"]) == (1, 5)
    assert (beyond["rows"], beyond["first_row"]) == (2, 8)
    assert beyond["share"] == pytest.approx(2 / 300)
    assert found["unexpected_null", "size"]["rows"] == 1
    assert found["unknown_label", "label"]["rows"] == 2
    assert ("extra_column", "hat") in found
    assert document["labelled_rows"] == 298
    assert document["status"] == "valid"
    assert "mauve" not in document["message"] + str(document["findings"])


def test_a_table_that_does_not_fit_is_invalid_and_not_predicted(back):
    """Every wrong cell is counted, not only the first."""
    frame = TABLE.astype({"size": object, "weight": object})
    frame.loc[[2, 3, 200], "size"] = ["big", "small", "1.2.3"]
    frame.loc[250, "weight"] = "1e999"
    document = detail(back, frame)
    found = findings(document)
    assert document["status"] == "invalid"
    assert (document["predictions"], document["predictions_count"], document["metrics"]) == ([], 0, {})
    assert (found["wrong_type", "size"]["rows"], found["wrong_type", "size"]["first_row"]) == (3, 3)
    assert (found["wrong_type", "weight"]["rows"], found["wrong_type", "weight"]["first_row"]) == (1, 251)
    assert "do not fit" in document["message"]
    document = detail(back, TABLE.drop(columns=["size", "label"]))
    assert findings(document)["missing_column", "size"]["stops"]
    assert document["status"] == "invalid"


def test_decimal_commas_are_numbers_too(back):
    plain, commas = detail(back, TABLE), detail(back, TABLE, sep=";", decimal=",")
    assert plain == commas


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"size,weight,colour\n", 400),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 100, 400),
        (b"PK\x03\x04" + b"0" * 100, 400),
        (b"\x80\x04\x95", 400),
        (b'[{"size": 1}]', 400),
        (b"size,weight,colour\n1,2,red\n1,2\n", 400),
        (b'size,weight,colour\n1,2,"red\n', 400),
        (b"size,size\n1,2\n", 400),
    ],
)
def test_what_is_empty_or_no_csv_is_refused(back, content, status):
    answer = send(back, content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "quick@7",
        "quick@",
        "../quick",
        "../../../../etc/passwd",
        "%2e%2e%2fquick",
        "quick\0",
        "/tmp/model.pkl",
        "file:///etc/passwd",
        "x" * 150,
        "",
    ],
)
def test_a_model_is_looked_up_in_the_ledger_and_nowhere_else(back, name):
    answer = send(back, TABLE.head(2).to_csv(index=False), name)
    assert answer.status_code == 404, answer.text
    assert "passwd" not in answer.text


def test_a_version_may_be_named(back):
    for name in ("quick", "quick@1", "quick@champion"):
        assert send(back, TABLE.head(3).to_csv(index=False), name).json()["model_used"] == "quick@1"


def test_the_form_has_two_parts_and_no_more(back):
    rows = ("rows.csv", TABLE.head(2).to_csv(index=False), "text/csv")
    post = back.http.post
    assert post("/validate", files={"csv_file": rows}).status_code == 422
    assert post("/validate", data={"model_name": "quick"}).status_code == 415
    assert post("/validate", files={"model_name": (None, "quick")}).status_code == 422
    assert post("/validate", files={"csv_file": rows}, data={"model_name": "quick", "more": "1"}).status_code == 422
    assert post("/validate", files={"csv_file": rows, "two": rows}, data={"model_name": "quick"}).status_code == 400
    assert post("/validate", files={"csv_file": rows}, data={"model_name": "q" * 10_000}).status_code == 400
    assert post("/validate", files={"csv_file": (None, "text")}, data={"model_name": "quick"}).status_code == 422
    assert post(
        "/validate", content=b"--x", headers={"content-type": "multipart/form-data; boundary=x"}
    ).status_code in (
        400,
        422,
    )
    many = {f"f{place}": "1" for place in range(50)}
    assert post("/validate", files={"csv_file": rows}, data=many).status_code == 400


@pytest.mark.parametrize("headers", [["X: " + "x" * 10_000], [f"X-{place}: 1" for place in range(20)]])
def test_the_headers_of_a_part_are_bounded(back, headers):
    """Their number and their length, by python-multipart's own bounds, which older releases do not have."""
    lines = ["--b", 'Content-Disposition: form-data; name="model_name"', *headers, "", "quick", "--b--", ""]
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert back.http.post("/validate", content="\r\n".join(lines).encode(), headers=kind).status_code == 400


@pytest.mark.slow
def test_a_large_file_is_checked_in_a_process_of_its_own_with_the_same_result(back):
    """More than a megabyte: the findings, metrics and labels are those of the same rows in a thread."""
    frame = pd.concat([TABLE] * 200, ignore_index=True)
    text = frame.to_csv(index=False)
    assert len(text) > 1 << 20
    large, small = send(back, text, detail=True).json(), detail(back, TABLE)
    assert large["input_shape"] == [60_000, 4]
    assert large["predictions_count"] == 60_000
    assert large["predictions"] == (small["predictions"] * 200)[:10_000]
    assert large["metrics"]["roc_auc"]["low"] is None  # intervals of so many rows would take seconds
    for name, measured in small["metrics"].items():
        assert large["metrics"][name]["value"] == pytest.approx(measured["value"], abs=1e-9), name
    assert [each["rows"] for each in large["findings"]] == [each["rows"] * 200 for each in small["findings"]]
    broken = send(back, text + "1,2\n")
    assert broken.status_code == 400
    assert broken.json()["where"] == "csv_file:60002"


@pytest.mark.slow
def test_rows_that_the_cleaning_functions_drop_are_counted_and_not_judged(tmp_path):
    cleaning = "def few(frame):\n    return frame[frame['weight'] < 1.0]\n"
    project = PROJECT.replace("[split]", 'clean = ["cleaning:few"]\n\n[split]')
    root = write_project(tmp_path / "quick", project, cleaning=cleaning)
    tahona.load(root).run()
    kept = int((TABLE["weight"] < 1.0).sum())
    with started_back(root) as back:
        frame = TABLE.copy()
        frame.loc[int(np.flatnonzero(TABLE["weight"] < 1.0)[-1]), "size"] = 1e4
        document = detail(back, frame)
        large = send(back, pd.concat([frame] * 200).to_csv(index=False), detail=True).json()
    assert findings(document)["dropped_rows", ""]["rows"] == 300 - kept
    assert document["predictions_count"] == document["labelled_rows"] == kept
    assert document["predictions"].count(None) == 300 - kept
    assert findings(document)["out_of_range", "size"]["first_row"] == int(np.flatnonzero(TABLE["weight"] < 1.0)[-1]) + 1
    assert large["predictions_count"] == 200 * kept


def test_nothing_of_a_validation_is_left_on_disk_or_in_the_log(back):
    from tahona.wiring import open_prediction_log, open_project

    log = open_prediction_log(open_project(back.root).project)
    rows = len(list(log.read("quick")))
    send(back, TABLE.to_csv(index=False))
    send(back, b"a\n1,2\n")
    back.logged([each["id"] for each in back.predict(QUICK_ROW).json()["predictions"]])
    assert list((back.root / "temporary").iterdir()) == []
    assert len(list(log.read("quick"))) < rows + len(TABLE)
