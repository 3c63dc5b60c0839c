"""`tahona serve`, asked over HTTP: predictions, and what a request gets that cannot be answered."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pandas as pd
import pytest
from serving import ROW, copied, received, serving, until

from tahona.project.load import load_project
from tahona.wiring import open_prediction_log

JSON = {"content-type": "application/json"}
ROWS = [
    ROW,
    {"size": None, "weight": 1, "colour": None},
    {"size": 99.5, "weight": 0.0, "colour": "violet"},
    {"size": -0.5, "weight": 0.125, "colour": "green"},
]


@pytest.fixture(scope="module")
def strict(trained, tmp_path_factory):
    """A server with narrow limits and a page of its own, that logs one column."""
    folder = copied(trained, tmp_path_factory.mktemp("strict") / "quick")
    limits = {"body": 4000, "rows": 5, "cell": 50, "upload": 5000}
    words = [f"serve.limits.{key}={value}" for key, value in limits.items()]
    words += ['serve.origins=["https://shop.example"]', 'serve.hosts=["api.example"]', 'serve.log_features=["size"]']
    with serving(folder, *(part for word in words for part in ("--set", word))) as server:
        yield server.whole()


def test_predictions_are_those_of_the_bundle(server, trained):
    import tahona

    answer = server.predict({"rows": ROWS})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    expected = tahona.load_bundle("quick@champion", project=trained).predict(pd.DataFrame(ROWS, dtype=object))
    assert (said["model"], said["version"]) == ("quick", 1)
    for row, wanted in zip(said["predictions"], expected.to_dict("records"), strict=True):
        assert row["label"] == wanted["label"]
        assert row["probabilities"] == {label: wanted[f"probability_{label}"] for label in ("no", "yes")}
        assert "; ".join(row["warnings"]) == wanted["warnings"]
    assert said["predictions"][2]["warnings"] == ["size outside the training range", "unseen category in colour"]


def test_a_label_follows_from_the_decision_that_is_told(server):
    said = server.predict(ROWS).json()
    positive, threshold = said["decision"]["positive"], said["decision"]["threshold"]
    for row in said["predictions"]:
        assert (row["label"] == positive) == (row["probabilities"][positive] >= threshold)


def test_rows_may_come_as_an_object_a_list_or_one_row(server):
    forms = [{"rows": [ROW]}, [ROW], ROW, {name: ROW[name] for name in reversed(ROW)}]
    answers = [server.predict(form).json()["predictions"] for form in forms]
    assert [len(rows) for rows in answers] == [1, 1, 1, 1]
    assert len({json.dumps([row["probabilities"] for row in rows]) for rows in answers}) == 1


def test_every_prediction_has_an_id_of_its_own(server):
    ids = [row["id"] for _ in range(20) for row in server.predict(ROWS).json()["predictions"]]
    assert len(set(ids)) == len(ids) == 80


def test_unknown_columns_are_named_in_a_warning(server):
    plain, more = server.predict(ROW).json(), server.predict({**ROW, "weather": {"sun": [1]}, "id": 3}).json()
    (row,) = more["predictions"]
    assert row["probabilities"] == plain["predictions"][0]["probabilities"]
    assert row["warnings"] == ["unknown column(s) that nothing was made of: weather, id"]


GOOD = '{"size": 1, "weight": 2, "colour": "red"}'
BAD = {
    "NaN": ('{"size": NaN, "weight": 2, "colour": "red"}', 422, "row 1, column 'size'"),
    "minus infinity": (
        f'[{GOOD}, {{"size": 1, "weight": -Infinity, "colour": "red"}}]',
        422,
        "row 2, column 'weight'",
    ),
    "1e999": ('{"size": 1e999, "weight": 2, "colour": "red"}', 422, "row 1, column 'size'"),
    "2^70": ('{"size": 1180591620717411303424, "weight": 2, "colour": "red"}', 422, "row 1, column 'size'"),
    "5,000 digits": (f'{{"size": {"9" * 5000}, "weight": 2, "colour": "red"}}', 422, "row 1, column 'size'"),
    "text for a number": ('{"rows": [{"size": "1.5", "weight": 2, "colour": "red"}]}', 422, "row 1, column 'size'"),
    "true for a number": ('{"size": true, "weight": 2, "colour": "red"}', 422, "row 1, column 'size'"),
    "missing columns": (f'[{GOOD}, {{"size": 1}}]', 422, "row 2"),
    "a renamed column": ('{"Size": 1, "weight": 2, "colour": "red"}', 422, "row 1"),
    "no rows": ('{"rows": []}', 422, None),
    "an empty list": ("[]", 422, None),
    "an empty row": ("{}", 422, "row 1"),
    "rows and more": (f'{{"rows": [{GOOD}], "model": "other"}}', 422, None),
    "rows twice": (f'{{"rows": [{GOOD}], "rows": []}}', 422, None),
    "a nested object": ('{"size": {"a": 1}, "weight": 2, "colour": "red"}', 422, "row 1, column 'size'"),
    "a list for a text": ('{"size": 1, "weight": 2, "colour": ["red"]}', 422, "row 1, column 'colour'"),
    "a row that is a list": ("[[1, 2, 3]]", 422, "row 1"),
    "a number": ("7", 422, "row 1"),
    "a column twice": ('{"size": 5, "size": 1, "weight": 2, "colour": "red"}', 422, "row 1, column 'size'"),
    "a column twice, with blanks": (
        '{"size" : 5, "size": 1, "weight": 2, "colour": "a\\":b"}',
        422,
        "row 1, column 'size'",
    ),
    "half a surrogate pair": ('{"size": 1, "weight": 2, "colour": "\\ud800"}', 422, "row 1, column 'colour'"),
    "nothing": ("", 400, "line 1, column 1"),
    "no JSON": ("size=1&weight=2", 400, "line 1, column 1"),
    "a truncated body": ('{"size": 1, "weight": 2, "col', 400, "line 1, column 26"),
    "two documents": (f"{GOOD} {GOOD}", 400, "line 1, column 43"),
    "depth 50,000": ("[" * 50_000, 400, None),
    "depth 50,000, closed": (f'{{"size": {"[" * 50_000}{"]" * 50_000}, "weight": 2, "colour": "red"}}', 400, None),
    "latin-1": ('{"size": 1, "weight": 2, "colour": "añil"}'.encode("latin-1"), 400, None),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_answered_is_told_where(server, name):
    body, status, where = BAD[name]
    answer = server.client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.get("where") == where
    assert len(answer.content) < 2000
    until(lambda: any(line["id"] == problem["id"] for line in server.lines("request")))


def test_missing_columns_are_listed(server):
    problem = server.predict([{"weight": 1}]).json()
    assert (problem["row"], problem["missing"]) == (1, ["size", "colour"])


GOOD_TEXTS = {"emoji": "🦊", "right to left": "\u202eאדום", "a NUL": "a\u0000b", "colon": 'a":b', "long": "x" * 1000}


@pytest.mark.parametrize("name", GOOD_TEXTS)
def test_an_unusual_text_is_an_unseen_category(server, name):
    for ascii_only in (True, False):
        body = json.dumps({**ROW, "colour": GOOD_TEXTS[name]}, ensure_ascii=ascii_only)
        answer = server.client.post("/predict", content=body.encode(), headers=JSON)
        assert answer.status_code == 200, answer.text
        assert answer.json()["predictions"][0]["warnings"] == ["unseen category in colour"]


def test_five_megabytes_of_text_are_not_echoed(server):
    answer = server.predict({**ROW, "size": "x" * 5_000_000})
    assert answer.status_code in (413, 422)
    assert len(answer.content) < 2000
    assert "xxx" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 200),
        ({"content-type": 'application/json;charset="utf-8"'}, 200),
    ],
)
def test_only_json_in_utf8_is_read(server, headers, status):
    answer = server.client.post("/predict", content=json.dumps(ROW), headers=headers)
    assert answer.status_code == status, answer.text


def test_another_method_is_told_which_there_is(server):
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        answer = server.client.request(method, "/predict")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/nothing", "/predict/", "/%70redict", "/models/%2e%2e/%2e%2e/etc/passwd", "/..%2fhealth"]
)
def test_what_is_no_route_is_not_found(server, path):
    for method in ("GET", "PUT", "POST", "DELETE"):
        assert server.client.request(method, path).status_code == 404


def raw(server, request, *, end=False, seconds=20.0):
    """Send bytes over a connection of its own and return all that comes back until it is closed."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(request)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return received(connection)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_is_counted_as_it_is_read(strict, chunked):
    body = json.dumps([ROW] * 200).encode()
    content = iter([body[:3000], body[3000:]]) if chunked else body
    answer = strict.client.post("/predict", content=content, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["limit"] == 4000
    assert strict.predict(ROW).status_code == 200


def test_rows_and_cells_are_bounded(strict):
    rows = strict.predict([ROW] * 6)
    assert (rows.status_code, rows.json()["limit"]) == (413, 5)
    assert strict.predict([ROW] * 5).status_code == 200
    braces = strict.predict([{**ROW, "colour": "{{{{{{{{{{"}])
    assert braces.status_code == 200
    cell = strict.predict({**ROW, "colour": "x" * 51})
    assert (cell.status_code, cell.json()["limit"]) == (413, 50)


def test_more_is_taken_for_an_upload_than_for_other_requests(strict):
    other = strict.client.post("/feedback", content=b"x" * 4500, headers=JSON)
    assert other.status_code == 413
    upload = strict.client.post("/upload", content=b"x" * 4500)
    assert upload.status_code != 413
    assert strict.client.post("/upload", content=iter([b"x" * 3000] * 2)).status_code == 413


def test_a_server_answers_to_its_own_names_only(strict):
    port = strict.address.rpartition(":")[2]
    for name in ("api.example", "API.example:8443", "localhost", f"localhost:{port}", "127.0.0.1"):
        assert strict.predict(ROW, headers={"host": name}).status_code == 200, name
    for name in ("evil.example", "api.example.evil", "127.0.0.1.evil.example", "localhost@evil"):
        assert strict.predict(ROW, headers={"host": name}).status_code in (400, 421), name
    twice = b"GET /models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert raw(strict, twice).startswith(b"HTTP/1.1 400")
    none = b"GET /models HTTP/1.0\r\n\r\n"
    assert raw(strict, none).startswith(b"HTTP/1.1 400")


def test_pages_of_other_origins_may_not_write(strict):
    here = strict.predict(ROW, headers={"origin": strict.address})
    assert here.status_code == 200
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        answer = strict.predict(ROW, headers={"origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_a_named_origin_gets_the_headers_that_browsers_ask_for(strict):
    named = {"origin": "https://shop.example"}
    for answer in (strict.predict(ROW, headers=named), strict.client.get("/models", headers=named)):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["vary"] == "Origin"
    preflight = strict.client.options("/predict", headers={**named, "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert "x-api-key" in preflight.headers["access-control-allow-headers"]
    other = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert strict.client.options("/predict", headers=other).status_code == 405


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(9000)) + b"\r\n",
        b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /predict HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_the_server_lives(server, request_):
    answer = raw(server, request_, end=True)
    assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert b"Traceback" not in answer
    assert server.client.get("/health").status_code == 200


def test_the_log_has_no_cell_of_a_row(server):
    mark = "magenta-4711"
    server.predict({**ROW, "colour": mark})
    server.predict({**ROW, "size": mark})
    until(lambda: sum(line["route"] == "/predict" for line in server.lines("request")) > 1)
    assert mark not in server.log.read_text("utf-8")


def logged(server):
    return list(open_prediction_log(load_project(server.folder).project).read("quick"))


def test_predictions_come_into_the_prediction_log(server):
    answer = server.predict([{**ROW, "size": 3.25}, ROWS[2]]).json()
    ids = [row["id"] for row in answer["predictions"]]
    until(lambda: {each.id for each in logged(server)} >= set(ids))
    first, second = (next(each for each in logged(server) if each.id == name) for name in ids)
    assert (first.name, first.version, first.label) == ("quick", 1, answer["predictions"][0]["label"])
    assert first.probabilities == answer["predictions"][0]["probabilities"]
    assert first.features == {**ROW, "size": 3.25}
    assert list(second.warnings) == answer["predictions"][1]["warnings"]


def test_the_prediction_log_keeps_the_columns_that_it_may(strict):
    (row,) = strict.predict({**ROW, "size": 7.5}).json()["predictions"]
    until(lambda: any(each.id == row["id"] for each in logged(strict)))
    assert next(each for each in logged(strict) if each.id == row["id"]).features == {"size": 7.5}


def test_requests_are_counted_for_prometheus(server):
    def counted():
        text = server.client.get("/metrics").text
        lines = [line for line in text.splitlines() if 'route="/predict"' in line and 'status="415"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("tahona_request_seconds_count"))

    before = counted()
    for _ in range(3):
        server.client.post("/predict", content=b"x", headers={"content-type": "text/plain"})
    until(lambda: counted() == before + 3)


def test_nobody_outside_can_pose_as_a_worker(server):
    forged = {"x-tahona-key": "admin", "X-Tahona-Request": "mine"}
    answer = server.predict(ROWS, params={"explain": "true"}, headers=forged)
    assert answer.status_code == 200, answer.text
    ids = [row["id"] for row in answer.json()["predictions"]]
    assert not any(name.startswith("mine") for name in ids)
    until(lambda: {each.id for each in logged(server)} >= set(ids))
    assert {each.key for each in logged(server) if each.id in ids} == {""}


def test_a_worker_imports_nothing_heavy(server):
    (worker,) = server.children()["worker"]
    maps = Path(f"/proc/{worker}/maps").read_text("utf-8")
    for heavy in ("pandas", "sklearn", "pyarrow", "pydantic", "sqlalchemy", "scipy", "matplotlib"):
        assert f"/{heavy}" not in maps, heavy
    code = "import sys, tahona.serve.front.worker, tahona.scorer.load; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "pandas",
        "sklearn",
        "pyarrow",
        "pydantic",
        "sqlalchemy",
        "fastapi",
        "starlette",
        "lightgbm",
        "httpx",
        "scipy",
    }
    assert not heavy & set(loaded)


def test_one_project_has_one_server(server, tahona):
    second = tahona("serve", "-C", server.folder, "--port", "0")
    assert second.code == 4
    assert "served already" in second.stderr


def test_a_taken_port_is_told(trained, server, tmp_path, tahona):
    folder = copied(trained, tmp_path / "quick")
    answer = tahona("serve", "-C", folder, "--port", server.address.rpartition(":")[2])
    assert answer.code == 4
    assert "--port" in answer.stderr


def test_without_a_champion_the_server_says_so_until_there_is_one(project, tahona):
    with serving(project) as server:
        assert server.said["version"] is None
        answer, ready = server.predict(ROW), server.client.get("/ready")
        assert (answer.status_code, ready.status_code) == (503, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert ready.json()["troubles"][0] == "no version is champion yet"
        assert server.client.get("/health").status_code == 200
        assert tahona("run", "-C", project).code == 0
        until(lambda: server.client.get("/ready").status_code == 200)
        assert server.predict(ROW).json()["version"] == 1


def test_a_key_may_ask_so_often_in_a_second(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick"), "--set", "serve.limits.rate=5") as server:
        answers = [server.predict(ROW) for _ in range(12)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 5 <= len(answers) - len(refused) < 12
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        time.sleep(1)
        assert server.predict(ROW).status_code == 200


def test_so_many_requests_are_in_hand_at_a_time(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick"), "--set", "serve.limits.concurrent=3") as server:
        go_on = threading.Event()

        def slow():
            yield b'{"size": 1, '
            go_on.wait(10)
            yield b'"weight": 2, "colour": "red"}'

        results = []
        threads = [
            threading.Thread(
                target=lambda: results.append(
                    httpx.post(f"{server.address}/predict", content=slow(), headers=JSON, trust_env=False).status_code
                )
            )
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        until(lambda: server.predict(ROW).status_code == 503)
        assert server.predict(ROW).headers["retry-after"] == "1"
        assert server.client.get("/health").status_code == 200
        go_on.set()
        for thread in threads:
            thread.join()
        assert results == [200, 200, 200]
        assert server.predict(ROW).status_code == 200


def test_another_project_file_of_the_folder_is_served_too(trained, tmp_path):
    folder = copied(trained, tmp_path / "quick")
    (folder / "tahona.toml").rename(folder / "other.toml")
    with serving(folder, "-C", folder / "other.toml") as server:
        assert server.predict(ROW).status_code == 200
        assert server.whole().client.get("/project-info").json()["name"] == "quick"


def test_the_server_listens_on_the_other_loopback_address_too(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick"), "--host", "::1") as server:
        assert server.address.startswith("http://[::1]:")
        assert server.predict(ROW).status_code == 200
        assert server.client.get("/", headers={"host": "[::2]"}).status_code == 421


def test_requests_that_nobody_waits_for_are_not_heaped_up(server):
    """Thousands of requests in one piece, and none of their answers is read."""
    host, port = server.address.removeprefix("http://").split(":")
    before = memory_of(server.children()["worker"][0])
    crowd = []
    for _ in range(20):
        connection = socket.create_connection((host, int(port)), timeout=20)
        crowd.append(connection)
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 14_000)
    try:
        assert server.predict(ROW).status_code == 200
        assert memory_of(server.children()["worker"][0]) - before < 50
    finally:
        for connection in crowd:
            connection.close()


def test_a_column_whose_name_no_answer_can_hold_is_no_fault(server):
    body = json.dumps({**ROW, "\ud800": 1}).encode()
    answer = server.client.post("/predict", content=body, headers=JSON)
    assert answer.status_code in {200, 422}


def memory_of(process):
    """Return the resident megabytes."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
