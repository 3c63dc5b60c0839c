"""`tahona db setup`, `db check` and `db upgrade`, on real files and on a real PostgreSQL."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import PostgresServer
from projects import Answer, Command, write_project

from tahona.ledgers.engine import REVISIONS
from tahona.ledgers.sql import SqlLedger

OLD = Path(__file__).parent / "assets" / "ledger_0001.db"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A project whose environments `local`, `test` and `prod` keep their ledgers in different places."""

    def write(test: str = "", prod: str = "") -> Path:
        monkeypatch.setenv("TEST_LEDGER", test)
        monkeypatch.setenv("PROD_LEDGER", prod)
        folder = write_project(tmp_path / "quick")
        with (folder / "tahona.toml").open("a") as file:
            file.write('\n[env.local.stores]\nledger = "sqlite:///.tahona/local.db"\n')
            if test:
                file.write('[env.test.stores]\nledger = "${TEST_LEDGER}"\n')
            if prod:
                file.write('[env.prod.stores]\nledger = "${PROD_LEDGER}"\n')
        return folder

    return write


def kept_apart(answer: Answer, secret: str) -> dict[str, Any]:
    assert secret not in answer.stdout + answer.stderr
    return answer.document


def test_setup_makes_the_ledger_of_each_environment(
    here: Command, place: Callable[..., Path], postgres: PostgresServer
) -> None:
    """A file, and two databases that are not there yet; the second time nothing is done."""
    folder = place(postgres.url("setup_test"), postgres.url("set-up_Prod"))
    for env in ("local", "test", "prod"):
        first = kept_apart(here("db", "setup", "-C", folder, "--env", env, "--json"), postgres.password)
        assert (first["created"], first["before"], first["after"]) == (True, "", REVISIONS[-1])
        again = here("db", "setup", "-C", folder, "--env", env, "--json").document
        assert (again["created"], again["before"], again["after"]) == (False, REVISIONS[-1], REVISIONS[-1])
    assert (folder / ".tahona" / "local.db").is_file()
    for name in ("setup_test", "set-up_Prod"):
        found = postgres.ask(
            "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = %s", name
        )
        assert found == [("UTF8", "C")]
        assert ("metricas",) in postgres.ask("SELECT viewname FROM pg_views", database=name)


def test_setup_says_what_it_did(here: Command, place: Callable[..., Path], postgres: PostgresServer) -> None:
    folder = place(postgres.url("setup_said"))
    first, again = (here("db", "setup", "-C", folder, "--env", "test") for _ in range(2))
    shown = f"postgresql://keeper:***@127.0.0.1:{postgres.port}/setup_said"
    assert first.stdout == f"{shown}: made the database; made its tables (revision {REVISIONS[-1]})\n"
    assert again.stdout == f"{shown}: its tables are up to date (revision {REVISIONS[-1]})\n"


def test_who_may_not_make_databases_is_told(
    here: Command, place: Callable[..., Path], postgres: PostgresServer
) -> None:
    password = postgres.user("modest")
    folder = place(postgres.url("never_made", "modest", password))
    answer = here("db", "setup", "-C", folder, "--env", "test", "--json")
    assert answer.code == 4
    assert "permission denied" in kept_apart(answer, password)["error"]["what"]
    assert "administrator" in answer.document["error"]["fix"]
    assert postgres.ask("SELECT 1 FROM pg_database WHERE datname = 'never_made'") == []


def test_setup_with_a_wrong_password_says_so(
    here: Command, place: Callable[..., Path], postgres: PostgresServer
) -> None:
    folder = place(postgres.url("never_made", password="s3cret-wrong"))
    answer = here("db", "setup", "-C", folder, "--env", "test", "--json")
    assert answer.code == 4
    assert "password authentication failed" in kept_apart(answer, "s3cret-wrong")["error"]["what"]


def test_check_says_what_works(here: Command, place: Callable[..., Path], postgres: PostgresServer) -> None:
    """Where, as whom, which revision, reading, writing; and it leaves nothing behind."""
    name = postgres.database()
    folder = place(postgres.url(name))
    assert here("db", "setup", "-C", folder, "--env", "test").code == 0
    answer = here("db", "check", "-C", folder, "--env", "test", "--json")
    assert answer.code == 0
    checks = kept_apart(answer, postgres.password)["checks"]
    assert list(checks) == ["reached", "tables", "read", "write"]
    assert all(check["ok"] for check in checks.values())
    assert checks["reached"]["says"].startswith("PostgreSQL ")
    assert checks["reached"]["says"].endswith(f"as keeper, database {name}")
    assert checks["tables"]["says"] == f"revision {REVISIONS[-1]}"
    for table in ("runs", "params", "metrics", "steps", "versions", "aliases", "events"):
        assert postgres.ask(f"SELECT count(*) FROM {table}", database=name) == [(0,)]
    shown = here("db", "check", "-C", folder, "--env", "test").stdout
    assert f"postgresql://keeper:***@127.0.0.1:{postgres.port}/{name}" in shown
    assert f"revision {REVISIONS[-1]}" in shown


