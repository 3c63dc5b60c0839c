"""`POST /predict` where the workers pass it on to the back: no compiled form, CSV, explanations."""

from __future__ import annotations

import csv
import io
import json
import math
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pandas as pd
import pytest
from backs import CANCER, Back, run_mixed, started_back
from projects import QUICK, quick_table, write_project
from serving import until
from sklearn.datasets import load_breast_cancer

import tahona
from tahona.serve.keys import create_key, keys_file, read_keys

TABLE = load_breast_cancer(as_frame=True).data
ROWS: list[dict[str, float]] = TABLE.to_dict("records")
COLUMN = "mean radius"
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Back]:
    """A back whose champion are nearest neighbours, which no worker can compile."""
    root = tmp_path_factory.mktemp("slow")
    (root / "tahona.toml").write_text(CANCER.format(family="knn", features=f'["{COLUMN}"]'), "utf-8")
    tahona.load(root).run()
    _, key = create_key(root, "tests", ["predict", "read"])
    with started_back(root, key) as back:
        yield back


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Back]:
    """A back whose champion is a linear model of two numbers with nulls, a colour, and codes with leading zeros."""
    root = tmp_path_factory.mktemp("mixed")
    frame = quick_table()
    frame["code"] = [f"0{place % 9}" for place in range(len(frame))]
    run_mixed(root, "logistic_regression", frame)
    with started_back(root) as back:
        yield back


def said(answer: httpx.Response, status: int = 200) -> dict:
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 2_000
        assert answer.json()["status"] == status
    return answer.json()


def bundle_of(back: Back):
    return tahona.load_bundle("champion", project=back.root)


def test_the_answer_is_the_bundles_own_bit_for_bit_and_stands_in_the_log(slow):
    answer = said(slow.predict({"rows": ROWS[:50]}))
    wanted = bundle_of(slow).predict(TABLE.head(50))
    assert (answer["model"], answer["version"]) == ("cancer", 1)
    assert answer["decision"] == {"positive": "malignant", "threshold": 0.5}
    assert [each["label"] for each in answer["predictions"]] == wanted["label"].tolist()
    found = [[each["probabilities"][label] for label in ("benign", "malignant")] for each in answer["predictions"]]
    assert np.array(found).tobytes() == wanted[["probability_benign", "probability_malignant"]].to_numpy().tobytes()
    ids = [each["id"] for each in answer["predictions"]]
    assert len(set(ids)) == 50
    logged = slow.logged(ids)
    for row, name, each in zip(ROWS, ids, answer["predictions"], strict=False):
        kept = logged[name]
        assert kept.features == {COLUMN: row[COLUMN]}  # [serve] log_features
        assert (kept.label, kept.version, kept.name) == (each["label"], 1, "cancer")
        assert dict(kept.probabilities) == each["probabilities"]


def test_the_key_that_asked_stands_in_the_log_and_no_header_of_the_client_in_its_place(slow):
    """A client cannot name another's key, nor choose the ids of its predictions."""
    answer = slow.predict(ROWS[0], headers={"x-tahona-key": "forged", "x-tahona-request": "forged"})
    (name,) = [each["id"] for each in said(answer)["predictions"]]
    (key,) = read_keys(keys_file(slow.root))
    assert name == f"{answer.headers['x-request-id']}-0"
    assert slow.logged([name])[name].key == key


def test_a_list_and_one_row_by_itself_are_taken_too(slow):
    whole = [said(slow.predict(form))["predictions"] for form in ({"rows": ROWS[:1]}, ROWS[:1], ROWS[0])]
    assert all(each[0]["probabilities"] == whole[0][0]["probabilities"] for each in whole)


def test_columns_in_another_order_give_the_same_answer(slow):
    turned = dict(reversed(ROWS[3].items()))
    first, second = (said(slow.predict(row))["predictions"][0] for row in (ROWS[3], turned))
    assert first["probabilities"] == second["probabilities"]


