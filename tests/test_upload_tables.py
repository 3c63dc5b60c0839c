"""Table A of bad input through HTTP: every bad table is refused with words, and the server goes on as before."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pytest
from projects import quick_table, write_project
from serving import Server, serving, until
from test_bad_tables import CELL, REFUSED, packed_parquet, png, repeated

SECONDS = 30
"""For one refusal on a busy machine."""
MORE = (
    "A18 pickle",
    "A18 Word",
    "A21 zip bomb",
    "A21 workbook that claims to be huge",
    "A21 workbook of empty cells",
    "A22 Parquet cut off",
    "A22 Parquet of endless repeats",
    "A23 cell",
    "A23 name",
    "A29 JSON duplicate keys",
    "A30 JSON depth in a cell",
    "A30 JSON 5,000 digits",
)
FIRST = tuple({case.partition(" ")[0]: case for case in reversed(REFUSED) if case[0] == "A"}.values())
"""One case of each row of the table; the readers' own tests have them all."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(write_project(tmp_path_factory.mktemp("tables") / "quick")) as running:
        until(lambda: running.client.get("/datasets").status_code == 200)
        yield running
        assert running.client.get("/health").json() == {"status": "alive"}
        assert not list((running.folder / ".tahona" / "serve" / "datasets").glob("*.new"))
        assert CELL not in running.log.read_text("utf-8")
        assert not running.lines("fault")


def upload(server: Server, content: bytes, kind: str = "text/csv") -> httpx.Response:
    start = time.monotonic()
    answer = server.client.post("/upload", files={"train": ("data.csv", content, kind)})
    assert time.monotonic() - start < SECONDS
    return answer


def words(answer: httpx.Response) -> str:
    """Return where and what, after the checks that hold for every refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert len(answer.content) < 2048
    assert CELL not in answer.text
    problem = answer.json()
    return f"{problem['where']}: {problem['detail']}\nFix: {problem['fix']}"


@pytest.mark.parametrize("case", dict.fromkeys((*FIRST, *MORE)))
def test_a_bad_table_is_refused(server, case):
    """The words are the reader's; only the limits are narrower for uploads."""
    make, message = REFUSED[case]
    answer = upload(server, make())
    assert answer.status_code == (415 if case.startswith("A18") and case != "A18 Word" else 422), answer.text
    said = words(answer)
    assert message.replace("data.csv", "train").partition(" limit ")[0] in said
    assert " limit " in said or " limit " not in message


def frame(**changes: Any) -> bytes:
    return quick_table().assign(**changes).to_csv(index=False).encode()


LABELS: dict[str, tuple[Callable[[], bytes], str]] = {
    "A26 label null": (
        lambda: frame(label=["yes", "no", None] * 80),
        "column 'label': the label is null in 80 of 240 rows",
    ),
    "A26 label of one class": (lambda: frame(label="yes"), "column 'label': the label has one class only"),
    "A27 dates of two readings": (
        lambda: frame(day=[f"0{1 + row % 9}/0{1 + row % 7}/2024" for row in range(240)]),
        "column 'day'",
    ),
}


@pytest.mark.parametrize("case", LABELS)
def test_a_table_that_cannot_be_learnt_from_is_refused(server, case):
    make, message = LABELS[case]
    answer = upload(server, make())
    assert answer.status_code == 422, answer.text
    assert message in words(answer)


def seen(answer: httpx.Response) -> dict[str, str]:
    """Return kind of finding → sentence."""
    assert answer.status_code in {200, 201}, answer.text
    found = answer.json()
    return {each["kind"]: each["message"] for each in (*found["reading"], *found["findings"])}


