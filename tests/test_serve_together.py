"""Requests that come whole in one piece are answered together, and as they would be one by one."""

import asyncio
import json
import re
import socket
import time

import pandas as pd
import pytest
from serving import ROW, copied, received, serving, until
from test_serve_protocol import listening

from tahona.project.load import load_project
from tahona.serve.champion import read_champion
from tahona.serve.front.app import Front
from tahona.serve.front.journal import Journal
from tahona.serve.front.model import load_champion
from tahona.serve.front.rows import Limits
from tahona.serve.front.settings import Settings
from tahona.serve.metering import Meters
from tahona.serve.places import Places
from tahona.serve.spool import Spool
from tahona.wiring import open_prediction_log

JSON = "content-type: application/json\r\n"
CSV = b"size,weight,colour\n0.25,-1.5,red\n"
ASKED = {
    "a row": (200, JSON, "", json.dumps(ROW).encode()),
    "some rows": (200, JSON, "", json.dumps({"rows": [ROW, {**ROW, "size": 99, "colour": "violet"}]}).encode()),
    "more rows than are answered at once": (200, JSON, "", json.dumps([ROW] * 120).encode()),
    "a column too many": (200, JSON, "", json.dumps({**ROW, "more": 1}).encode()),
    "a column too few": (422, JSON, "", b'{"size": 1}'),
    "no JSON": (400, JSON, "", b'{"size": '),
    "nothing": (400, JSON, "", b""),
    "CSV": (200, "content-type: text/csv\r\n", "", CSV),
    "an explanation": (200, JSON, "?explain=true", json.dumps(ROW).encode()),
    "another kind": (415, "content-type: text/plain\r\n", "", b"x"),
    "packed": (415, JSON + "content-encoding: gzip\r\n", "", b"x"),
    "a page of another origin": (403, JSON + "origin: https://elsewhere.example\r\n", "", json.dumps(ROW).encode()),
}


def request(headers: str, query: str, body: bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of a request, behind which the connection is closed."""
    lines = f"POST /predict{query} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}"
    return f"{lines}content-length: {len(body)}\r\n\r\n".encode(), body


def asked(address: str, *pieces: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Send the pieces with a pause between them; return status, headers and body, without what is new each time."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        answer = received(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = sorted(line for line in lines if not line.startswith((b"x-request-id", b"date", b"content-length")))
    return first, headers, re.sub(rb'"id": ?"[^"]*"|,[^,\n]*(?=\n)', b"", body)


@pytest.mark.parametrize("name", ASKED)
def test_a_request_in_one_piece_gets_what_it_gets_in_two(server, name):
    status, *words = ASKED[name]
    head, body = request(*words)
    whole = asked(server.whole().address, head + body)
    assert whole == asked(server.address, head, body)
    assert whole[0].split()[1] == str(status).encode()


def test_many_at_once_get_each_their_own_and_are_all_written_down(trained, tmp_path):
    import tahona

    rows = [{**ROW, "size": place / 40} for place in range(40)]
    expected = tahona.load_bundle("quick@champion", project=trained).predict(pd.DataFrame(rows))["probability_yes"]
    with serving(copied(trained, tmp_path / "quick"), "--workers", "1") as server:
        server.whole()
        before = len(server.lines("request"))

        def predicted():
            return [line for line in server.lines("request")[before:] if line["route"] == "/predict"]

        host, _, port = server.address.removeprefix("http://").rpartition(":")
        connections = [socket.create_connection((host, int(port)), timeout=30) for _ in rows]
        for connection, row in zip(connections, rows, strict=True):
            connection.sendall(b"".join(request(JSON, "", json.dumps(row).encode())))
        answers = []
        for connection in connections:
            with connection:
                body = received(connection).partition(b"\r\n\r\n")[2]
            answers.append(json.loads(body)["predictions"][0])
        until(lambda: len(predicted()) == len(rows))
        lines = predicted()
    assert [answer["probabilities"]["yes"] for answer in answers] == expected.tolist()
    assert [line["status"] for line in lines] == [200] * 40
    assert len({line["id"] for line in lines}) == len(lines)
    log = open_prediction_log(load_project(tmp_path / "quick").project)
    assert {answer["id"] for answer in answers} == {kept.id for kept in log.read("quick")}


def test_a_request_counts_once_wherever_it_is_answered(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick"), "--set", "serve.limits.rate=6", "--workers", "1") as server:
        unknown = b"".join(request(*ASKED["a column too many"][1:]))
        assert [asked(server.address, unknown)[0] for _ in range(6)] == [b"HTTP/1.1 200 OK"] * 6


def test_a_fault_is_that_of_one_request(server, tmp_path, capfd):
    champion = read_champion(Places(server.whole().folder).champion)
    assert champion is not None
    places = Places(tmp_path)
    places.make()
    limits = {"body": 10_000, "upload": 10_000, "rows": 100, "cell": 100, "concurrent": 64, "rate": 9}
    settings = Settings(str(tmp_path), "", 0, loopback=True, hosts=(), origins=(), log_features=False, **limits)

    met = []

    async def ask():
        front = Front(settings, places, Journal(Spool(places.spool), Meters()))
        front.take_up(load_champion(champion, Limits(100, 100)))
        predicting = front.ready_to_predict()
        assert predicting is not None
        score = predicting.score

        def faulty(rows):
            if rows[0].f0 == 13:
                raise RuntimeError("a secret of row 13")
            return score(rows)

        predicting.score = faulty
        asyncio.get_running_loop().set_exception_handler(lambda _, context: met.append(context["exception"]))
        listener, _, port = await listening(front)
        ways = [await asyncio.open_connection("127.0.0.1", port) for _ in range(9)]
        for place, (_, writer) in enumerate(ways, start=9):
            writer.write(b"".join(request(JSON, "", json.dumps({**ROW, "size": place}).encode())))
        answers = [await reader.read() for reader, _ in ways]
        for _, writer in ways:
            writer.close()
        listener.close()
        return [int(answer.split()[1]) for answer in answers]

    assert asyncio.run(ask()) == [200, 200, 200, 200, 500, 200, 200, 200, 200]
    assert [type(each) for each in met] == [RuntimeError]
    told = capfd.readouterr().err
    assert told.count('"fault"') == 1
    assert "secret" not in told