def test_an_unknown_column_is_named_in_a_warning(slow):
    answer = said(slow.predict({**ROWS[0], "hat size": 7}))["predictions"][0]
    assert answer["warnings"] == ["unknown column(s) that nothing was made of: hat size"]


def test_csv_names_unknown_columns_in_the_same_words_as_json(mixed):
    """In every row, behind the row's own warnings; a column that names the rows is no unknown one."""
    rows = [{"size": 0.5, "weight": 0.5, "colour": "red", "code": "03"} for _ in range(3)]
    rows[1]["colour"] = "violet"
    more = [{**row, "label": "yes", "hat size": 7} for row in rows]
    from_json = ["; ".join(each["warnings"]) for each in said(mixed.predict(more))["predictions"]]
    from_csv = [each["warnings"] for each in table(mixed, pd.DataFrame(more).to_csv(index=False))]
    told = "unknown column(s) that nothing was made of: label, hat size"
    assert from_csv == from_json == [told, f"unseen category in colour; {told}", told]
    named = table(mixed, pd.DataFrame(more).to_csv(index=False), params={"id": "hat size"})
    assert named[0]["warnings"] == "unknown column(s) that nothing was made of: label"
    assert table(mixed, pd.DataFrame(rows).to_csv(index=False))[0]["warnings"] == ""
    wide = pd.DataFrame([{**rows[0], **{f"more {place}": 1 for place in range(1001)}}])
    for answer in (
        mixed.predict(wide.to_dict("records")),
        mixed.http.post("/predict", content=wide.to_csv(index=False), headers=CSV),
    ):
        assert "1000 columns" in said(answer, 413)["detail"].replace(",", "")


def metric(back: Back, name: str) -> float:
    """Return one of the server's counts, 0 where nothing was counted."""
    for line in back.http.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_what_the_back_predicts_is_counted_and_stands_in_the_request_log(slow):
    """CSV, a champion that is slow, and MLflow's protocol: rows, version and warnings, as for the workers' own."""
    rows, warning = 'tahona_predicted_rows_total{version="1"}', f"{COLUMN} outside the training range"
    warned = f'tahona_row_warnings_total{{warning="{warning}"}}'
    before = metric(slow, rows), metric(slow, warned)
    far = TABLE.head(4).assign(**{COLUMN: [1e6, 1e6, 14.0, 14.0]})
    answers = [
        slow.predict(far.to_dict("records")),
        slow.http.post("/predict", content=far.head(3).to_csv(index=False), headers=CSV),
        slow.http.post("/invocations", json={"dataframe_records": far.head(1).to_dict("records")}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not any(name.startswith("x-tahona-") for answer in answers for name in answer.headers)
    assert (metric(slow, rows) - before[0], metric(slow, warned) - before[1]) == (8, 5)
    said(slow.predict({}), 422)
    assert metric(slow, rows) - before[0] == 8
    ids = [answer.headers["x-request-id"] for answer in answers]
    until(lambda: logged_requests(slow).keys() >= set(ids))
    assert [logged_requests(slow)[name] for name in ids] == [(4, 1), (3, 1), (1, 1)]


def logged_requests(back: Back) -> dict[str, tuple[int, int]]:
    """Return rows and version that the server's log has of each request, by its id."""
    lines = (json.loads(line) for line in (back.root / "serve.log").read_text("utf-8").splitlines())
    return {each["id"]: (each["rows"], each["version"]) for each in lines if each["event"] == "request"}


def test_a_value_outside_the_training_range_is_warned_of(slow):
    answer = said(slow.predict({**ROWS[0], COLUMN: 1e6}))["predictions"][0]
    assert answer["warnings"] == [f"{COLUMN} outside the training range"]


def with_text(text: str) -> bytes:
    """Return one row as JSON with this text where the column's number stands."""
    return json.dumps({"rows": [ROWS[0], {**ROWS[1], COLUMN: "HERE"}]}).replace('"HERE"', text).encode()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("NaN", 422),
        ("-Infinity", 422),
        ("1e999", 422),
        ('"1.5"', 422),
        ("true", 422),
        ('"a text"', 422),
        ("null", 200),
        ("[1.0]", 422),
        ('{"a": 1}', 422),
        (str(2**70), 422),
        ("9" * 5_000, 422),
        ('"\\ud800"', 422),
        ('"\\u0000"', 422),
        ('"\U0001f600 \u202e"', 422),
        (f'1.0, "{COLUMN}": 2.0', 422),
        ("[" * 50_000 + "]" * 50_000, 400),
        ("1.0.0", 400),
        ("\\", 400),
    ],
)
def test_a_cell_that_is_no_number_is_refused_with_row_and_column(slow, text, status):
    answer = slow.http.post("/predict", content=with_text(text), headers={"content-type": "application/json"})
    document = said(answer, status)
    if status == 422:
        assert document["where"].startswith("row 2")
        assert COLUMN in document["where"]


