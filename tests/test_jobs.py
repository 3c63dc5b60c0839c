"""Training over HTTP: a job's whole life, its end by request, and what becomes of it when the server ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from projects import QUICK, Command, edit, quick_table, write_project
from serving import Server, serving, until

from tahona.owners import tag
from tahona.serve.back.datasets import Datasets
from tahona.serve.back.jobs import Jobs, is_held
from tahona.serve.places import Places

SECONDS = 120
LONG = QUICK.replace('models = ["tree", "logistic_regression"]', 'models = ["tree"]\ntrials = 5000').replace(
    "max_depth = [2, 3]", "max_depth = { int = [2, 12] }\nmin_samples_leaf = { int = [1, 60] }"
)
"""A study that nobody waits for."""
MEDIUM = LONG.replace("trials = 5000", "trials = 60")
"""A study that can be interrupted, and be waited for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The quick project, which nobody has trained yet."""
    with begun(write_project(tmp_path_factory.mktemp("training") / "quick")) as running:
        yield running


@contextmanager
def begun(folder: Path, *words: object) -> Iterator[Server]:
    """Serve the project, and wait for the back."""
    with serving(folder, *words) as running:
        until(lambda: answered(running), 60)
        yield running


def answered(server: Server) -> bool:
    try:
        return server.client.get("/jobs").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def dataset(server: Server) -> str:
    return upload(server)


def upload(server: Server, test: bytes | None = None) -> str:
    files = {"train": ("t.csv", quick_table().to_csv(index=False).encode())}
    files |= {} if test is None else {"test": ("test.csv", test)}
    answer = server.client.post("/upload", files=files)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()["id"]


def order(server: Server, dataset: str, **overrides: Any) -> str:
    answer = server.client.post("/train", json={"dataset": dataset, "overrides": overrides})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return answer.json()["job"]


def look(server: Server, job: str) -> dict[str, Any]:
    return server.client.get(f"/jobs/{job}").raise_for_status().json()


def ended(server: Server, job: str, state: str = "done") -> dict[str, Any]:
    until(lambda: look(server, job)["state"] not in {"queued", "running"}, SECONDS)
    found = look(server, job)
    assert found["state"] == state, found
    return found


def events(server: Server, job: str, after: int | None = None) -> list[tuple[int, str, dict[str, Any]]]:
    """Read the stream to its end: id, kind and facts of each event."""
    headers = {} if after is None else {"last-event-id": str(after)}
    with server.client.stream("GET", f"/jobs/{job}/events", headers=headers, timeout=SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if not block.startswith(":")]
    return [(int(one[4:]), two[7:], json.loads(three[6:])) for one, two, three in blocks]


def folder_of(server: Server, job: str) -> Path:
    return server.folder / ".tahona" / "serve" / "jobs" / job


def noted(server: Server, job: str, kind: str) -> list[dict[str, Any]]:
    lines = (folder_of(server, job) / "events.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def process_of(server: Server, job: str) -> int:
    lock = folder_of(server, job) / "lock"
    until(lambda: is_held(lock) and lock.read_text(), 30)
    return int(lock.read_text())


def gone(process: int) -> bool:
    """Tell whether the process has ended; if its parent did before it, nobody may have taken its body away."""
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def trying(server: Server, job: str, trials: int = 2) -> None:
    """Wait until the job is in the middle of a search."""
    until(lambda: len(noted(server, job, "trial")) > trials, SECONDS)


def test_a_jobs_whole_life(server):
    test = quick_table(80, seed=3)
    job = order(server, upload(server, test.to_csv(index=False).encode()), families=["tree"], exclude=["weight"])
    told = events(server, job)
    assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
    assert [facts["state"] for _, kind, facts in told if kind == "state"] == ["queued", "running", "done"]
    assert [facts["model"] for _, kind, facts in told if kind == "family"] == ["dummy", "tree"]
    steps = [facts["step"] for _, kind, facts in told if kind == "step" and facts["state"] == "done"]
    assert steps == next(facts["steps"] for _, kind, facts in told if kind == "plan")
    found = look(server, job)
    assert (found["state"], found["progress"], found["step"]) == ("done", 1.0, None)
    assert [row["model"] for row in found["leaderboard"]] == ["tree", "dummy"]
    result = found["result"]
    assert (result["version"], result["champion"], result["gate"]["passed"]) == (1, True, True)
    assert result["test_file"]["rows_with_label"] == 80
    auc = result["test_file"]["metrics"]["roc_auc"]
    assert 0.5 < auc["low"] <= auc["value"] <= auc["high"] <= 1.0
    assert str(server.folder) not in json.dumps(found)
    versions = server.client.get("/models").json()["models"]
    assert [(each["version"], each["run"]) for each in versions] == [(1, result["run"])]
    row = {"size": 0.25, "colour": "red"}
    until(lambda: server.client.post("/predict", json=[row]).status_code == 200, 10)


def test_events_go_on_behind_the_last_one_that_was_seen(server, dataset):
    job = order(server, dataset, families=["tree"])
    ended(server, job)
    everything = events(server, job)
    assert events(server, job, after=7) == everything[7:]
    last = server.client.get(f"/jobs/{job}/events", headers={"last-event-id": str(len(everything))})
    assert last.status_code == 204
    assert events(server, job, after=10**15 % 3) == everything[1:]


def test_the_same_order_again_has_nothing_to_do(server, dataset):
    first, again = (ended(server, order(server, dataset, families=["tree"])) for _ in range(2))
    assert first["result"]["version"] == again["result"]["version"]
    assert {event["state"] for event in noted(server, again["id"], "step")} == {"cached"}
    assert first["leaderboard"] == again["leaderboard"]


def test_another_label_and_another_class_that_matters(server, dataset):
    found = ended(server, order(server, dataset, target="colour", positive="red", families=["tree"]), "failed")
    assert "positive" in found["error"]["what"]
    found = ended(server, order(server, dataset, positive="no", metric="pr_auc", families=["tree"], trials=2))
    assert found["leaderboard"][0]["metric"] == "pr_auc"


def test_what_the_audit_refuses_is_a_refused_job_with_words(server):
    table = quick_table(seed=21)
    table["told"] = (table["label"] == "yes") + 0.5
    answer = server.client.post("/upload", files={"train": ("t.csv", table.to_csv(index=False).encode())})
    found = ended(server, order(server, answer.json()["id"], families=["tree"]), "refused")
    assert "'told' alone tells the classes apart" in found["error"]["what"]
    assert 'drop = ["told"]' in found["error"]["fix"]
    mended = ended(server, order(server, answer.json()["id"], families=["tree"], exclude=["told"]))
    assert mended["result"]["version"] > 0


@pytest.mark.parametrize(
    ("overrides", "where", "words"),
    [
        ({"target": "lable"}, "overrides.target", "did you mean 'label'?"),
        ({"target": "${HOME}"}, "overrides.target", "the data set has no column of this name"),
        ({"exclude": ["weihgt"]}, "overrides.exclude", "did you mean 'weight'?"),
        ({"exclude": ["label"]}, "overrides.exclude", ""),
        ({"families": ["tre"]}, "overrides.families", "is not a family"),
        ({"families": []}, "body.overrides.families", ""),
        ({"metric": "acuracy"}, "overrides.metric", "is not a metric"),
        ({"trials": 0}, "body.overrides.trials", ""),
        ({"trials": "5"}, "body.overrides.trials", ""),
        ({"source": "http://127.0.0.1:9/t.csv"}, "body.overrides", "no such field"),
        ({"target": 'x"\n[run.on_failure]\ncommand=["touch", "/tmp/x"]'}, "overrides.target", ""),
    ],
)
def test_an_order_is_judged_before_it_is_taken(server, dataset, overrides, where, words):
    before = len(server.client.get("/jobs").json()["jobs"])
    answer = server.client.post("/train", json={"dataset": dataset, "overrides": overrides})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["where"] == where
    assert words in f"{problem['detail']} {problem['fix']}"
    assert os.environ["HOME"] not in answer.text
    assert len(answer.content) < 2048
    assert len(server.client.get("/jobs").json()["jobs"]) == before


@pytest.mark.parametrize(
    "wrong", ["0123456789abcdef", "20260101000000-0123456789", "%2e%2e", "..%2f..%2fjobs", "a/b", "a" * 79]
)
def test_only_known_ids_are_looked_up(server, wrong):
    assert server.client.post("/train", json={"dataset": wrong}).status_code == 404
    for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        answer = server.client.request(method, f"/jobs/{wrong}{end}")
        assert answer.status_code == 404, answer.text
        assert len(answer.content) < 2048


@pytest.mark.slow
def test_jobs_are_limited_wait_for_one_another_and_end_on_request_or_when_they_are_killed(tmp_path, tahona: Command):
    words = ("--set", "serve.limits.jobs=1", "--set", "serve.limits.queue=1")
    with begun(write_project(tmp_path / "quick", LONG), *words) as server:
        dataset = upload(server)
        first, second = order(server, dataset), order(server, dataset, exclude=["weight"])
        third = server.client.post("/train", json={"dataset": dataset})
        assert (third.status_code, third.headers["retry-after"]) == (503, "30")
        trying(server, first)
        process = process_of(server, first)
        found = look(server, first)
        assert (found["state"], found["step"]) == ("running", "train@tree")
        assert 0.3 < found["progress"] < 1
        assert look(server, second)["state"] == "queued"
        assert server.client.delete(f"/jobs/{second}").json()["state"] == "cancelled"
        assert server.client.delete(f"/jobs/{first}").json()["state"] == "cancelled"
        until(lambda: gone(process), 20)
        assert server.client.delete(f"/jobs/{first}").json()["state"] == "cancelled"
        assert not is_held(folder_of(server, first) / "lock")
        runs = tahona("runs", "-C", server.folder, "--json").document["runs"]
        assert [run["status"] for run in runs] == ["interrupted"]
        quick = order(server, dataset, families=["dummy"])
        assert ended(server, quick)["result"]["family"] == "dummy"
        alone = order(server, dataset)
        trying(server, alone)
        os.killpg(process_of(server, alone), signal.SIGKILL)
        assert "by signal 9" in ended(server, alone, "failed")["error"]["what"]


@pytest.mark.slow
def test_a_server_that_stops_ends_its_jobs_and_the_next_one_goes_on_with_them(tmp_path):
    folder = write_project(tmp_path / "quick", MEDIUM)
    with begun(folder) as server:
        job = order(server, upload(server))
        waiting = order(server, upload(server), families=["dummy"])
        trying(server, job)
        process = process_of(server, job)
        with server.client.stream("GET", f"/jobs/{job}/events") as answer:  # which would go on for ever
            assert next(answer.iter_lines()) == "id: 1"
            start = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - start < 10
        until(lambda: gone(process), 20)
        assert noted(server, job, "state")[-1]["state"] == "queued"
    with begun(folder) as server:
        found = ended(server, job)
        assert found["result"]["version"] == 1
        assert ended(server, waiting)["state"] == "done"
        again = noted(server, job, "step")
        assert [event["state"] for event in again if event["step"] == "split"] == ["running", "done", "cached"]


@pytest.mark.slow
def test_a_job_outlives_a_back_that_is_killed_is_not_started_twice_and_can_be_ended(tmp_path):
    with begun(write_project(tmp_path / "quick", MEDIUM)) as server:
        job = order(server, upload(server))
        trying(server, job)
        process = process_of(server, job)
        replace_back(server)
        assert (folder_of(server, job) / "lock").read_text() == str(process)
        assert ended(server, job)["result"]["version"] == 1
        assert len([each for each in noted(server, job, "state") if each["state"] == "running"]) == 1
        assert server.client.delete(f"/jobs/{job}").json()["state"] == "done"
        endless = order(server, upload(server), trials=5000)
        trying(server, endless)
        process = process_of(server, endless)
        replace_back(server)
        for each in (job, endless):
            assert subprocess.run([*module(server), folder_of(server, each)], timeout=60, check=False).returncode == 75
        assert server.client.delete(f"/jobs/{endless}").json()["state"] == "cancelled"
        until(lambda: gone(process), 20)
        for each in (job, endless):
            assert [event["state"] for event in noted(server, each, "state")].count("running") == 1


def replace_back(server: Server) -> None:
    """Kill the back, and wait for the one that takes its place."""
    (back,) = server.children()["back"]
    os.kill(back, signal.SIGKILL)
    until(lambda: server.children()["back"] not in ([], [back]), 30)
    until(lambda: answered(server), 60)


@pytest.mark.slow
def test_a_job_that_was_killed_with_everything_is_started_again(tmp_path):
    folder = write_project(tmp_path / "quick", MEDIUM)
    with begun(folder) as server:
        job = order(server, upload(server))
        trying(server, job)
        process = process_of(server, job)
        everybody = [server.process.pid, *(each for every in server.children().values() for each in every)]
        for each in everybody:
            os.kill(each, signal.SIGKILL)
        os.killpg(process, signal.SIGKILL)
        server.process.wait(60)
    assert look_at_state(folder, job) == "running"
    with begun(folder) as server:
        assert ended(server, job)["result"]["version"] == 1
        assert len(noted(server, job, "lost")) == 1


def look_at_state(folder: Path, job: str) -> str:
    lines = (folder / ".tahona" / "serve" / "jobs" / job / "events.jsonl").read_text("utf-8").splitlines()
    return next(event["state"] for event in map(json.loads, reversed(lines)) if event["event"] == "state")


def module(server: Server) -> list[str]:
    words = Path(f"/proc/{server.children()['back'][0]}/cmdline").read_text().split("\0")
    return [words[0], "-m", "tahona.serve.back.job_process"]


def test_an_error_names_no_folder_and_no_secret_of_the_server(tmp_path):
    """The project file breaks between the order and the run."""
    folder = write_project(tmp_path / "quick", LONG)
    with begun(folder) as server:
        first = order(server, upload(server))
        second = order(server, upload(server), families=["dummy"])
        edit(folder, 'metric = "roc_auc"', 'metric = "roc_acu"')
        server.client.delete(f"/jobs/{first}")
        found = ended(server, second, "failed")
        assert "is not a metric" in found["error"]["what"]
        assert str(folder) not in json.dumps(found)
        refused = server.client.post("/train", json={"dataset": found["dataset"]})
        assert refused.status_code == 503
        assert str(folder) not in refused.text


def test_what_a_crash_has_torn_is_passed_over(tmp_path):
    """A torn order is no job, a torn line no event, and an upload whose server died is taken away."""
    places = Places(tmp_path)
    places.make()
    jobs = Jobs(places.jobs)
    whole = jobs.add(dataset="0" * 16, test="", changes={}, place=str(tmp_path), env=None, overrides=())
    torn = places.jobs / f"{whole.id[:-1]}{'1' if whole.id[-1] != '1' else '2'}"
    torn.mkdir()
    (torn / "job.json").write_text('{"id": "2026')
    with whole.events.open("a") as file:
        file.write('{"event": "sta\n[]\n')
    whole.tell("state", state="running")
    with whole.events.open("a") as file:
        file.write('{"event": "state", "state": "do')
    assert [job.id for job in Jobs(places.jobs).all()] == [whole.id]
    assert whole.look().state == "running"
    with subprocess.Popen(["true"]) as dead:
        gone_by_now = tag(dead.pid)
    left, mine = (places.datasets / f"{name}-aabbcc.new" for name in (gone_by_now, tag()))
    left.mkdir()
    mine.mkdir()
    (places.datasets / ("f" * 16)).mkdir()
    assert Datasets(places.datasets).all() == []
    assert (left.exists(), mine.exists()) == (False, True)