ACCEPTED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "A7 cp1252": (lambda: "niño,b\nÑu,1\nÉl,2\n".encode("cp1252"), "read_as", "encoding=cp1252"),
    "A8 UTF-16": (lambda: "niño,b\nñ,1\nm,2\n".encode("utf-16"), "read_as", "encoding=utf-16"),
    "A9 BOM": (lambda: "niño,b\nñ,1\nm,2\n".encode("utf-8-sig"), "read_as", "encoding=utf-8-sig"),
    "A10 semicolons": (lambda: b"a;b\n1,5;x\n2,5;y\n", "read_as", "separator=';', decimal=','"),
    "A13 NA among numbers": (lambda: b"a,b\n1,x\nNA,y\n3,z\n", "literal_nulls", "'a' would be numeric but for 1 cells"),
    "A14 leading zeros": (lambda: b"zip,b\n00123,1\n45678,2\n", "leading_zeros", "'zip' holds codes"),
    "A17 mixed types": (
        lambda: json.dumps([{"a": True, "b": 1}, {"a": 1, "b": 2}, {"a": CELL, "b": 3}]).encode(),
        "mixed_types",
        "numbers: 1, booleans: 1, dates: 0, texts: 1",
    ),
    "A25 all null": (lambda: frame(empty=None), "all_null", "'empty' has no value in any row; dropped."),
    "A28 names": (" edad ,an\u0303o\n1,2\n3,4\n".encode, "renamed_column", "was normalised to"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_was_decided_for_an_odd_table_is_told(server, case):
    make, kind, message = ACCEPTED[case]
    assert message in seen(upload(server, make()))[kind]


def test_a31_any_line_ends_give_the_same_table(server):
    tables = [
        upload(server, CSV).json()["table"]
        for CSV in (b"a,b\n1,x\n2,y\n", b"a,b\r\n1,x\r\n2,y\r\n", b"a,b\r1,x\r2,y\r")
    ]
    assert tables[0] == tables[1] == tables[2]


def test_a24_formulas_are_kept_as_they_are(server):
    content = frame(note=["=1+1", "+x", "-y", "@z"] * 60)
    found = upload(server, content).json()
    column = next(each for each in found["table"]["columns"] if each["name"] == "note")
    assert sorted(column["most_frequent"]) == ["+x", "-y", "=1+1", "@z"]
    folder = server.folder / ".tahona" / "serve" / "datasets" / found["id"]
    assert (folder / "train.csv").read_bytes() == content


def test_a19_what_is_sent_as_an_image_is_refused(server):
    for kind in ("image/png", "application/pdf", "text/html", "application/x-python-pickle"):
        assert upload(server, frame(), kind).status_code == 415
    assert upload(server, png(), "text/csv").status_code == 415
    answer = server.client.post("/upload", content=frame(), headers={"content-type": "text/csv"})
    assert answer.status_code == 415


def test_a_parquet_bomb_as_a_test_file_is_refused_too(server):
    bomb = packed_parquet(pa.table({"a": repeated("x" * 900_000, 3000)}))
    answer = server.client.post("/upload", files={"train": ("t.csv", frame()), "test": ("b.parquet", bomb)})
    assert answer.status_code == 422
    assert "test: the file unfolds to" in words(answer)


def test_a_wide_table_is_shown_in_part(server):
    """The answer stays bounded, the data set knows every column."""
    content = pd.DataFrame({f"c{i}": [i, 2 * i, 3] for i in range(1500)}).to_csv(index=False).encode()
    found = upload(server, content).json()
    assert (len(found["table"]["columns"]), found["table"]["columns_in_all"], found["columns"]) == (1000, 1500, 1500)


WORST = (
    "A21 gzip bomb",
    "A21 zip bomb",
    "A21 workbook that claims to be huge",
    "A21 workbook of empty cells",
    "A21 JSON of lacking keys",
    "A22 Parquet of endless repeats",
    "A22 Parquet that repeats a long cell",
    "A23 columns",
    "A23 cell",
    "A30 JSON depth",
)


ASK_HEALTH = """
import json, select, sys, time
from http.client import HTTPConnection
waits, connection = [], HTTPConnection(sys.argv[1])
while not select.select([sys.stdin], [], [], 0.02)[0]:
    start = time.perf_counter()
    connection.request("GET", "/health")
    answer = connection.getresponse()
    assert answer.read() == b'{"status":"alive"}'
    waits.append(time.perf_counter() - start)
print(json.dumps(waits))
"""
"""Asks until it is told to end, in a process of its own: those who send here keep this one busy."""


@pytest.mark.slow
def test_the_server_stays_quick_and_small_while_ten_of_the_worst_are_sent_at_once(server):
    bodies = [REFUSED[case][0]() for case in WORST]
    before = memory(server)
    statuses: list[int] = []

    def send(body: bytes) -> None:
        statuses.append(
            httpx.post(f"{server.address}/upload", files={"train": ("t.csv", body)}, timeout=300).status_code
        )

    threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    most, command = before, [sys.executable, "-c", ASK_HEALTH, server.address.removeprefix("http://")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        while any(thread.is_alive() for thread in threads):
            most = max(most, memory(server))
            time.sleep(0.05)
        waits = json.loads(asking.communicate("enough\n")[0])
    assert sorted(statuses) == [422] * len(WORST)
    assert len(waits) > 30
    p99 = sorted(waits)[int(0.99 * len(waits))]
    print(f"p99 of /health {1000 * p99:.1f} ms in {len(waits)} requests, {(most - before) / 1e6:.0f} MB more")
    assert p99 < 0.25
    assert most - before < 100_000_000


def memory(server: Server) -> int:
    """Return the bytes that workers and back have in memory now, all together."""
    numbers = [each for every in server.children().values() for each in every]
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * 4096 for each in numbers)
