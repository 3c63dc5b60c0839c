"""What the back of a real server does: it follows the ledger, serves the registry, and says what does not work."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from backs import Back, started_back
from processes import started
from projects import QUICK, edit, write_project
from serving import ROW, Server

import tahona
from tahona.lifecycle.registry import promote, roll_back
from tahona.serve.access import ROUTES
from tahona.serve.champion import read_champion
from tahona.serve.keys import create_key
from tahona.serve.places import Places
from tahona.serve.spool import Spool
from tahona.serve.troubles import is_silent, read_troubles
from tahona.testing.prediction_log_suite import a_prediction
from tahona.wiring import open_project

GATED = QUICK + "\n[gate]\nbeats_champion = false\nmin = { roc_auc = 0.5 }\n"


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions that passed the gate and one that did not; the second is champion. Copy it."""
    root = write_project(tmp_path_factory.mktemp("registered") / "quick", GATED)
    tahona.load(root).run()
    edit(root, "folds = 3", "folds = 3\nseed = 7")
    tahona.load(root).run()
    edit(root, "roc_auc = 0.5", "roc_auc = 0.9999")
    tahona.load(root).run()
    assert [version.gate_passed for version in open_project(root).ledger.versions("quick")] == [False, True, True]
    return root


@pytest.fixture
def root(registered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(registered, tmp_path / "quick"))


@pytest.fixture(scope="module")
def back(registered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Back]:
    """A back of a copy of that project, whose champion the tests may move."""
    root = Path(shutil.copytree(registered, tmp_path_factory.mktemp("back") / "quick"))
    with started_back(root) as back:
        yield back


def until(asked: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until it is so; return how long it took."""
    start = time.monotonic()
    while not asked():
        assert time.monotonic() - start < seconds, "it did not come to that"
        time.sleep(0.02)
    return time.monotonic() - start


def served(root: Path) -> int:
    """Return the version that the workers are told to answer with."""
    champion = read_champion(Places(root).champion)
    return 0 if champion is None else champion.version


def parts(root: Path) -> dict[str, str]:
    """Return what does not work, part by part."""
    return {trouble.part: trouble.what for trouble in read_troubles(Places(root).troubles)}


def said(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """Return the document of an answer; a problem is short and has an id."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 2_000
        assert document["status"] == status
        assert document["id"]
    return document


def events(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "serve.log").read_text("utf-8").splitlines()]


def stored(root: Path, version: int) -> Path:
    """Return the file of a version's bundle in the store."""
    digest = next(each.bundle_digest for each in open_project(root).ledger.versions("quick") if each.number == version)
    return root / ".tahona" / "artifacts" / "objects" / digest[:2] / digest


# What it shows


def test_it_says_what_it_is(back: Back) -> None:
    """The first page names the project, the label and where to read on; each link leads somewhere."""
    about = said(back.http.get("/"))
    assert (about["name"], about["predicts"], about["tahona"]) == ("quick", "label", tahona.__version__)
    for name, link in about["links"].items():
        if name != "predict":
            assert back.http.get(link).status_code == 200, link


def test_it_says_what_is_predicted_from_what(back: Back) -> None:
    """Columns with their kinds, classes with the positive one last, and no path and no address."""
    answer = back.http.get("/project-info")
    info = said(answer)
    assert (info["target"], info["labels"], info["positive"], info["metric"]) == (
        "label",
        ["no", "yes"],
        "yes",
        "roc_auc",
    )
    assert [(column["name"], column["kind"]) for column in info["columns"]] == [
        ("size", "numeric"),
        ("weight", "numeric"),
        ("colour", "category"),
    ]
    assert sorted(info["columns"][2]["levels"]) == ["blue", "green", "red"]
    assert info["raw_columns"] == ["size", "weight", "colour"]
    assert info["champion"]["version"] == served(back.root)
    assert str(back.root) not in answer.text


