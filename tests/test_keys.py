"""Keys of the HTTP API: made by a command, shown once, asked for at every route by its scope."""

import json
import stat

import httpx
import pytest
from serving import ROW, copied, serving, until

from tahona.serve.access import ROUTES, SCOPES
from tahona.serve.keys import create_key, find_key, keys_file, read_keys, remove_key


@pytest.fixture(scope="module")
def keyed(trained, tmp_path_factory):
    """A server whose project has one key per scope, and one for nothing but predictions that was removed."""
    folder = copied(trained, tmp_path_factory.mktemp("keyed") / "quick")
    keys = {scope: create_key(folder, f"for {scope}", [scope])[1] for scope in SCOPES}
    keys["removed"] = create_key(folder, "gone", list(SCOPES))[1]
    remove_key(folder, "gone")
    with serving(folder) as server:
        yield server, keys


def test_a_key_is_shown_once_and_its_file_holds_no_secret(project, here):
    made = here("keys", "create", "web shop", "--scope", "predict", "--scope", "read", "-C", project, "--json")
    assert made.code == 0, made.stderr
    key = made.document["key"]
    prefix, name, secret = key.split("_", 2)
    assert (prefix, name) == ("tahona", made.document["id"])
    assert len(secret) >= 43
    file = keys_file(project)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in file.read_text("utf-8")
    listed = here("keys", "list", "-C", project, "--json")
    assert secret not in listed.stdout
    assert listed.document["keys"] == [
        {
            "id": name,
            "name": "web shop",
            "scopes": ["predict", "read"],
            "created": listed.document["keys"][0]["created"],
            "last": secret[-4:],
        }
    ]


def test_a_removed_key_is_gone_and_others_stay(project, here):
    first, second = (create_key(project, name, ["read"]) for name in ("one", "two"))
    assert here("keys", "remove", first[0].id, "-C", project).code == 0
    assert list(read_keys(keys_file(project))) == [second[0].id]
    assert here("keys", "remove", "one", "-C", project).code == 2


@pytest.mark.parametrize(
    "words", [("ann",), ("ann", "--scope", "everything"), ("", "--scope", "read"), ("taken", "--scope", "read")]
)
def test_a_key_that_cannot_be_made_is_refused(project, here, words):
    create_key(project, "taken", ["read"])
    assert here("keys", "create", *words, "-C", project).code == 2


def test_only_the_whole_key_is_that_key(project):
    key, text = create_key(project, "ann", ["read"])
    keys = read_keys(keys_file(project))
    assert find_key(keys, text.encode()) == key
    wrong = [
        text[:-1],
        text + "a",
        text.replace("tahona", "Tahona"),
        text.replace(key.id, "00000000"),
        "",
        "_",
        "é_é_é",
    ]
    assert [find_key(keys, each.encode()) for each in wrong] == [None] * len(wrong)


def test_a_damaged_file_of_keys_is_refused(project, here):
    create_key(project, "ann", ["read"])
    keys_file(project).write_text('{"format": 1, "keys": [{"id": 3}]}', "utf-8")
    answer = here("keys", "list", "-C", project)
    assert answer.code == 5
    assert "damaged" in answer.stderr


def asked(server, route, key):
    path = route.path.replace("{id}", "nothing").replace("{name}", "nothing")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.request(route.method, f"{server.address}{path}", headers=headers, trust_env=False, timeout=30)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_asks_for_a_key_with_its_scope(keyed, route):
    server, keys = keyed
    for key in ("", "tahona_00000000_" + "x" * 43, keys["removed"]):
        answer = asked(server, route, key)
        assert (answer.status_code == 401) == (route.scope is not None), answer.text
    for scope in set(SCOPES) - {route.scope}:
        assert (asked(server, route, keys[scope]).status_code == 403) == (route.scope is not None)
    if route.scope is not None:
        assert asked(server, route, keys[route.scope]).status_code not in (401, 403)


@pytest.mark.parametrize("path", ["/models/health", "/jobs/health", "/health/", "/x/ready", "//health", "/health;x"])
def test_a_path_that_ends_like_a_public_one_is_not_public(keyed, path):
    server, _ = keyed
    assert httpx.get(f"{server.address}{path}", trust_env=False).status_code in (401, 404, 405)


def test_a_key_may_stand_in_a_header_of_its_own(keyed):
    server, keys = keyed
    headers = {"x-api-key": keys["predict"]}
    answer = httpx.post(f"{server.address}/predict", json=ROW, headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    basic = {"authorization": f"Basic {keys['predict']}"}
    assert httpx.post(f"{server.address}/predict", json=ROW, headers=basic, trust_env=False).status_code == 401


def test_a_running_server_learns_of_keys_that_come_and_go(keyed):
    server, _ = keyed
    key, text = create_key(server.folder, "late", ["predict"])
    headers = {"x-api-key": text}

    def status():
        return httpx.post(f"{server.address}/predict", json=ROW, headers=headers, trust_env=False).status_code

    until(lambda: status() == 200, seconds=1)
    remove_key(server.folder, key.id)
    until(lambda: status() == 401, seconds=1)


def test_the_log_has_the_keys_id_and_never_the_key(keyed):
    server, keys = keyed
    httpx.post(f"{server.address}/predict", json=ROW, headers={"x-api-key": keys["predict"]}, trust_env=False)
    name = keys["predict"].split("_")[1]
    until(lambda: any(line["key"] == name and line["status"] == 200 for line in server.lines("request")))
    text = server.log.read_text("utf-8")
    assert not any(key.split("_", 2)[2] in text for key in keys.values())


def test_an_address_that_others_reach_needs_keys(trained, tmp_path, tahona):
    folder = copied(trained, tmp_path / "quick")
    refused = tahona("serve", "-C", folder, "--host", "0.0.0.0", "--port", "0", "--json")
    assert refused.code == 3
    assert "tahona keys create" in json.loads(refused.stdout)["error"]["fix"]
