"""A server that is asked all the while: ended, promoted, its processes killed, its bundles damaged. Real processes."""

import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest
from projects import QUICK, edit, write_project
from serving import ROW, Server, copied, serving, until

from tahona.lifecycle.registry import promote
from tahona.project.load import load_project
from tahona.wiring import open_prediction_log, open_project

pytestmark = pytest.mark.slow
ROUNDS = int(os.environ.get("TAHONA_ROUNDS", "5"))
"""How often a server is ended under load."""
CONNECTIONS = 8


class Asking:
    """Clients that ask one row after the other, each over one connection, and what they were told."""

    def __init__(self, server: Server) -> None:
        self.answers: list[tuple[int, float]] = []
        """Version and probability of yes of each answer."""
        self.failed: list[str] = []
        """Of requests that were sent over an open connection and got no answer, or another than 200."""
        self.turned_away = 0
        """Connections that were refused."""
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CONNECTIONS)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._server.address, timeout=30, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/predict", json=ROW)
                except httpx.ConnectError:
                    self.turned_away += 1
                    return
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    return
                if answer.status_code != 200:
                    self.failed.append(answer.text)
                    return
                said = answer.json()
                self.answers.append((said["version"], said["predictions"][0]["probabilities"]["yes"]))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def twice(trained, tmp_path_factory, tahona):
    """A project with two versions that answer differently; the second is champion."""
    folder = copied(trained, tmp_path_factory.mktemp("twice") / "quick")
    edit(folder, "C = [0.1, 1.0]", "C = [0.001]")
    edit(folder, 'models = ["tree", "logistic_regression"]', 'models = ["logistic_regression"]')
    answer = tahona("run", "-C", folder)
    assert answer.code == 0, answer.stderr
    if json.loads(tahona("models", "-C", folder, "--json").stdout)["models"][0]["aliases"] != ["champion"]:
        assert tahona("promote", "2", "--override", "for the test", "-C", folder).code == 0
    return folder


@pytest.fixture(scope="module")
def slow(tmp_path_factory, tahona):
    """A project whose champion has no compiled form."""
    folder = write_project(
        tmp_path_factory.mktemp("slow") / "quick", QUICK.replace('"tree", "logistic_regression"', '"knn"')
    )
    assert tahona("run", "-C", folder).code == 0
    return folder


def logged(folder):
    return list(open_prediction_log(load_project(folder).project).read("quick"))


def test_a_server_that_is_told_to_end_answers_all_that_it_took(trained, tmp_path):
    folder = copied(trained, tmp_path / "quick")
    told = 0
    for number in range(ROUNDS):
        with serving(folder, "--workers", 2) as server, Asking(server) as asking:
            if number == 0:
                server.whole()  # the back has to end as well
            until(lambda: len(asking.answers) > 200)
            seen = Counter()
            watch = threading.Thread(target=watch_readiness, args=(server, seen))
            watch.start()
            until(lambda seen=seen: seen[200])
            began = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - began < 10
            watch.join()
            assert seen[503], "readiness did not go first"
            assert asking.failed == []
            told += len(asking.answers)
        assert not any(server.children().values())
    with serving(folder) as server:
        until(lambda: len(logged(folder)) == told, seconds=30)


def watch_readiness(server, seen):
    """Count what `/ready` says, over a new connection each time, until nobody is there."""
    host, port = server.address.removeprefix("http://").split(":")
    while True:
        connection = HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request("GET", "/ready")
            seen[connection.getresponse().status] += 1
        except (OSError, HTTPException):
            return
        finally:
            connection.close()


