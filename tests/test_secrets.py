"""No failure shows a secret: every file, database, log, message and row that it leaves is searched for each of them.

Home, temporary folder and project of the failing command are folders of the test; files that are packed are unpacked.
"""

from __future__ import annotations

import base64
import gzip
import signal
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from postgres_servers import PostgresServer, postgres_server
from projects import QUICK, Answer, Command, edit, write_project
from s3_servers import ADMIN, BUCKET, READER, S3Server, running

from tahona.lifecycle.environments import cache_folder

slow = pytest.mark.slow
WRONG = "s3cret-and-wrong"
DSN_PASSWORD = "s3cret/with@signs"
RUN = """
[run]
fuse = [["ingest", "clean", "split", "audit"], ["select", "evaluate", "register", "report"]]
retries = 1
retry_delay = "1 s"

[run.on_failure]
command = ["sh", "-c", "cat >> told.jsonl"]
"""
FRAGILE = '''"""Cleaning that ends a server, or fails with all that it knows in its words."""
import os


def fragile(table):
    if "KILL" in os.environ:
        process, how = os.environ["KILL"].split()
        os.kill(int(process), int(how))
    if "FAIL" in os.environ:
        raise ValueError(os.environ["LEDGER"] + os.environ["AWS_SECRET_ACCESS_KEY"])
    return table
'''


class Place:
    """A project, and a home and a temporary folder for whatever runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = write_project(folder / "quick", QUICK + RUN, fragile=FRAGILE)
        edit(self.project, 'source = "table.csv"', 'source = "table.csv"\nclean = ["fragile:fragile"]')
        for name in ("home", "tmp"):
            (folder / name).mkdir()

    def variables(self) -> dict[str, str]:
        """Return what keeps every file that a command may write inside the folder, but the environments made once."""
        return {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "DVC_SITE_CACHE_DIR": str(self.folder / "tmp" / "dvc"),
            "TAHONA_CACHE": str(cache_folder()),
            "METAFLOW_USER": "tester",
        }

    def stores(self) -> tuple[str, ...]:
        """Return the words that put artifacts below a prefix of their own, and the ledger where LEDGER says."""
        return "--set", f"stores.artifacts=s3://{BUCKET}/{self.folder.name}", "--set", "stores.ledger=${LEDGER}"

    def with_secret(self, secrets: set[str]) -> list[str]:
        """Return the files in which a secret stands, whether as it is, quoted, in base64 or packed."""
        forms = [form for secret in secrets for form in written(secret)]
        return sorted(
            str(file.relative_to(self.folder))
            for file in self.folder.rglob("*")
            if file.is_file() and any(form in content for content in contents(file) for form in forms)
        )


def written(secret: str) -> set[bytes]:
    """Return the forms in which a secret may stand in a file."""
    plain = secret.encode()
    return {plain, quote(secret, safe="").encode(), *(base64.b64encode(b"x" * n + plain)[4:-4] for n in range(3))}


def contents(file: Path) -> Iterator[bytes]:
    """Give the bytes of a file, and what they hold if they are packed or a database."""
    data = file.read_bytes()
    yield data
    if data.startswith(b"\x1f\x8b"):
        with suppress(EOFError):  # its writer was killed
            yield gzip.decompress(data)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            yield from map(packed.read, packed.namelist())
    if data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(file)) as database:
            yield "\n".join(database.iterdump()).encode()


def rows(server: PostgresServer, database: str) -> str:
    """Return every row of every table of a database, as text."""
    named = server.ask("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'", database=database)
    return "\n".join(
        row[0] for (table,) in named for row in server.ask(f"SELECT t::text FROM {table} t", database=database)
    )


def shown(secrets: set[str], *texts: str) -> set[str]:
    """Return the secrets that stand in the texts."""
    return {secret for secret in secrets for form in written(secret) if any(form.decode() in text for text in texts)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """A server of one's own, to be ended."""
    with postgres_server() as server:
        yield server