def test_it_lists_the_versions(back: Back) -> None:
    """The newest first, with metrics, the gate's verdict, and whether the workers can answer for them."""
    models = said(back.http.get("/models"))["models"]
    assert [(model["version"], model["gate_passed"]) for model in models] == [(3, False), (2, True), (1, True)]
    assert [model["version"] for model in models if "champion" in model["aliases"]] == [served(back.root)]
    assert all(0.5 < model["metrics"]["roc_auc"] <= 1 for model in models)
    assert "0.9999" in models[0]["gate_reasons"][0]
    assert all(model["compiled"] is not bool(model["slow"]) for model in models)


def test_it_shows_the_last_runs_leaderboard(back: Back) -> None:
    board = said(back.http.get("/leaderboard"))
    (last, *_) = open_project(back.root).ledger.runs("quick")
    assert (board["run"], board["chosen"]) == (last.id, last.chosen)
    assert {row["model"] for row in board["rows"]} >= {"tree", "logistic_regression", "dummy"}
    assert board["test"]["roc_auc"]["low"] <= board["test"]["roc_auc"]["value"]


def test_it_shows_the_report_of_the_champions_run(back: Back) -> None:
    """Not the one that lies in the folder, which is the last run's."""
    opened = open_project(back.root)
    page = back.http.get("/project/report")
    run = next(each.run for each in opened.ledger.versions("quick") if each.number == served(back.root))
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert run in page.text
    assert page.text != (back.root / "reports" / "report.html").read_text("utf-8")


def test_it_counts_for_prometheus(back: Back) -> None:
    text = back.http.get("/metrics").text
    assert f"tahona_champion_version {float(served(back.root))}" in text
    assert "tahona_spool_bytes" in text
    assert "tahona_predictions_logged_total" in text
    assert "# TYPE tahona_jobs gauge" in text