def test_each_answer_is_of_the_version_that_it_names(twice):
    opened = open_project(twice)
    with serving(twice, "--workers", 2) as server, Asking(server) as asking:
        server.whole()
        moves, end = 0, time.monotonic() + 60
        while moves < 100 or len(asking.answers) < 10_000:
            assert time.monotonic() < end, f"{moves} moves, {len(asking.answers)} answers"
            promote(opened, str(moves % 2 + 1), override="for the test")
            moves += 1
            time.sleep(0.1)
        last = (moves - 1) % 2 + 1
        since = time.monotonic()
        until(lambda: {version for version, _ in asking.answers[-200:]} == {last})
        assert time.monotonic() - since < 2
        assert asking.failed == []
    values = {version: {value for number, value in asking.answers if number == version} for version in (1, 2)}
    assert [len(values[version]) for version in (1, 2)] == [1, 1], "a version answered in two ways"
    assert values[1] != values[2]
    changes = sum(before[0] != after[0] for before, after in zip(asking.answers, asking.answers[1:], strict=False))
    assert changes >= 20


def test_a_promotion_is_answered_within_a_second(twice):
    opened = open_project(twice)
    with serving(twice) as server:
        server.whole()
        until(lambda: not server.client.get("/ready").json()["troubles"])
        for _ in range(4):
            number = 3 - server.predict(ROW).json()["version"]
            moved = server.client.post("/models/quick/promote", json={"version": number, "override": "for the test"})
            assert (moved.status_code, moved.json()["served"]) == (200, True), moved.text
            until(lambda number=number: server.predict(ROW).json()["version"] == number, seconds=1.0)
        promote(opened, str(3 - number), override="for the test")  # as another process does
        until(lambda: server.predict(ROW).json()["version"] == 3 - number, seconds=3.0)


def test_a_killed_worker_is_replaced_while_others_answer(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick"), "--workers", 2) as server:
        until(lambda: len(server.children()["worker"]) == 2)
        before = set(server.children()["worker"])
        for victim in before:
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: answers(server))
            until(lambda victim=victim: victim not in server.children()["worker"])
            until(lambda: len(server.children()["worker"]) == 2)
        assert not before & set(server.children()["worker"])
        assert answers(server)


