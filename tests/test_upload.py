"""Tables arrive over HTTP: what comes back, what stays, and what leaves no trace."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from projects import QUICK, edit, quick_table, write_project
from serving import Server, serving, until

from tahona.project.load import load_project
from tahona.serve.back.examining import Bounds, Examining
from tahona.serve.back.refusing import Refused

CSV = quick_table().to_csv(index=False, lineterminator="\n").encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A project that nobody has trained yet, served to anybody on this machine, for uploads of at most 2 MB."""
    folder = write_project(tmp_path_factory.mktemp("uploads") / "quick")
    with serving(folder, "--set", "serve.limits.upload=2000000") as running:
        until(lambda: running.client.get("/datasets").status_code == 200)
        yield running


def upload(server: Server, train: bytes, test: bytes | None = None, name: str = "t.csv", **fields: str) -> Any:
    files = {"train": (name, train)} | ({} if test is None else {"test": ("test.csv", test)})
    return server.client.post("/upload", files=files, data=fields)


def refused(answer: httpx.Response, status: int, where: str = "") -> str:
    """Return the problem's words, after the checks that hold for every refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 2048
    problem = answer.json()
    assert problem["where"] == where if where else True
    return f"{problem['detail']} {problem.get('fix', '')}"


def shelf(server: Server) -> list[str]:
    return sorted(path.name for path in (server.folder / ".tahona" / "serve" / "datasets").iterdir())


def without_trace(server: Server, before: list[str]) -> None:
    assert shelf(server) == before


def peak(server: Server) -> int:
    """Return the most bytes that its processes ever had in memory, all together."""
    found = 0
    for process in (number for numbers in server.children().values() for number in numbers):
        status = Path(f"/proc/{process}/status").read_text("utf-8")
        found += int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return found


def kinds(found: list[dict[str, Any]]) -> dict[str, str]:
    return {each["kind"]: each["column"] for each in found}


def test_the_same_files_twice_are_one_data_set(server):
    first = upload(server, CSV, CSV[:-200].rpartition(b"\n")[0] + b"\n", "one.csv")
    again = upload(server, CSV, CSV[:-200].rpartition(b"\n")[0] + b"\n", "another.csv")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["known"]
    assert shelf(server).count(first.json()["id"]) == 1
    listed = {each["id"]: each for each in server.client.get("/datasets").json()["datasets"]}
    assert listed[first.json()["id"]]["rows"] == 240
    assert listed[first.json()["id"]]["files"]["train"]["name"] == "one.csv"
    assert upload(server, CSV).json()["id"] != first.json()["id"]


def test_a_data_set_that_a_crash_has_torn_is_brought_again(server):
    table = quick_table(seed=31).to_csv(index=False).encode()
    identity = upload(server, table).json()["id"]
    record = server.folder / ".tahona" / "serve" / "datasets" / identity / "dataset.json"
    whole = json.loads(record.read_text("utf-8"))
    record.write_text("{", "utf-8")
    assert identity not in {each["id"] for each in server.client.get("/datasets").json()["datasets"]}
    assert upload(server, table).status_code == 201
    assert {**json.loads(record.read_text("utf-8")), "when": ""} == {**whole, "when": ""}


def written(form: str) -> bytes:
    frame, sink = quick_table(), io.BytesIO()
    match form:
        case "parquet":
            frame.to_parquet(sink)
        case "xlsx":
            frame.to_excel(sink, index=False)
        case "json":
            return frame.to_json(orient="records").encode()
        case "jsonl":
            return frame.to_json(orient="records", lines=True).encode()
        case "gz":
            return gzip.compress(CSV, mtime=0)
        case _:
            return CSV.replace(b",", b";")
    return sink.getvalue()


@pytest.mark.parametrize("form", ["semicolons", "parquet", "xlsx", "json", "jsonl", "gz"])
def test_every_format_gives_the_same_columns(server, form):
    """What a file is, is told by its content: all of them are called .csv here."""
    answer = upload(server, written(form))
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert found["rows"] == 240
    assert {each["name"]: each["kind"] for each in found["table"]["columns"]} == {
        "size": "numeric",
        "weight": "numeric",
        "colour": "category",
    }
    assert (found["table"]["target"], found["table"]["positive"]) == ("label", "yes")
    assert found["reading"][0]["message"].startswith("Read as ")


def test_the_audits_first_findings_come_back(server):
    frame = quick_table()
    frame["told"] = (frame["label"] == "yes").astype(float) + 0.25
    frame["row_id"] = range(1000, 1240)
    frame["same"] = "x"
    found = upload(server, frame.to_csv(index=False).encode()).json()
    assert kinds(found["findings"]) == {"identifier": "row_id", "constant": "same"}
    assert kinds(found["audit"]["findings"])["leak"] == "told"
    assert 'drop = ["told"]' in found["audit"]["stops"]["fix"]


def test_a_table_without_the_label_is_looked_at_without_an_audit(server):
    found = upload(server, quick_table().drop(columns="label").to_csv(index=False).encode()).json()
    assert found["table"]["target"] is None
    assert found["audit"] is None
    assert [each["name"] for each in found["table"]["columns"]] == ["size", "weight", "colour"]


def test_another_label_may_be_named_and_one_that_is_not_there_is_refused(server):
    assert upload(server, CSV, target="colour").json()["table"]["labels"] == ["blue", "green", "red"]
    assert "did you mean 'label'?" in refused(upload(server, CSV, target="lable"), 422, "target")


def test_it_says_whether_the_test_file_fits(server):
    test = quick_table(60, seed=9)
    test.loc[:2, "colour"] = ["mauve", "mauve", "teal"]
    test["size"] = test["size"].clip(-2, 2)
    test.loc[0, "size"] = 99.0
    test["more"] = 1
    test["label"] = test["label"].replace({"no": "perhaps"})
    fits = upload(server, CSV, test.to_csv(index=False).encode()).json()["test"]
    assert fits["fits"]
    assert fits["extra_columns"] == ["more"]
    assert fits["unseen_levels"] == [{"column": "colour", "levels": 2, "rows": 3}]
    assert {"column": "size", "rows_below": 0, "rows_above": 1} in fits["outside_range"]
    assert fits["label"] == {"present": True, "rows_without_known_label": int((test["label"] == "perhaps").sum())}
    wrong = test.drop(columns=["weight", "label"]).astype({"size": "str"})
    wrong.loc[5, "size"] = "big"
    fits = upload(server, CSV, wrong.to_csv(index=False).encode()).json()["test"]
    assert not fits["fits"]
    assert fits["missing_columns"] == ["weight"]
    assert [each["column"] for each in fits["differing_columns"]] == ["size"]
    assert fits["label"]["present"] is False


def test_codes_with_leading_zeros_in_a_test_file_are_those_of_training(server):
    frame = quick_table()
    frame["zip"] = [["00123", "4567", "0089"][row % 3] for row in range(len(frame))]
    frame.loc[0, "zip"] = "x1"
    test = frame[5:60]
    assert set(test["zip"]) == {"00123", "4567", "0089"}
    fits = upload(server, frame.to_csv(index=False).encode(), test.to_csv(index=False).encode()).json()["test"]
    assert fits["fits"]
    assert fits["unseen_levels"] == []


def test_no_address_is_fetched_for_a_client(server):
    before = shelf(server)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/table.csv"
        as_field = server.client.post("/upload", files={"train": (None, address)})
        assert "no address is fetched" in refused(as_field, 422, "train")
        assert "no address is fetched" in refused(server.client.post("/upload", json={"train": address}), 415)
        refused(server.client.post("/upload", files={"source": ("t.csv", CSV)}), 422)
        refused(upload(server, address.encode()), 422, "train")
        listener.settimeout(0.5)
        with pytest.raises(TimeoutError):
            listener.accept()
    without_trace(server, before)


@pytest.mark.parametrize(
    "name", ["../../../escaped.csv", "/etc/escaped.csv", "..\\escaped.csv", "escaped.csv\n", "%2e%2e"]
)
def test_a_files_name_never_becomes_a_path(server, name):
    marked = CSV.replace(b"size", b"s" + str(abs(hash(name))).encode(), 1)
    found = upload(server, marked, name=name).json()
    assert "/" not in found["files"]["train"]["name"]
    folder = server.folder / ".tahona" / "serve" / "datasets" / found["id"]
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "train.csv"]
    assert not list(server.folder.rglob("escaped*"))


@pytest.mark.parametrize("counted", [True, False], ids=["with its length", "in chunks"])
def test_an_upload_over_the_limit_is_refused_by_the_bytes_that_were_read(server, counted):
    before, memory = shelf(server), peak(server)
    head = b'--x\r\nContent-Disposition: form-data; name="train"; filename="t.csv"\r\n\r\nsize,weight,colour,label\n'
    line = b"1.5,2.5,red,yes\n" * 1000
    lines = 6_000

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(lines):
            yield line

    headers = {"content-type": "multipart/form-data; boundary=x"}
    if counted:
        headers["content-length"] = str(len(head) + lines * len(line))
    try:
        answer = server.client.post("/upload", content=body(), headers=headers)
    except httpx.WriteError:  # the server has answered and closed while we still sent
        pass
    else:
        assert "2,000,000 bytes" in refused(answer, 413)
    assert peak(server) - memory < 20_000_000
    without_trace(server, before)
    assert server.client.get("/health").status_code == 200


def test_an_upload_that_breaks_off_leaves_no_trace(server):
    before = shelf(server)
    head = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    part = b'--x\r\nContent-Disposition: form-data; name="train"; filename="t.csv"\r\n\r\n' + CSV
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(head + b"Content-Length: 900000\r\n\r\n" + part)
        time.sleep(0.3)
    cut = server.client.post("/upload", content=part, headers={"content-type": "multipart/form-data; boundary=x"})
    assert "ends before its last boundary" in refused(cut, 400)
    time.sleep(0.5)
    without_trace(server, before)
    assert upload(server, CSV).status_code in {200, 201}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("test", ("t.csv", CSV))], "there is no file to learn from"),
        ([("train", ("t.csv", CSV)), ("train", ("u.csv", CSV))], "this part twice"),
        ([("train", ("t.csv", CSV)), ("target", ("t.csv", b"label"))], "this part is no file"),
        ([("train", ("t.csv", CSV)), ("folder", (None, "/etc"))], "a part of another name"),
    ],
    ids=["no train", "twice", "target as file", "another part"],
)
def test_what_is_no_upload_is_refused(server, parts, words):
    assert words in refused(server.client.post("/upload", files=parts), 422)


def test_a_table_is_read_as_the_project_declares(tmp_path):
    """Nulls, kinds and cleaning functions of the project hold for uploads too; so does what they may not do."""
    text = QUICK.replace(
        'source = "table.csv"',
        'source = "table.csv"\nnulls = ["", "?"]\ntypes = { weight = "category" }\nclean = ["c:f"]',
    )
    source = "import socket\n\n\ndef f(frame):\n    return frame.assign(size=frame['size'] * 2)\n"
    folder = write_project(tmp_path / "quick", text, c=source)
    table = CSV.replace(b"blue", b"?")
    examining = Examining(load_project(folder).project)
    found = asyncio.run(examining.examine(saved(tmp_path, table), None, None))
    kind = {each["name"]: each["kind"] for each in found["schema"]["columns"]}
    assert kind["weight"] == "category"
    assert found["schema"]["columns"][2]["most_frequent"] == ["red", "green"]
    assert found["schema"]["columns"][0]["high"] == pytest.approx(2 * quick_table()["size"].max())
    edit(
        folder,
        "    return frame.assign",
        "    socket.create_connection(('127.0.0.1', 9))\n    return frame.assign",
        "c.py",
    )
    with pytest.raises(Refused) as caught:
        asyncio.run(examining.examine(saved(tmp_path, table), None, None))
    assert "PermissionError" in caught.value.problem.detail


def saved(folder: Path, content: bytes) -> Path:
    file = folder / "upload"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(memory=400 << 20), "400 MB"),
        (Bounds(memory=3 << 30, cpu_seconds=1), "1 seconds of processor time"),
        (Bounds(memory=3 << 30, seconds=0.7), "0.7 seconds in all"),
    ],
    ids=["memory", "processor time", "time"],
)
def test_an_examiner_that_takes_too_much_is_a_413_with_words(project, tmp_path, bounds, words):
    big = saved(tmp_path, CSV + b"".join(CSV.splitlines(keepends=True)[1:]) * 1500)
    with pytest.raises(Refused) as caught:
        asyncio.run(Examining(load_project(project).project, bounds).examine(big, None, None))
    assert caught.value.problem.status == 413
    assert words.replace("400 MB", f"{400 << 20:,} bytes") in caught.value.problem.detail


def test_more_uploads_than_may_wait_are_sent_away(project, tmp_path):
    table = saved(tmp_path, CSV)

    async def three() -> list[Any]:
        examining = Examining(load_project(project).project, Bounds(3 << 30, at_once=1, waiting=1))
        return await asyncio.gather(*(examining.examine(table, None, None) for _ in range(3)), return_exceptions=True)

    answers = asyncio.run(three())
    assert [type(each) for each in answers] == [dict, dict, Refused]
    assert (answers[2].problem.status, answers[2].problem.retry_after) == (503, 10)


def test_two_uploads_of_the_same_file_at_once_are_one_data_set(server):
    frame = quick_table(seed=11).to_csv(index=False).encode()
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(upload(server, frame))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert not [name for name in shelf(server) if name.endswith(".new")]


def test_the_log_and_the_answers_hold_no_cell(server):
    secret = "Zebedeo-4711"
    frame = quick_table().astype({"size": "str"})
    frame.loc[3, "size"] = secret
    answers = [upload(server, frame.to_csv(index=False).encode() + b"1,2,3,4,5\n"), upload(server, secret.encode())]
    assert all(secret not in answer.text for answer in answers)
    assert secret not in server.log.read_text("utf-8")
    assert all(json.loads(line) for line in server.log.read_text("utf-8").splitlines())


def test_a_table_of_many_rows_is_looked_at_in_part(server):
    table = pd.concat([quick_table()] * 300)
    content = io.BytesIO()
    table.to_parquet(content)
    found = upload(server, content.getvalue()).json()
    assert (found["rows"], found["audit"]["rows"]) == (72_000, 50_000)


@pytest.mark.parametrize("charset", ["idna", "undefined", "hex", "utf-7", "unicode_escape", "none-such"])
def test_any_charset_is_read_or_refused(server, charset):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="train"; filename="\\ud800\xff.csv"\r\n\r\n' + CSV + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="target"\r\n\r\n\xff+\\ud800.' + b"a" * 99 + b"\r\n--x--\r\n"
    )
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = server.client.post("/upload", content=body, headers=headers)
    assert answer.status_code in {400, 422}, answer.text
