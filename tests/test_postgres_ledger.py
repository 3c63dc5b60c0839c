"""The ledger in a real PostgreSQL: looked at with psycopg; real processes, really killed; no password anywhere."""

from __future__ import annotations

import gc
import random
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace

import pytest
from postgres_servers import PostgresServer, postgres_server
from processes import race, started
from races import assert_numbers_without_gap_or_double, assert_one_of_these_is_promoted

from tahona.errors import InputError, SetupError
from tahona.ledgers.engine import REVISIONS
from tahona.ledgers.sql import SqlLedger
from tahona.testing import LedgerContract
from tahona.testing.ledger_suite import a_move, a_run, a_version


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The name of an empty database."""
    return postgres.database()


@pytest.fixture
def url(postgres: PostgresServer, database: str) -> str:
    return postgres.url(database)


class TestPostgresLedger(LedgerContract):
    @pytest.fixture
    def ledger(self, url: str) -> SqlLedger:
        return SqlLedger(url)


HOLDER = """
    import sys
    from tahona.ledgers.engine import SqlDatabase
    from tahona.ledgers.registry import insert_version
    from tahona.testing.ledger_suite import a_version
    def half(connection):
        added = insert_version(connection, a_version("hotel-half"))
        print("ready", flush=True)
        sys.stdin.readline()
        return added
    print(SqlDatabase(sys.argv[1], patience=float(sys.argv[2])).write(half).number, flush=True)