def answers(server):
    """Ask over a new connection."""
    try:
        return httpx.post(f"{server.address}/predict", json=ROW, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_killed_back_is_replaced_while_predictions_go_on(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick")) as server:
        server.whole()
        (back,) = server.children()["back"]
        os.kill(back, signal.SIGKILL)
        until(lambda: server.client.get("/models").status_code == 503)
        assert server.predict(ROW).status_code == 200
        server.whole()
        assert server.children()["back"] != [back]


def test_a_server_whose_back_alone_can_predict_is_not_ready_without_it(slow):
    """Neither while it hangs nor while it is gone; with another champion it would be."""
    with serving(slow) as server:
        until(lambda: server.client.get("/ready").status_code == 200, seconds=60)
        assert server.client.get("/ready").json()["troubles"] == []
        assert answers(server)
        (back,) = server.children()["back"]
        os.kill(back, signal.SIGSTOP)
        hanging = server.client.get("/ready")
        os.kill(back, signal.SIGKILL)
        gone = server.client.get("/ready")
        for ready in (hanging, gone):
            assert (ready.status_code, ready.headers["retry-after"]) == (503, "1"), ready.text
            said = ready.json()
            assert (said["ready"], said["version"]) == (False, 1)
            assert said["troubles"] == ["the part of the server that predicts with this champion does not do so"]
        until(lambda: server.client.get("/ready").status_code == 200, seconds=60)
        assert answers(server)


def test_children_of_a_killed_parent_end_by_themselves(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick"), "--workers", 2) as server:
        server.whole()
        children = [child for each in server.children().values() for child in each]
        assert len(children) == 3
        server.end(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), seconds=15)


def test_two_workers_share_one_prediction_log(trained, tmp_path):
    folder = copied(trained, tmp_path / "quick")
    alone = 0

    def both_write():
        """Ask once more over a connection of its own: whoever is free first takes it."""
        nonlocal alone
        alone += httpx.post(f"{server.address}/predict", json=ROW, trust_env=False).status_code == 200
        return len({name.split("-")[1] for name in writers(folder)}) == 2

    with serving(folder, "--workers", 2) as server:
        until(both_write, seconds=60)
        with Asking(server) as asking:
            until(lambda: len(asking.answers) > 1000, seconds=60)
        assert asking.failed == []
        answers = alone + len(asking.answers)
        until(lambda: len(logged(folder)) == answers, seconds=30)
    assert len({each.id for each in logged(folder)}) == answers


def writers(folder):
    """Return the names of the files in the spool that a worker has written to."""
    spool = folder / ".tahona" / "serve" / "spool"
    return [file.name for file in spool.iterdir() if file.suffix in (".open", ".left")]


def test_a_damaged_bundle_leaves_the_champion_as_it_was(twice, tmp_path):
    folder = copied(twice, tmp_path / "quick")
    opened = open_project(folder)
    with serving(folder) as server:
        server.whole()
        for damage in ("truncated", "altered"):
            served = server.predict(ROW).json()["version"]
            other = next(each for each in opened.ledger.versions("quick") if each.number != served)
            with damaged(opened.store.get(other.bundle_digest), damage):
                promote(opened, str(other.number), override="for the test")
                until(lambda: server.client.get("/ready").json()["troubles"])
                ready = server.client.get("/ready")
                assert (ready.status_code, ready.json()["version"]) == (200, served)
                assert "damaged" in ready.json()["troubles"][0]
                assert server.predict(ROW).json()["version"] == served
            until(lambda number=other.number: server.predict(ROW).json()["version"] == number, seconds=20)
            until(lambda: not server.client.get("/ready").json()["troubles"])


BYTES = 9_900_000
ENTRY = '{"size": 1, "weight": 2, "colour": "red"}'
HOSTILE = {
    "empty rows": "[" + "{}," * (BYTES // 3 - 1) + "{}]",
    "numbers": "[" + "0.1," * (BYTES // 4 - 1) + "1]",
    "texts": "[" + '"a",' * (BYTES // 4 - 1) + "1]",
    "numbers in a cell": '[{"size": [' + "0.1," * (BYTES // 4 - 10) + '1], "weight": 1, "colour": "a"}]',
    "numbers beside NaN": '[{"size": NaN, "weight": 1, "colour": [' + "1.5," * (BYTES // 4 - 20) + "1]}]",
    "many columns": "[{" + ",".join(f'"k{place}": {place}' for place in range(600_000)) + "}]",
    "a column many times": "[{" + ",".join(['"size": 1'] * 900_000) + "}]",
    "a long text": ENTRY.replace("red", "x" * BYTES),
    "a text of escapes": ENTRY.replace("red", "\\u00e9" * (BYTES // 6)),
    "a text of braces": ENTRY.replace("red", "{" * BYTES),
    "quotation marks": '"' * BYTES,
    "backslashes": '"' + "\\" * BYTES + '"',
    "brackets": "[" * BYTES,
    "a mistake at the end": "[" + f"{ENTRY}," * 9_999 + '{"size": "x", "weight": 2, "colour": "red"}]',
}


def test_no_body_of_ten_megabytes_holds_a_worker_up(trained, tmp_path):
    with serving(copied(trained, tmp_path / "quick")) as server:
        (worker,) = server.children()["worker"]
        before, waits = peak(worker), []
        stop = threading.Event()
        watch = threading.Thread(target=ask_health, args=(server, stop, waits))
        watch.start()
        for name, body in HOSTILE.items():
            began = time.monotonic()
            answer = server.client.post("/predict", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 413, 422), name
            assert len(answer.content) < 2000, name
            assert time.monotonic() - began < 5, name
        stop.set()
        watch.join()
        assert peak(worker) - before < 100, "megabytes"
        assert max(waits) < 1, "seconds, on a machine that does other things as well"
        assert server.predict(ROW).status_code == 200


def ask_health(server, stop, waits):
    with httpx.Client(base_url=server.address, timeout=30, trust_env=False) as client:
        while not stop.wait(0.01):
            waits.append(client.get("/health").elapsed.total_seconds())


def peak(process):
    """Return the most memory that a process ever had, in megabytes."""
    lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextmanager
def damaged(file, how):
    """Damage a file of the store for a while."""
    whole = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(whole[:-100] if how == "truncated" else whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    try:
        yield
    finally:
        file.write_bytes(whole)