def test_the_search_finds_a_secret_in_every_form(place: Place) -> None:
    """Packed, quoted, in base64 at each of its three offsets, in a row of a database."""
    secrets = {DSN_PASSWORD}
    assert place.with_secret(secrets) == []
    (place.folder / "plain.log").write_text(f"password={DSN_PASSWORD}")
    (place.folder / "quoted").write_text(quote(DSN_PASSWORD, safe=""))
    (place.folder / "packed").write_bytes(gzip.compress(DSN_PASSWORD.encode()))
    for offset in range(3):
        (place.folder / f"base64-{offset}").write_bytes(base64.b64encode(b"z" * offset + DSN_PASSWORD.encode() + b"zz"))
    with zipfile.ZipFile(place.folder / "zipped", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inside", DSN_PASSWORD)
    with closing(sqlite3.connect(place.folder / "rows.db")) as database:
        database.execute("CREATE TABLE t (words TEXT)")
        database.execute("INSERT INTO t VALUES (?)", ["x" * 4090 + DSN_PASSWORD])  # over the end of a page
        database.commit()
    assert place.with_secret(secrets) == [
        *("base64-0", "base64-1", "base64-2", "packed", "plain.log", "quoted", "rows.db", "zipped")
    ]


def environment(s3: S3Server, postgres: PostgresServer, database: str) -> dict[str, str]:
    """Return what a project needs to have its artifacts on the one server and its ledger on the other."""
    user = f"hushed_{database}"
    postgres.user(user, "SUPERUSER", DSN_PASSWORD)
    return {**s3.environment(), "LEDGER": postgres.url(database, user, quote(DSN_PASSWORD, safe=""))}


SECRETS = {DSN_PASSWORD, WRONG, ADMIN[1], READER[1]}
REFUSED: dict[str, dict[str, str]] = {
    "S3, a wrong key": {"AWS_SECRET_ACCESS_KEY": WRONG},
    "PostgreSQL, a wrong password": {"LEDGER": f"postgresql://hushed:{WRONG}@{{host}}"},
    "MLflow in PostgreSQL, a wrong password": {"LEDGER": f"mlflow+postgresql://hushed:{WRONG}@{{host}}"},
    "MLflow's server, that is none": {"LEDGER": f"mlflow+http://hushed:{WRONG}@127.0.0.1:9"},
}


@slow
@pytest.mark.parametrize("variables", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_named_without_a_secret(
    variables: Mapping[str, str], place: Place, s3: S3Server, postgres: PostgresServer, tahona: Command
) -> None:
    database = postgres.database()
    host = f"127.0.0.1:{postgres.port}/{database}"
    known = environment(s3, postgres, database) | place.variables()
    known |= {name: value.replace("{host}", host) for name, value in variables.items()}
    for words in (("run", "--json"), ("run",), ("db", "check")):
        answer = tahona(*words, "-C", place.project, *place.stores(), env=known)
        assert answer.code in ({4} if words[0] == "run" else {0, 2, 4}), answer.stderr
        assert shown(SECRETS, answer.stdout, answer.stderr) == set()
    assert place.with_secret(SECRETS) == []
    assert shown(SECRETS, rows(postgres, database)) == set()


@slow
@pytest.mark.parametrize("kind", ["postgresql", "mlflow+postgresql"])
def test_a_ledgers_server_that_goes_in_mid_run_takes_no_secret_along(
    kind: str, place: Place, s3: S3Server, mortal: PostgresServer, tahona: Command
) -> None:
    """Exit 4; and the next run, with the server back, ends well and leaves none either."""
    database = mortal.database()
    known = environment(s3, mortal, database) | place.variables()
    known["LEDGER"] = known["LEDGER"].replace("postgresql", kind, 1)
    words = ("run", "-C", place.project, *place.stores())
    failed = tahona(*words, env={**known, "KILL": f"{mortal.pid} {signal.SIGQUIT.value}"})
    assert failed.code == 4, failed.stderr
    mortal.stop()  # it has ended; nobody has waited for it yet
    mortal.start()
    done = tahona(*words, env=known)
    assert done.code == 0, done.stderr
    assert shown(SECRETS, *failed[1:], *done[1:], rows(mortal, database)) == set()
    assert (place.project / "reports" / "report.html").is_file()
    assert place.with_secret(SECRETS) == []
    assert in_bucket(s3) == []


@slow
def test_a_bucket_that_goes_in_mid_run_takes_no_secret_along(
    tmp_path_factory: pytest.TempPathFactory, place: Place, postgres: PostgresServer, tahona: Command
) -> None:
    database = postgres.database()
    with running(tmp_path_factory.mktemp("mortal")) as server:
        known = environment(server, postgres, database) | place.variables()
        answer = tahona(
            "run", "-C", place.project, *place.stores(), env={**known, "KILL": f"{server.pid} {signal.SIGKILL.value}"}
        )
        assert answer.code == 4, answer.stderr
        assert shown(SECRETS, *answer[1:], rows(postgres, database)) == set()
        assert place.with_secret(SECRETS) == []


@slow
@pytest.mark.parametrize("name", ["local", "prefect", "metaflow", "airflow", "dvc"])
def test_a_task_that_fails_under_an_orchestrator_leaves_no_secret(
    name: str, place: Place, s3: S3Server, postgres: PostgresServer, tahona: Command
) -> None:
    """Password and key are in the environment, and in the words of the error that the project's own function raises.

    Searched: what the command says, the exported file, the orchestrator's databases and logs, what a hook is told.
    """
    database = postgres.database()
    known = environment(s3, postgres, database) | place.variables()
    said: list[Answer] = []
    if name != "local":
        exported = tahona("export", name, "-C", place.project, *place.stores(), env=known)
        assert exported.code == 0, exported.stderr
        said.append(exported)
    for fail in ({"FAIL": "1"}, {}):
        answer = tahona("run", "-C", place.project, "--on", name, *place.stores(), env={**known, **fail})
        assert answer.code == (2 if fail else 0), answer.stderr
        said.append(answer)
    assert (place.project / "told.jsonl").is_file()
    assert shown(SECRETS, *(text for answer in said for text in answer[1:]), rows(postgres, database)) == set()
    assert place.with_secret(SECRETS) == []
    assert in_bucket(s3) == []


def in_bucket(s3: S3Server) -> list[str]:
    """Return the keys below which a secret stands."""
    client, forms = s3.client(), [form for secret in SECRETS for form in written(secret)]
    found = ((key, client.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in s3.keys(""))
    return [key for key, body in found if any(form in body for form in forms)]