def test_what_is_no_set_of_rows_is_refused(slow):
    for body, status in (
        ({"rows": []}, 422),
        ([], 422),
        ([1], 422),
        ({"rows": ROWS[:1], "more": 1}, 422),
        ({"rows": ROWS[:1] * 301}, 413),
        ("text", 422),
    ):
        said(slow.predict(body), status)
    short = {name: cell for name, cell in ROWS[0].items() if name != COLUMN}
    assert COLUMN in said(slow.predict([ROWS[0], short]), 422)["detail"]
    assert "missing" in said(slow.predict({name.upper(): cell for name, cell in ROWS[0].items()}), 422)["detail"]


def test_media_types_that_are_not_read_are_said_so(slow):
    body = json.dumps(ROWS[0]).encode()
    for headers in (
        {"content-type": "text/plain"},
        {},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "text/csv; charset=klingon"},
    ):
        said(slow.http.post("/predict", content=body, headers=headers), 415)
    assert slow.http.get("/predict").status_code == 405
    latin = "{'ñ': 1}".replace("'", '"').encode("latin-1")
    said(slow.http.post("/predict", content=latin, headers={"content-type": "application/json"}), 400)


def test_nothing_of_the_input_is_echoed(slow):
    """Five million characters in a cell get a short answer that holds none of them."""
    document = said(slow.predict({**ROWS[0], COLUMN: "x" * 5_000_000}), 413)
    assert "xxx" not in json.dumps(document)
    document = said(slow.predict({**ROWS[0], COLUMN: "secret-4711"}), 422)
    assert "4711" not in json.dumps(document)
    assert b"4711" not in (slow.root / "serve.log").read_bytes()