def failed(answer: Answer) -> str:
    """Return which check said no; those before it said yes, those after it were not asked."""
    assert answer.code == 4
    assert answer.document["error"]["fix"]
    checks = answer.document["checks"]
    *before, last = checks
    assert all(checks[name]["ok"] for name in before)
    assert not checks[last]["ok"]
    return last


def test_check_says_loudly_what_does_not_work(
    here: Command, place: Callable[..., Path], postgres: PostgresServer
) -> None:
    """No server, no database, no tables, no right to read, no right to write: each by its name, with exit code 4."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    name, password = postgres.database(), postgres.user("guest")

    def check(address: str) -> Answer:
        answer = here("db", "check", "-C", place(address), "--env", "test", "--json")
        assert postgres.password not in answer.stdout + answer.stderr
        assert password not in answer.stdout + answer.stderr
        return answer

    assert failed(check(f"postgresql://guest:{password}@127.0.0.1:{port}/x")) == "reached"
    missing = check(postgres.url("missing"))
    assert failed(missing) == "reached"
    assert "tahona db setup" in missing.document["error"]["fix"]
    assert failed(check(postgres.url(name))) == "tables"
    SqlLedger(postgres.url(name))
    postgres.ask("GRANT SELECT ON alembic_version, aliases TO guest", database=name)
    assert failed(check(postgres.url(name, "guest", password))) == "read"
    postgres.ask("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest", database=name)
    assert failed(check(postgres.url(name, "guest", password))) == "write"
    postgres.ask("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest", database=name)
    assert failed(check(postgres.url(name, "guest", password))) == "write"  # not yet the sequence of the history
    postgres.ask("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO guest", database=name)
    assert check(postgres.url(name, "guest", password)).code == 0


def test_check_of_a_file_makes_none(here: Command, place: Callable[..., Path]) -> None:
    folder = place()
    answer = here("db", "check", "-C", folder, "--env", "local", "--json")
    assert failed(answer) == "reached"
    assert not (folder / ".tahona").exists()
    assert here("db", "setup", "-C", folder, "--env", "local").code == 0
    answer = here("db", "check", "-C", folder, "--env", "local", "--json")
    assert answer.document["checks"]["reached"]["says"].startswith("SQLite 3.")
    (folder / ".tahona" / "local.db").write_bytes(b"no database at all" * 100)
    assert failed(here("db", "check", "-C", folder, "--env", "local", "--json")) == "reached"


def test_upgrade_brings_an_old_ledger_up_to_date(here: Command, place: Callable[..., Path]) -> None:
    """The check says that it is old; upgrading keeps its run, and gives it a row of its chosen model."""
    folder = place()
    (folder / ".tahona").mkdir()
    file = Path(shutil.copy(OLD, folder / ".tahona" / "local.db"))
    checked = here("db", "check", "-C", folder, "--env", "local", "--json")
    assert failed(checked) == "tables"
    assert checked.document["error"]["fix"] == "tahona db upgrade"
    change = here("db", "upgrade", "-C", folder, "--env", "local", "--json").document
    assert (change["before"], change["after"]) == ("0001", REVISIONS[-1])
    assert here("db", "check", "-C", folder, "--env", "local").code == 0
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT id, model, round(f1_score, 4), round(auc, 4) FROM metricas").fetchall()
    assert rows == [(1, "logistic_regression", 0.9764, 0.9979)]


def test_upgrade_of_nothing_says_what_to_do(
    here: Command, place: Callable[..., Path], postgres: PostgresServer
) -> None:
    folder = place(postgres.url(postgres.database()))
    answer = here("db", "upgrade", "-C", folder, "--env", "test")
    assert answer.code == 4
    assert "tahona db setup" in answer.stderr


def test_upgrade_of_a_servers_tables_lets_the_ledger_be_used_again(
    here: Command, place: Callable[..., Path], postgres: PostgresServer
) -> None:
    name = postgres.database()
    folder = place(postgres.url(name))
    assert here("db", "setup", "-C", folder, "--env", "test").code == 0
    for statement in (
        "DROP TABLE predictions",
        "DROP VIEW metricas",
        "DROP TRIGGER events_append_only ON events",
        "DROP FUNCTION tahona_events_append_only",
        "ALTER TABLE versions DROP COLUMN seal",
        "ALTER TABLE events DROP COLUMN seal",
        "UPDATE alembic_version SET version_num = '0001'",
    ):
        postgres.ask(statement, database=name)
    refused = here("runs", "-C", folder, "--env", "test")
    assert refused.code == 4
    assert "tahona db upgrade" in refused.stderr
    assert f"0001 to {REVISIONS[-1]}" in here("db", "upgrade", "-C", folder, "--env", "test").stdout
    assert here("runs", "-C", folder, "--env", "test").code == 0


def test_a_ledger_without_tables_of_tahonas_is_told(here: Command, place: Callable[..., Path]) -> None:
    """MLflow makes its own; these commands are not for it."""
    answer = here("db", "check", "-C", place(), "--set", "stores.ledger=mlflow+sqlite:///mlflow.db", "--json")
    assert answer.code == 2
    assert "postgresql://" in answer.document["error"]["fix"]