"""


def refused(url: str) -> SetupError:
    """Return how an address is refused; nothing that can be printed of it shows the password."""
    secret = url.partition("://")[2].partition("@")[0].partition(":")[2]
    with pytest.raises(SetupError) as caught:
        SqlLedger(url, patience=1).save_run(a_run())
    error = caught.value
    assert error.exit_code == 4
    assert error.fix
    assert secret not in "".join(traceback.format_exception(error)) + str(error) + repr(error)
    return error


def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    """On PostgreSQL, too, the files of `migrations/versions` and the tables' definition agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    from tahona.ledgers.tables import METADATA

    SqlLedger(url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_postgres_is_another_name_of_the_same(url: str) -> None:
    SqlLedger(url).save_run(a_run())
    ledger = SqlLedger(url.replace("postgresql://", "postgres://"))
    assert list(ledger.runs()) == [a_run()]
    assert ledger.place.startswith("postgresql://keeper:***@127.0.0.1:")


def test_processes_that_register_at_once_get_numbers_without_gap_or_double(url: str) -> None:
    assert_numbers_without_gap_or_double(url, "psycopg")


def test_a_run_saved_and_a_version_added_by_many_processes_stand_once(url: str) -> None:
    """The same ten runs, saved and registered by three processes at once, are ten runs and ten versions."""
    racer = """
        import sys
        from tahona.ledgers.sql import SqlLedger
        from tahona.testing.ledger_suite import a_run, a_version
        ledger = SqlLedger(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        for turn in range(10):
            ledger.save_run(a_run(turn))
        print(*[ledger.add_version(a_version(f"hotel-{turn}")).number for turn in range(10)], flush=True)
    """
    ledger = SqlLedger(url)
    assert race(racer, *((url,) for _ in range(3))) == ["1 2 3 4 5 6 7 8 9 10\n"] * 3
    assert list(ledger.runs()) == [a_run(turn) for turn in range(9, -1, -1)]
    assert len(ledger.versions("hotel")) == 10


def test_of_two_promotions_at_once_one_is_refused(url: str) -> None:
    assert_one_of_these_is_promoted(url, (2, 3, 4))


def test_a_move_whose_answer_was_lost_is_made_once(url: str) -> None:
    """A server that ends just after it committed leaves the client to ask again: it is no second move."""
    ledger = SqlLedger(url)
    ledger.add_version(a_version())
    for _ in range(2):
        ledger.move_alias(a_move(1, 0))
    assert list(ledger.history("hotel")) == [a_move(1, 0)]


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_save_leaves_the_old_or_the_new(url: str, postgres: PostgresServer) -> None:
    """Killed again and again in the middle, a writer leaves one whole run, and no lock that others wait for."""
    writer = """
        import sys
        from dataclasses import replace
        from tahona.ledgers.sql import SqlLedger
        from tahona.testing.ledger_suite import a_run
        small = a_run()
        large = replace(small, params={f"name {n}": "x" * 500 for n in range(800)}, leaderboard=small.leaderboard * 400)
        ledger = SqlLedger(sys.argv[1])
        ledger.save_run(small)
        print("ready", flush=True)
        while True:
            ledger.save_run(large)
            ledger.save_run(small)
    """
    small, chance = a_run(), random.Random(3)
    large = replace(small, params={f"name {n}": "x" * 500 for n in range(800)}, leaderboard=small.leaderboard * 400)
    ledger = SqlLedger(url, patience=5)
    seen: list[bool] = []
    while len(seen) < 6 or (len(seen) < 40 and len(set(seen)) < 2):
        with started(writer, url) as process:
            time.sleep(chance.uniform(0.0, 0.15))
            process.kill()
        (run,) = ledger.runs()
        assert run in (small, large)
        seen.append(run == large)
        ledger.add_version(a_version())  # takes the lock
    assert {True, False} == set(seen)


def test_a_writer_killed_with_the_lock_in_its_hand_leaves_nothing(url: str) -> None:
    """Its half transaction is gone with it, and the next writer does not wait."""
    ledger = SqlLedger(url, patience=5)
    with started(HOLDER, url, 30) as process:
        with pytest.raises(SetupError, match="lock timeout") as caught:
            SqlLedger(url, patience=0.2).add_version(a_version())
        assert "another process" in caught.value.fix
        process.kill()
    assert ledger.add_version(a_version("hotel-1")).number == 1
    assert [version.run for version in ledger.versions("hotel")] == ["hotel-1"]


def test_a_writer_that_sleeps_with_the_lock_in_its_hand_loses_it(url: str) -> None:
    """A machine that is suspended, or cut off, does not stop the others; awake again, it does its work anew."""
    ledger = SqlLedger(url, patience=20)
    with started(HOLDER, url, 1.5) as process:
        process.send_signal(signal.SIGSTOP)
        assert ledger.add_version(a_version("hotel-1")).number == 1
        process.send_signal(signal.SIGCONT)
        assert process.communicate("go on\ngo on\n", timeout=30)[0] == "ready\n2\n"
    assert [version.run for version in ledger.versions("hotel")] == ["hotel-half", "hotel-1"]


def test_the_history_cannot_be_rewritten(url: str, database: str, postgres: PostgresServer) -> None:
    """Not even by the database's owner with another program, unless he takes the trigger away."""
    import psycopg

    ledger = SqlLedger(url)
    ledger.add_version(a_version())
    ledger.move_alias(a_move(1, 0))
    for statement in ("UPDATE events SET who = 'nobody'", "DELETE FROM events", "TRUNCATE events"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            postgres.ask(statement, database=database)
    assert list(ledger.history("hotel")) == [a_move(1, 0)]


def test_any_client_reads_the_view_metricas(url: str, database: str, postgres: PostgresServer) -> None:
    """One row per candidate of each finished run; a run that failed has none."""
    ledger = SqlLedger(url)
    ledger.save_run(a_run(1))
    ledger.save_run(replace(a_run(2), status="failed"))
    ledger.save_run(a_run(3))
    rows = postgres.ask(
        "SELECT id, model, precision, recall, f1_score, run_id, auc, time FROM metricas ORDER BY id", database=database
    )
    first, third = a_run(1).finished, a_run(3).finished
    assert rows == [
        (1, "tree", None, None, 0.5, "hotel-1", 0.1 + 0.2, first),
        (2, "svc", 1.0, None, None, "hotel-1", 0.25, first),
        (3, "tree", None, None, 0.5, "hotel-3", 0.1 + 0.2, third),
        (4, "svc", 1.0, None, None, "hotel-3", 0.25, third),
    ]


def test_an_older_ledger_waits_for_the_command_that_upgrades_it(
    url: str, database: str, postgres: PostgresServer
) -> None:
    """Others may work with it in an older Tahona: a server's tables change when somebody says so."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", "tahona.ledgers:migrations")
    config.set_main_option("path_separator", "os")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    assert "tahona db upgrade" in refused(url).fix
    assert postgres.ask("SELECT version_num FROM alembic_version", database=database) == [("0001",)]


def test_another_programs_tables_are_left_alone(url: str, database: str, postgres: PostgresServer) -> None:
    postgres.ask("CREATE TABLE alembic_version (version_num text)", database=database)
    postgres.ask("INSERT INTO alembic_version VALUES ('1bd49d398cd23')", database=database)
    assert "another program" in refused(url).what
    postgres.ask("DROP TABLE alembic_version", database=database)
    postgres.ask("CREATE TABLE runs (mine text)", database=database)
    assert "database of its own" in refused(url).fix
    names = postgres.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=database)
    assert names == [("runs",)]


def test_a_schema_of_its_own_is_enough(url: str, database: str, postgres: PostgresServer) -> None:
    """Beside another program's tables of the same names."""
    postgres.ask("CREATE TABLE runs (theirs text)", database=database)
    postgres.ask("CREATE TABLE alembic_version (version_num text)", database=database)
    postgres.ask("CREATE SCHEMA ml", database=database)
    SqlLedger(f"{url}?options=-csearch_path%3Dml").save_run(a_run())
    assert list(SqlLedger(f"{url}?options=-csearch_path%3Dml").runs()) == [a_run()]
    assert postgres.ask("SELECT * FROM runs", database=database) == []
    assert postgres.ask("SELECT id FROM ml.runs", database=database) == [("hotel-1",)]


def test_no_server_is_told_at_once(postgres: PostgresServer) -> None:
    before = time.monotonic()
    error = refused(f"postgresql://ana:s3cret-word@127.0.0.1:{unused_port()}/ledger")
    assert time.monotonic() - before < 5
    assert "start the server" in error.fix
    assert error.where.startswith("postgresql://ana:***@127.0.0.1:")


def test_a_host_that_nobody_knows_is_told() -> None:
    assert "host" in refused("postgresql://ana:s3cret-word@nowhere.invalid/ledger").fix


def test_a_wrong_password_is_told(postgres: PostgresServer, database: str) -> None:
    error = refused(postgres.url(database, password="s3cret-wrong"))
    assert "password authentication failed" in error.what
    assert "${PASSWORD}" in error.fix


def test_a_missing_database_is_told(postgres: PostgresServer) -> None:
    error = refused(postgres.url("nowhere"))
    assert '"nowhere" does not exist' in error.what
    assert "tahona db setup" in error.fix


def test_a_user_without_rights_is_told(postgres: PostgresServer, database: str) -> None:
    """In a new database, and in a ledger that others made."""
    url = postgres.url(database, "reader", postgres.user("reader"))
    error = refused(url)
    assert "permission denied" in error.what
    assert "GRANT" in error.fix
    SqlLedger(postgres.url(database)).save_run(a_run())
    assert "permission denied" in refused(url).what
    postgres.ask("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database=database)
    assert list(SqlLedger(url).runs()) == [a_run()]
    assert "permission denied" in refused(url).what


def test_a_server_that_only_reads_is_told(postgres: PostgresServer, database: str) -> None:
    SqlLedger(postgres.url(database))
    postgres.ask(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    error = refused(postgres.url(database))
    assert "read-only" in error.what
    assert "standby" in error.fix


def test_no_value_of_a_run_stands_in_an_error(url: str, database: str, postgres: PostgresServer) -> None:
    """What the server complains about is named, what was to be written is not, nor in the traceback."""
    SqlLedger(url)
    said = "Anna Pérez, depresión"
    postgres.ask("ALTER TABLE runs ADD CONSTRAINT short CHECK (length(error) < 5)", database=database)
    with pytest.raises(SetupError, match="short") as caught:
        SqlLedger(url).save_run(replace(a_run(), error=said))
    assert said not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ana:s3cret@word@localhost/ledger",
        "postgresql://ana:s3cret@localhost:port/ledger",
        "postgresql://ana:s3cret@localhost",
    ],
)
def test_an_address_that_cannot_be_meant_is_told_without_it(address: str) -> None:
    with pytest.raises(InputError) as caught:
        SqlLedger(address)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert "word" not in str(caught.value).replace("password", "")


@pytest.fixture
def fragile() -> Iterator[PostgresServer]:
    """A server of one's own, to be stopped."""
    with postgres_server() as server:
        yield server


@pytest.mark.slow
def test_a_server_that_is_restarted_again_and_again_is_waited_for(fragile: PostgresServer) -> None:
    """Twenty immediate restarts while a process saves, registers and promotes: nothing is lost, nothing is doubled."""
    writer = """
        import select, sys
        from tahona.ledgers.sql import SqlLedger
        from tahona.testing.ledger_suite import a_move, a_run, a_version
        ledger = SqlLedger(sys.argv[1])
        print("ready", flush=True)
        turn = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            turn += 1
            ledger.save_run(a_run(turn % 60, f"project{turn}"))
            assert ledger.add_version(a_version(f"hotel-{turn}")).number == turn
            ledger.move_alias(a_move(turn, turn - 1))
        print(turn, flush=True)
    """
    url, chance = fragile.url(fragile.database()), random.Random(5)
    with started(writer, url) as process:
        for _ in range(20):
            time.sleep(chance.uniform(0.05, 0.4))
            fragile.restart()
        turns = int(process.communicate("enough\n", timeout=60)[0])
    assert turns > 2  # a busy machine makes few turns between two restarts
    ledger = SqlLedger(url)
    written = [a_run(turn % 60, f"project{turn}") for turn in range(1, turns + 1)]
    assert sorted(ledger.runs(), key=lambda run: run.id) == sorted(written, key=lambda run: run.id)
    assert [version.number for version in ledger.versions("hotel")] == list(range(turns, 0, -1))
    moves = [(event.previous, event.version) for event in ledger.history("hotel")]
    assert moves == [(number - 1, number) for number in range(1, turns + 1)]


def test_a_server_that_does_not_come_back_is_told(fragile: PostgresServer) -> None:
    ledger = SqlLedger(fragile.url(fragile.database()), patience=0.5)
    ledger.save_run(a_run())
    fragile.stop(signal.SIGQUIT)
    with pytest.raises(SetupError) as caught:
        ledger.save_run(a_run(2))
    assert "start the server" in caught.value.fix
    assert fragile.password not in "".join(traceback.format_exception(caught.value))
    fragile.start()
    assert list(ledger.runs()) == [a_run()]


def unused_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def test_the_newest_revision_is_what_a_new_database_gets(url: str, database: str, postgres: PostgresServer) -> None:
    SqlLedger(url)
    assert postgres.ask("SELECT version_num FROM alembic_version", database=database) == [(REVISIONS[-1],)]


def test_one_connection_is_kept_for_where_the_champion_is(url: str, database: str, postgres: PostgresServer) -> None:
    """Greeting the server three times a second would cost more than the question."""
    ledger = SqlLedger(url)
    ledger.add_version(a_version())
    ledger.move_alias(a_move(1, 0))
    assert [ledger.pointed("hotel", "champion") for _ in range(20)] == [1] * 20
    asked = "SELECT pid, state FROM pg_stat_activity WHERE datname = %s AND application_name = 'tahona'"
    assert [state for _, state in postgres.ask(asked, database)] == ["idle"]
    ((process, _),) = postgres.ask(asked, database)
    postgres.ask("SELECT pg_terminate_backend(%s)", process)
    with pytest.raises(SetupError):
        ledger.pointed("hotel", "champion")
    assert ledger.pointed("hotel", "champion") == 1
    del ledger
    gc.collect()  # the exception's frames knew it
    until = time.monotonic() + 10
    while postgres.ask(asked, database):
        assert time.monotonic() < until, "the connection stays behind"
