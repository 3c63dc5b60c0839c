"""Whatever strangers send, a server answers in words and lives: fuzzed requests, and paths that lead out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import ROW, Server, copied, serving

from tahona.serve.access import ROUTES

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("TAHONA_FUZZ", "15"))
"""Requests per route and phase that schemathesis makes."""
OUT = "../../../../etc/passwd"
ENCODED = (
    OUT,
    quote(OUT, safe=""),
    quote(quote(OUT, safe=""), safe=""),
    OUT.replace("..", "%2e%2e"),
    OUT.replace("/", "%5c"),
    OUT.replace("/", "%c0%af"),
    OUT.replace("../", "....//"),
    OUT.replace("../", "..;/"),
    "/etc/passwd",
    "file:///etc/passwd",
    f"{OUT}%00.csv",
    OUT.replace(".", "\N{FULLWIDTH FULL STOP}"),
)
"""A way out of a folder, written in twelve ways."""


@pytest.fixture(scope="module")
def fuzzed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, which may learn odd things."""
    with serving(copied(trained, tmp_path_factory.mktemp("fuzzed") / "quick")) as server:
        yield server.whole()


def test_no_request_that_the_document_allows_or_forbids_is_a_fault(fuzzed: Server, tmp_path: Path) -> None:
    """schemathesis over the OpenAPI document: its examples, its edges, and what it makes up."""
    words = ["--checks", "not_a_server_error", "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing"]
    words += ["--exclude-path", "/jobs/{id}/events", "--request-timeout", "20", "--seed", "7", "--no-color"]
    words += ["--suppress-health-check", "all", "--continue-on-failure", "--warnings", "off"]
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", f"{fuzzed.address}/openapi.json", *words],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "No issues found" in done.stdout, done.stdout[-2000:]
    assert _lives(fuzzed)
    assert fuzzed.lines("fault") == []
    asked = {(line["method"], line["route"]) for line in fuzzed.lines("request") if line["status"] < 500}
    assert {(route.method, route.path) for route in ROUTES} - asked <= {("GET", "/jobs/{id}/events")}
    assert len(fuzzed.lines("request")) > 20 * len(ROUTES)


cells = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
values = st.recursive(cells, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))
rows = st.fixed_dictionaries(dict.fromkeys(ROW, values)) | st.dictionaries(st.sampled_from([*ROW, "x", ""]), values)
PATIENT = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@PATIENT
@given(body=rows | st.lists(rows, max_size=3) | st.fixed_dictionaries({"rows": st.lists(rows, max_size=3)}) | values)
def test_no_row_is_a_fault(fuzzed: Server, body: Any) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    answer = fuzzed.client.post("/predict", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400, 413, 422}, answer.text
    assert answer.status_code == 200 or len(answer.content) < 2000


@PATIENT
@given(content=st.binary(max_size=300), form=st.sampled_from(["application/json", "text/csv", "application/x-other"]))
def test_no_bytes_are_a_fault(fuzzed: Server, content: bytes, form: str) -> None:
    answer = fuzzed.client.post("/predict", content=content, headers={"content-type": form})
    assert answer.status_code in {200, 400, 413, 415, 422}, answer.text
    assert answer.status_code == 200 or len(answer.content) < 2000


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_no_path_leads_out(fuzzed: Server, method: str) -> None:
    """Every parameter of a path and of a query, and every name in a body, with twelve ways out."""
    asked = [
        *(path.replace("{id}", way).replace("{name}", way) for path, way in product(_open_paths(), ENCODED)),
        *(f"{path}?id={way}&name={way}&version={way}" for path, way in product(("/predict", "/models"), ENCODED)),
    ]
    for path in asked:
        answer = fuzzed.client.request(method, fuzzed.address + path, json={"version": OUT, "dataset": OUT})
        assert answer.status_code in {200, 400, 404, 405, 415, 422}, (path, answer.text)
        assert "root:" not in answer.text
    for way in ENCODED:
        for path in ("/models/quick/promote", "/train", "/validate"):
            files = {"csv_file": (way, b"size\n1\n", "text/csv")} if path == "/validate" else None
            named = {"data": {"model_name": way}} if files else {"json": {"version": way, "dataset": way}}
            answer = fuzzed.client.request(method, path, files=files, **named)
            assert answer.status_code in {400, 404, 405, 415, 422}, (path, answer.text)
            assert "root:" not in answer.text
    assert _lives(fuzzed)


def _open_paths() -> list[str]:
    return [path for path in {route.path for route in ROUTES} if "{" in path]


def _lives(server: Server) -> bool:
    return server.predict(ROW).status_code == 200 and server.client.get("/models").status_code == 200