def test_the_document_lists_exactly_the_routes_that_the_workers_let_through(back: Back) -> None:
    """With the scope that each asks for; nothing is served that the table of access does not know."""
    paths = said(back.http.get("/openapi.json"))["paths"]
    found = {
        (method.upper(), path): {scope for way in operation["security"] for scopes in way.values() for scope in scopes}
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert found == {(route.method, route.path): {route.scope} if route.scope else set() for route in ROUTES}


def test_each_route_has_an_example(back: Back) -> None:
    """The page shows one for what is sent and for what is given; none is an empty promise."""
    from tahona.serve.back.docs_page import example_of

    document = said(back.http.get("/openapi.json"))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            contents = [operation.get("requestBody", {}).get("content", {})]
            contents += [each.get("content", {}) for status, each in operation["responses"].items() if status < "3"]
            for content in contents:
                for kind, media in content.items():
                    shown = (
                        media.get("example") or media.get("examples") or example_of(media.get("schema", {}), document)
                    )
                    assert shown not in (None, "", {}, []), (method, path, kind)


def test_the_page_needs_nothing_from_elsewhere(back: Back) -> None:
    """No script, no address of another host, and a policy that allows none; every route is on it."""
    page = back.http.get("/docs")
    assert "<script" not in page.text
    assert "src=" not in page.text
    assert "http://" not in page.text.replace("http://json-schema", "")
    assert "https://" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert all(f"<code>{route.path}</code>" in page.text for route in ROUTES)


# Who is champion


def test_a_version_is_promoted_at_once(back: Back) -> None:
    """When the answer is there, the workers have been told; they answer with it within a second."""
    before = served(back.root)
    other = 3 - before
    move = said(back.http.post("/models/quick/promote", json={"version": other}))
    assert (move["version"], move["previous"], move["action"], move["who"]) == (other, before, "promote", "api")
    assert move["served"] is True
    assert served(back.root) == other
    assert until(lambda: said(back.predict(ROW))["version"] == other) < 1
    back_again = said(back.http.post("/models/quick/rollback", json={"why": "it was slower"}))
    assert (back_again["version"], back_again["why"]) == (before, "it was slower")
    assert served(back.root) == before
    assert until(lambda: said(back.predict(ROW))["version"] == before) < 1


def test_the_history_names_the_key(root: Path) -> None:
    """Never the key itself, and nothing that a client says of itself."""
    key, secret = create_key(root, "Íñigo", ("read", "admin"))
    with started_back(root, secret) as back:
        headers = {"x-tahona-key": "somebody-else"}
        said(back.http.post("/models/quick/promote", json={"version": 1}, headers=headers))
    (*_, event) = open_project(root).ledger.history("quick")
    assert event.who == key.id


def test_the_gate_holds_here_too(back: Back) -> None:
    """A refused version stays refused, with the gate's reasons, unless a reason overrides them."""
    before = served(back.root)
    problem = said(back.http.post("/models/quick/promote", json={"version": 3}), 409)
    assert "did not pass the gate" in problem["detail"]
    assert "0.9999" in problem["detail"]
    assert problem["fix"].startswith('send "override"')
    assert served(back.root) == before
    said(back.http.post("/models/quick/promote", json={"version": 3, "override": "a trial week"}))
    assert served(back.root) == 3
    said(back.http.post("/models/quick/rollback"))
    (*_, override, _) = open_project(back.root).ledger.history("quick")
    assert (override.action, override.why) == ("override", "a trial week")


def test_the_first_promotion_of_a_server_takes_no_longer(root: Path) -> None:
    """What loading a bundle needs was imported by then."""
    with started_back(root) as back:
        until(lambda: any(line["event"] == "the back has loaded the champion" for line in events(root)))
        promote(open_project(root), "1")
        assert until(lambda: said(back.predict(ROW))["version"] == 1) < 1


@pytest.mark.parametrize(
    ("path", "body", "status", "where"),
    [
        ("/models/nosuch/promote", {"version": 1}, 404, "name"),
        ("/models/quick/promote", {"version": 9}, 404, "version"),
        ("/models/quick/promote", {"version": 0}, 422, "body.version"),
        ("/models/quick/promote", {"version": "2"}, 422, "body.version"),
        ("/models/quick/promote", {"version": 2**70}, 422, "body.version"),
        ("/models/quick/promote", {"version": 1, "secret": 1}, 422, "body"),
        ("/models/quick/promote", {"version": 1, "override": ""}, 422, "body.override"),
        ("/models/quick/promote", {}, 422, "body.version"),
        ("/models/nosuch/rollback", {}, 404, "name"),
        ("/models/quick/rollback", {"why": 5}, 422, "body.why"),
    ],
)
def test_what_cannot_be_promoted_is_told(back: Back, path: str, body: object, status: int, where: str) -> None:
    before = len(open_project(back.root).ledger.history("quick"))
    problem = said(back.http.post(path, json=body), status)
    assert problem["where"] == where
    assert "secret" not in json.dumps(problem)
    assert len(open_project(back.root).ledger.history("quick")) == before


def test_the_champion_is_not_promoted_again(back: Back) -> None:
    said(back.http.post("/models/quick/promote", json={"version": served(back.root)}), 409)


def test_nothing_to_go_back_to_is_told(tmp_path: Path) -> None:
    root = write_project(tmp_path / "quick")
    tahona.load(root).run()
    with started_back(root) as back:
        assert "no earlier champion" in said(back.http.post("/models/quick/rollback"), 409)["detail"]


def test_a_promotion_elsewhere_is_followed_within_a_second(back: Back) -> None:
    """Another process moves the alias, as the command does; forward and back again."""
    opened, before = open_project(back.root), served(back.root)
    promote(opened, str(3 - before))
    assert until(lambda: served(back.root) == 3 - before) < 1
    roll_back(opened)
    assert until(lambda: served(back.root) == before) < 1


def test_a_damaged_bundle_is_not_taken_up(root: Path) -> None:
    """The champion before stays, and it is told why; once the bytes are right again, it is taken up."""
    file = stored(root, 1)
    whole = file.read_bytes()
    file.chmod(0o644)
    with started_back(root) as back:
        for damaged in (whole[:500] + b"?" + whole[501:], whole[:-100], b""):
            file.write_bytes(damaged)
            move = said(back.http.post("/models/quick/promote", json={"version": 1}))
            assert (move["served"], served(root)) == (False, 2)
            assert parts(root) == {"champion": "the bundle of version 1 is damaged"}
            ready = back.http.get("/ready")
            assert (ready.status_code, ready.json()["version"]) == (200, 2)
            assert ready.json()["troubles"] == ["the bundle of version 1 is damaged"]
            assert str(root) not in ready.text
            said(back.http.post("/models/quick/rollback"))
            assert (served(root), parts(root)) == (2, {})
        log = (root / "serve.log").read_text("utf-8")
        assert log.count('"event": "trouble", "part": "champion"') == 3
        promote(open_project(root), "1")
        until(lambda: parts(root) != {})
        file.write_bytes(whole)
        until(lambda: (served(root), parts(root)) == (1, {}))


def test_a_bundle_that_is_gone_is_told(root: Path) -> None:
    """Going back to the version that works ends the trouble."""
    file = stored(root, 1)
    file.unlink()
    with started_back(root) as back:
        said(back.http.post("/models/quick/promote", json={"version": 1}))
        assert set(parts(root)) <= {"champion", "store"}
        assert parts(root)
        said(back.http.post("/models/quick/rollback"))
        assert parts(root) == {}
        assert said(back.http.get("/ready"))["troubles"] == []


def test_a_ledger_that_is_held_costs_nothing_but_the_news(root: Path) -> None:
    """The champion stays, `/ready` says it, a question is answered 503 in a few seconds, and all is well afterwards."""
    holder = """
        import sqlite3, sys
        database = sqlite3.connect(sys.argv[1], isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with started_back(root) as back:
        with started(holder, root / ".tahona" / "ledger.db"):
            until(lambda: "ledger" in parts(root))
            assert said(back.http.get("/ready"))["troubles"] == ["the ledger cannot be used"]
            assert said(back.http.get("/project-info"))["champion"]["version"] == served(root)
            before = time.monotonic()
            answer = back.http.get("/models")
            assert time.monotonic() - before < 5
            said(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
            assert str(root) not in answer.text
            assert not is_silent(Places(root).troubles)
        until(lambda: parts(root) == {})
        assert said(back.http.get("/ready"))["troubles"] == []
        assert back.http.get("/models").status_code == 200


def test_it_starts_while_the_ledger_is_away(root: Path) -> None:
    """It waits for the ledger, says so, and goes on when it is there."""
    ledger = root / ".tahona" / "ledger.db"
    aside = ledger.with_name("aside")
    ledger.rename(aside)
    ledger.mkdir()
    places = Places(root)
    import subprocess
    import sys

    with subprocess.Popen(
        [sys.executable, "-m", "tahona.serve.back.main", "--root", root, "--uds", root / "door"],
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until(lambda: places.troubles.exists() and "ledger" in parts(root))
            ledger.rmdir()
            aside.rename(ledger)
            until(lambda: served(root) == 2)
            assert parts(root) == {}
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_it_ends_when_its_parent_is_gone(root: Path) -> None:
    """Nobody has to look for a back whose server was killed."""
    parent = """
        import subprocess, sys, time
        from pathlib import Path
        root, door = map(Path, sys.argv[1:])
        back = subprocess.Popen([sys.executable, "-m", "tahona.serve.back.main", "--root", root, "--uds", door])
        while not door.exists():
            time.sleep(0.05)
        (root / "pid").write_text(str(back.pid))
        print("ready", flush=True)
        sys.stdin.readline()
    """
    with started(parent, root, root / "door") as process:
        back = Path("/proc") / (root / "pid").read_text()
        process.kill()
        until(lambda: not back.exists() or "Z" in (back / "stat").read_text().split()[2], 10)


# What was true


@pytest.fixture
def predicted(back: Back, request: pytest.FixtureRequest) -> list[str]:
    """Ids of three predictions that a worker has just made."""
    spool = Spool(Places(back.root).spool)
    names = [f"{request.node.name[:40]}-{number}" for number in range(3)]
    for name in names:
        spool.add([replace(a_prediction(), id=name, name="quick", label="yes")])
    spool.close()
    return names


def told(back: Back) -> dict[str, str | None]:
    with closing(sqlite3.connect(back.root / ".tahona" / "ledger.db")) as database:
        return dict(database.execute("SELECT id, truth FROM predictions"))


def test_the_truth_is_told_at_once(back: Back, predicted: list[str]) -> None:
    """A prediction on its way to the log is waited for; an id that nobody has is named."""
    truths = [{"id": predicted[0], "label": "no"}, {"id": predicted[1], "label": "yes"}, {"id": "x", "label": "no"}]
    answer = said(back.http.post("/feedback", json={"truths": truths}))
    assert answer == {"entered": 2, "unknown": ["x"]}
    known = told(back)
    assert [known[name] for name in predicted] == ["no", "yes", None]
    said(back.http.post("/feedback", json={"truths": [{"id": predicted[0], "label": "yes"}]}))
    assert told(back)[predicted[0]] == "yes"


def test_a_prediction_of_this_instant_can_be_told_the_truth(server: Server) -> None:
    """The worker has it in memory yet; nobody has to come again."""
    for _ in range(3):
        (row,) = server.predict(ROW).json()["predictions"]
        answer = server.client.post("/feedback", json={"truths": [{"id": row["id"], "label": "yes"}]})
        assert answer.json() == {"entered": 1, "unknown": []}


def test_a_label_that_is_no_class_is_refused(back: Back, predicted: list[str]) -> None:
    """With its place and the classes there are; nothing of the request is entered, and nothing of it repeated."""
    truths = [{"id": predicted[0], "label": "no"}, {"id": predicted[1], "label": "perhaps"}]
    problem = said(back.http.post("/feedback", json={"truths": truths}), 422)
    assert (problem["where"], problem["places"]) == ("truths.1.label", [1])
    assert "no, yes" in problem["fix"]
    assert "perhaps" not in json.dumps(problem)
    said(back.http.post("/feedback", json={"truths": truths[:1]}))
    assert told(back)[predicted[0]] == "no"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"truths": [' + b"9" * 5_000 + b"]}", 400),
        (b"", 422),
        (b"null", 422),
        (b'{"truths": []}', 422),
        (b'{"truths": [{"id": "a"}]}', 422),
        (b'{"truths": [{"id": "", "label": "no"}]}', 422),
        (b'{"truths": [{"id": "' + b"a" * 65 + b'", "label": "no"}]}', 422),
        (b'{"truths": [{"id": "a", "label": null}]}', 422),
        (b'{"truths": [{"id": "a", "label": NaN}]}', 422),
        (b'{"truths": [{"id": "a", "label": 1e999}]}', 422),
        (b'{"truths": [{"id": "a", "label": ["no"]}]}', 422),
        (b'{"truths": [{"id": "a", "label": "\\ud800"}]}', 422),
        (b'{"truths": [{"id": "a", "label": "no", "more": 1}]}', 422),
        (b'{"truths": [{"id": "a", "label": "' + b"s3cret" * 900_000 + b'"}]}', 422),
        (b'{"truths": [' + b'{"id": "a", "label": "no"},' * 10_000 + b'{"id": "a", "label": "no"}]}', 422),
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else None,
)
def test_feedback_of_any_shape_gets_a_short_answer(back: Back, body: bytes, status: int) -> None:
    """Never a fault of the server, never what was sent."""
    answer = back.http.post("/feedback", content=body, headers={"content-type": "application/json"})
    said(answer, status)
    assert "s3cret" not in answer.text


def test_an_id_that_cannot_be_text_is_unknown_or_refused(back: Back) -> None:
    """Half of a surrogate pair, or a NUL, is no id of ours."""
    for odd in (b"\\ud800", b"\\u0000", "🎲".encode()):
        body = b'{"truths": [{"id": "' + odd + b'", "label": "no"}]}'
        answer = back.http.post("/feedback", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 422), answer.text


def test_a_problem_has_the_id_that_the_log_has(back: Back) -> None:
    """Whoever asks for help names it; the workers' line and the back's both have it."""
    answer = back.http.post("/models/nosuch/promote", json={"version": 1})
    problem = said(answer, 404)
    assert problem["id"] == answer.headers["x-request-id"]
    until(lambda: problem["id"] in (back.root / "serve.log").read_text("utf-8"))
