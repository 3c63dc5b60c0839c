"""`POST /invocations`: MLflow's own clients get from Tahona what they get from MLflow's own scoring server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from backs import Back, run_mixed, started_back
from projects import quick_table

import tahona
from tahona.lifecycle.registry import find_version
from tahona.wiring import open_project

pytest.importorskip("mlflow.pyfunc.scoring_server")

FRAME = quick_table(6, seed=3).drop(columns="label")
RECORDS: list[dict[str, Any]] = FRAME.to_dict("records")


@contextmanager
def listening(app: Any) -> Iterator[int]:
    """Serve an ASGI app on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.02)
            yield door.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Back]:
    root = tmp_path_factory.mktemp("invoked")
    run_mixed(root, "lightgbm", quick_table())
    with started_back(root) as running:
        yield running


@pytest.fixture(scope="module")
def mlflow_server(back: Back, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """MLflow's own scoring server with the champion's own MLflow model."""
    from mlflow.pyfunc import load_model, scoring_server

    from tahona.ledgers.mlflow_model import write_model

    folder = tmp_path_factory.mktemp("pyfunc") / "model"
    opened = open_project(back.root)
    write_model(folder, opened.store.get(find_version(opened, "champion").bundle_digest), {})
    with (
        pytest.MonkeyPatch.context() as patch,
        listening(scoring_server.init(load_model(str(folder)))) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
    ):
        patch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "1")
        yield http


def post(http: httpx.Client, body: object, kind: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return http.post("/invocations", content=content, headers={"content-type": kind})


def columns(frame: pd.DataFrame) -> Mapping[str, list[Any]]:
    return frame.to_dict("list")


SPLIT = {key: value for key, value in FRAME.to_dict("split").items() if key != "index"}
WITH_NAN = FRAME.assign(size=[np.nan, *FRAME["size"][1:]])
FORMS: dict[str, object] = {
    "split": {"dataframe_split": SPLIT},
    "split with index": {"dataframe_split": FRAME.to_dict("split")},
    "split with NaN": {"dataframe_split": WITH_NAN.to_dict("split")},
    "records": {"dataframe_records": RECORDS},
    "records with params": {"dataframe_records": RECORDS, "params": {"anything": 1}},
    "records with a column more": {"dataframe_records": [{**row, "hat": 1} for row in RECORDS]},
    "records in another order": {"dataframe_records": [dict(reversed(row.items())) for row in RECORDS]},
    "instances": {"instances": RECORDS},
    "inputs by column": {"inputs": columns(FRAME)},
    "inputs by row": {"inputs": RECORDS},
    "one input": {"inputs": RECORDS[0]},
    "null": {"dataframe_records": [{**RECORDS[0], "size": None}, *RECORDS[1:]]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gets_the_answer_of_mlflows_own_server(back, mlflow_server, form):
    """The same JSON, bit for bit: label, probabilities, warnings."""
    wanted = post(mlflow_server, FORMS[form])
    assert wanted.status_code == 200, wanted.text
    found = post(back.http, FORMS[form])
    assert found.status_code == 200, found.text
    assert found.headers["content-type"] == wanted.headers["content-type"] == "application/json"
    assert found.json() == wanted.json()
    assert list(found.json()["predictions"][0]) == ["label", "probability_no", "probability_yes", "warnings"]


def test_csv_gets_the_same_answer_as_json(back):
    """MLflow's own server cannot read CSV for a model whose signature leaves the types open, as ours does."""
    found = post(back.http, FRAME.to_csv(index=False), "text/csv")
    assert found.status_code == 200
    assert found.json() == post(back.http, FORMS["split"]).json()


BAD: dict[str, object] = {
    "no form": {},
    "a list": [RECORDS[0]],
    "two forms": {"instances": RECORDS, "inputs": RECORDS},
    "records that are none": {"dataframe_records": {"size": 1}},
    "split that is none": {"dataframe_split": [1]},
    "split with other keys": {"dataframe_split": {**SPLIT, "more": 1}},
    "split without columns": {"dataframe_split": {"data": SPLIT["data"]}},
    "columns of two lengths": {"inputs": {**columns(FRAME), "size": [1.0]}},
    "a column missing": {"dataframe_records": [{"size": 1.0}]},
    "a text for a number": {"dataframe_records": [{**RECORDS[0], "size": "big"}]},
    "rows without names": {"inputs": [list(row.values()) for row in RECORDS]},
    "instances without names": {"instances": [list(row.values()) for row in RECORDS]},
    "no JSON": "{",
}


@pytest.mark.parametrize("form", BAD)
def test_what_mlflows_own_server_refuses_is_refused_in_its_words(back, mlflow_server, form):
    """400, and a body in which MLflow's clients find what they look for."""
    wanted, found = post(mlflow_server, BAD[form]), post(back.http, BAD[form])
    assert wanted.status_code == found.status_code == 400, (wanted.text, found.text)
    document = found.json()
    assert document["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
    assert document["message"]
    assert len(found.content) < 2_000
    assert "stack_trace" not in document


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"dataframe_records": []}, 400),
        ({"dataframe_records": [{**RECORDS[0], "size": [1.0]}]}, 400),
        ({"dataframe_records": [RECORDS[0], {**RECORDS[0], "size": "x" * 200_000}]}, 413),
        ({"dataframe_records": RECORDS[:1] * 10_001}, 413),
        ('{"dataframe_records": [{"size": 1e999, "weight": 1, "colour": "red"}]}', 400),
        ('{"dataframe_records": [{"size": Infinity, "weight": 1, "colour": "red"}]}', 400),
        ('{"dataframe_records": [{"size": 1, "size": 2, "weight": 1, "colour": "red"}]}', 400),
        ('{"inputs": ' + "[" * 50_000 + "]" * 50_000 + "}", 400),
        ('{"inputs": ' + "9" * 5_000 + "}", 400),
        (b'{"inputs": "\xf1"}', 400),
        ({"inputs": [[1.0, 2.0]]}, 400),
        ({"inputs": 4}, 400),
        ({"inputs": {}}, 400),
    ],
)
def test_more_that_cannot_be_used(back, body, status):
    found = post(back.http, body)
    assert found.status_code == status, found.text
    assert found.json()["message"]
    assert b"xxx" not in found.content


def test_other_media_types_and_methods(back):
    assert post(back.http, "{}", "application/vnd.apache.parquet").status_code == 415
    assert post(back.http, "{}", "application/json; charset=latin-1").status_code == 415
    assert back.http.get("/invocations").status_code == 405


def test_mlflows_client_asks_unchanged(back):
    """`ScoringServerClient.invoke`, as MLflow's own code (spark_udf, for one) uses it, with a frame that holds NaN."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    url = back.http.base_url
    answer = ScoringServerClient(url.host, url.port).invoke(WITH_NAN, params={"anything": 1})
    found = answer.get_predictions()
    wanted = tahona.load_bundle("champion", project=back.root).predict(WITH_NAN)
    pd.testing.assert_frame_equal(found, wanted.drop(columns="version"), check_dtype=False)


def test_what_was_answered_stands_in_the_prediction_log(back):
    answer = back.http.post("/invocations", json={"inputs": RECORDS})
    request, rows = answer.headers["x-request-id"], answer.json()["predictions"]
    logged = back.logged([f"{request}-{place}" for place in range(len(rows))])
    assert [logged[f"{request}-{place}"].label for place in range(len(rows))] == [row["label"] for row in rows]
    assert logged[f"{request}-1"].features == RECORDS[1]