def test_many_clients_at_once_each_get_their_own_answer(slow):
    """Sixteen clients, some with bad rows: what is scored together answers as if alone."""
    wanted = bundle_of(slow).predict(TABLE.head(200))["probability_malignant"].tolist()

    def ask(place: int) -> tuple[int, float]:
        row = ROWS[place] if place % 10 else {**ROWS[place], COLUMN: "ten"}
        answer = slow.predict({"rows": [row]})
        if answer.status_code == 422:
            return 422, math.nan
        return 200, said(answer)["predictions"][0]["probabilities"]["malignant"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    for place, (status, share) in enumerate(answers):
        assert status == (200 if place % 10 else 422)
        assert share == wanted[place] or place % 10 == 0


def table(back: Back, text: str | bytes, **more) -> list[dict[str, str]]:
    content = text.encode() if isinstance(text, str) else text
    answer = back.http.post("/predict", content=content, headers=CSV, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_csv_in_gives_csv_out_with_the_bundles_bits_and_ids_that_are_logged(slow):
    found = table(slow, TABLE.head(60).to_csv(index=False))
    wanted = bundle_of(slow).predict(TABLE.head(60))
    assert list(found[0]) == [
        "row", "label", "probability_benign", "probability_malignant", "version", "warnings", "prediction_id",
    ]  # fmt: skip
    assert [each["row"] for each in found] == [str(place) for place in range(60)]
    shares = np.array([float(each["probability_malignant"]) for each in found])
    assert shares.tobytes() == wanted["probability_malignant"].to_numpy().tobytes()
    ids = [each["prediction_id"] for each in found]
    logged = slow.logged(ids)
    assert [logged[name].label for name in ids] == wanted["label"].tolist()
    assert logged[ids[7]].features == {COLUMN: ROWS[7][COLUMN]}


def test_separator_decimal_mark_and_encoding_are_found_and_told(mixed):
    frame = quick_table(12).drop(columns="label").assign(code="00123", señal="=1+1")
    text = frame.to_csv(index=False, sep=";", decimal=",").encode("cp1252")
    answer = mixed.http.post("/predict", content=text, headers=CSV, params={"id": "señal"})
    assert answer.headers["tahona-read-as"] == "encoding=cp1252, separator=';', decimal=','"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [each["señal"] for each in rows] == ["'=1+1"] * 12  # a spreadsheet would run it
    assert rows[0]["warnings"].endswith("unseen category in code")
    plain = table(mixed, frame.to_csv(index=False))
    assert [each["probability_yes"] for each in rows] == [each["probability_yes"] for each in plain]
    declared = mixed.http.post("/predict", content=text, headers={"content-type": "text/csv; charset=windows-1252"})
    assert declared.headers["tahona-read-as"].startswith("encoding=windows-1252")


def test_json_and_csv_of_the_same_rows_give_the_same_bits(mixed):
    frame = pd.read_parquet(mixed.root / "table.parquet").drop(columns="label").head(100)
    rows = [
        {name: None if isinstance(cell, float) and math.isnan(cell) else cell for name, cell in row.items()}
        for row in frame.to_dict("records")
    ]
    from_json = [each["probabilities"]["yes"] for each in said(mixed.predict(rows))["predictions"]]
    from_csv = [float(each["probability_yes"]) for each in table(mixed, frame.to_csv(index=False))]
    assert from_json == from_csv == bundle_of(mixed).predict(frame)["probability_yes"].tolist()


@pytest.mark.parametrize(
    ("text", "status", "where"),
    [
        ("", 422, "body"),
        ("size,weight,colour,code\n", 422, "body"),
        ("size,weight,colour,code\n1,2,red,01\n1,2,red,01,9\n", 422, "body:3"),
        ("size,weight,colour,code\n1,2,red,01\n1,two,red,01\n", 422, "body:3"),
        ("size,weight,colour,code\n1,1e999,red,01\n", 422, "body:2"),
        ("size,size,colour,code\n1,2,red,01\n", 422, "body"),
        ('size,weight,colour,code\n1,2,"red,01\n', 422, "body:2"),
        ("size,weight,colour,code\n1,2,r\0d,01\n", 422, "body:2"),
        ("size,weight\n1,2\n", 422, ""),
        ("\x89PNG\r\n\x1a\n", 415, "body"),
        ('[{"size": 1}]', 415, ""),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(mixed, text, status, where):
    content = text.encode("latin-1")
    document = said(mixed.http.post("/predict", content=content, headers=CSV), status)
    assert document.get("where", "").startswith(where)
    if "two" in text:
        assert "weight" in document["detail"]


def test_more_rows_or_bytes_than_are_taken(slow):
    said(slow.http.post("/predict", content=TABLE.head(301).to_csv(index=False), headers=CSV), 413)
    said(slow.http.post("/predict", content=b"a,b\n" * 3_000_000, headers=CSV), 413)


def test_a_row_id_has_to_be_a_column_of_the_table_and_none_of_the_answers(slow):
    text = TABLE.head(2).assign(label="x").to_csv(index=False)
    for name in ("nothing", "label"):
        said(slow.http.post("/predict", content=text, headers=CSV, params={"id": name}), 422)


def test_no_temporary_file_is_left(slow):
    """Neither a good table, nor a bad one, nor one that is too long leaves anything behind."""
    before = list((slow.root / "temporary").iterdir())  # a loaded model, say
    table(slow, TABLE.head(5).to_csv(index=False))
    slow.http.post("/predict", content=b"a\n1,2\n", headers=CSV)
    slow.http.post("/predict", content=b"a,b\n" * 3_000_000, headers=CSV)
    assert list((slow.root / "temporary").iterdir()) == before


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "multipart/form-data; boundary=x"])
def test_a_client_that_leaves_in_the_middle_is_no_fault_of_the_server(slow, kind):
    """Half a body, and then nobody: the next request is answered, and the log knows of no fault."""
    path = "/validate" if kind.startswith("multipart") else "/predict"
    key = slow.http.headers["authorization"]
    url = slow.http.base_url
    with socket.create_connection((url.host, url.port)) as leaving:
        head = f"POST {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nAuthorization: {key}\r\n"
        leaving.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: 100000\r\n\r\n{{".encode())
        time.sleep(0.3)
    said(slow.predict(ROWS[0]))
    assert '"fault"' not in (slow.root / "serve.log").read_text("utf-8")


def test_an_explained_row_says_what_each_column_added(mixed):
    row = {"size": 0.5, "weight": -1.0, "colour": "red", "code": "03"}
    answer = said(mixed.predict({"rows": [row, {**row, "size": None}]}, params={"explain": True}))
    for each in answer["predictions"]:
        why = each["explanation"]
        assert list(why["contributions"]) == ["size", "weight", "colour", "code"]
        assert (why["of"], why["units"]) == ("yes", "log-odds")
        assert why["base"] + sum(why["contributions"].values()) == pytest.approx(why["score"], abs=1e-9)
    plain = said(mixed.predict(row))["predictions"][0]
    assert plain["probabilities"] == answer["predictions"][0]["probabilities"]
    assert "explanation" not in plain


def test_what_is_not_explained_says_so(slow, mixed):
    assert "not explained" in said(slow.predict(ROWS[0], params={"explain": "true"}), 422)["detail"]
    row = {"size": 0.5, "weight": -1.0, "colour": "red", "code": "03"}
    said(mixed.predict([row] * 21, params={"explain": "true"}), 413)
    said(mixed.http.post("/predict", content="size\n1\n", headers=CSV, params={"explain": "true"}), 422)
    said(mixed.predict(row, params={"explain": "perhaps"}), 422)


CLEANED = QUICK.replace('["tree", "logistic_regression"]', '["logistic_regression"]').replace(
    "[split]", 'clean = ["cleaning:whole"]\n\n[split]'
)
CLEANING = "def whole(frame):\n    return frame[frame['weight'] > -50].assign(size=frame['size'].clip(-2.0, 2.0))\n"


@pytest.mark.slow
def test_rows_pass_the_projects_cleaning_functions_one_request_at_a_time(tmp_path):
    """A row that they drop has no label and no id; the same row as CSV is treated alike."""
    root = write_project(tmp_path / "cleaned", CLEANED, cleaning=CLEANING)
    tahona.load(root).run()
    frame = quick_table(6).drop(columns="label")
    frame.loc[2, "weight"] = -99.0
    wanted = tahona.load_bundle("champion", project=root).predict(frame)
    with started_back(root) as back:
        answer = said(back.predict(frame.to_dict("records"), params={"explain": "true"}))["predictions"]
        from_csv = table(back, frame.to_csv(index=False))
        ids = [each["id"] for each in answer if each["id"]]
        assert len(back.logged(ids)) == 5
        document = said(back.predict({**frame.to_dict("records")[0], "size": "big"}), 422)
    assert document["where"] == "row 1, column 'size'"
    for place, each in enumerate(answer):
        line, share = from_csv[place], wanted["probability_yes"][place]
        if place == 2:
            assert each["label"] is each["id"] is each["probabilities"] is each["explanation"] is None
            assert each["warnings"] == ["dropped by a cleaning function"]
            assert (line["label"], line["probability_yes"], line["prediction_id"]) == ("", "", "")
        else:
            assert each["probabilities"]["yes"] == float(line["probability_yes"]) == share
            assert each["explanation"]["of"] == "yes"
