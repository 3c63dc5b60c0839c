"""The ledger in SQLite: real files, looked at with the standard library; real processes, really killed."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from processes import race, started
from races import assert_numbers_without_gap_or_double, assert_one_of_these_is_promoted

from tahona.core.records import Interval
from tahona.errors import InputError, IntegrityError, SetupError, TahonaError
from tahona.ledgers.engine import REVISIONS
from tahona.ledgers.sql import SqlLedger, open_ledger
from tahona.ports import Signpost
from tahona.testing import LedgerContract, MemoryLedger
from tahona.testing.ledger_suite import a_move, a_run, a_version


class TestSqlLedger(LedgerContract):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> SqlLedger:
        return SqlLedger(f"sqlite:///{tmp_path}/ledger.db")


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        return MemoryLedger()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def opened(file: Path, patience: float = 30.0) -> SqlLedger:
    return SqlLedger(f"sqlite:///{file}", patience=patience)


def asked(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


def refused(file: Path, statement: str) -> str:
    with closing(sqlite3.connect(file)) as database, pytest.raises(sqlite3.DatabaseError) as caught:
        database.execute(statement)
    return str(caught.value)


def test_a_relative_file_starts_at_the_projects_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command was typed does not matter, and the folder is made."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    open_ledger("sqlite:///.tahona/ledger.db", tmp_path).save_run(a_run())
    assert len(opened(tmp_path / ".tahona" / "ledger.db").runs()) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_any_sql_client_can_compare_runs(file: Path) -> None:
    """Every metric stands in a row of its own with its run, its data, its model and its interval."""
    opened(file).save_run(a_run())
    rows = asked(
        file,
        "SELECT r.project, m.run_id, m.data_digest, m.model, m.value, m.low, m.high FROM metrics m "
        "JOIN runs r ON r.id = m.run_id WHERE m.part = 'test' AND m.metric = 'roc_auc'",
    )
    assert rows == [("hotel", "hotel-1", "d" * 64, "tree", 0.1 + 0.2, 0.25, 0.35)]
    board = asked(file, "SELECT model, value, low FROM metrics WHERE part = 'leaderboard' ORDER BY position")
    assert board == [("tree", 0.9, 0.8), ("dummy", 0.5, None)]
    assert asked(file, "SELECT value_json FROM params WHERE name = 'train.metric'") == [('"roc_auc"',)]
    assert asked(file, "SELECT step, state FROM steps ORDER BY position") == [("ingest", "done"), ("clean", "cached")]


def test_the_history_cannot_be_rewritten(file: Path) -> None:
    """Not even with another program: the database refuses to change or remove an event."""
    ledger = opened(file)
    ledger.add_version(a_version())
    ledger.move_alias(a_move(1, 0))
    assert "append-only" in refused(file, "UPDATE events SET who = 'nobody'")
    assert "append-only" in refused(file, "DELETE FROM events")
    assert list(ledger.history("hotel")) == [a_move(1, 0)]


def test_numbers_of_any_library_are_kept(file: Path) -> None:
    """NumPy's numbers, among the parameters or as metrics, come back as plain ones."""
    import numpy as np

    run = replace(
        a_run(),
        params={"depth": np.int64(3), "rate": np.float32(0.5), "grid": [np.float64(0.1), np.True_]},
        test={"f1": Interval(np.float64(0.1), np.float32(0.5), 1)},
    )
    ledger = opened(file)
    ledger.save_run(run)
    kept = ledger.runs()[0]
    assert kept.params == {"depth": 3, "rate": 0.5, "grid": [0.1, True]}
    assert kept.test == {"f1": Interval(0.1, 0.5, 1.0)}
    assert {type(value) for value in (kept.test["f1"].value, kept.test["f1"].low, kept.test["f1"].high)} == {float}


def test_text_that_is_no_text_is_kept_readable(file: Path) -> None:
    """A reason typed in a broken terminal (a lone surrogate, a NUL) is written down, not a crash."""
    ledger = opened(file)
    ledger.add_version(a_version())
    ledger.move_alias(replace(a_move(1, 0), why="año\udcff\0 nuevo"))
    assert ledger.history("hotel")[0].why == "año?\N{REPLACEMENT CHARACTER} nuevo"


def test_processes_that_register_at_once_get_numbers_without_gap_or_double(file: Path) -> None:
    assert_numbers_without_gap_or_double(f"sqlite:///{file}")


def test_one_run_registered_by_many_processes_is_one_version(file: Path) -> None:
    """A step that is run four times at once registers once."""
    racer = """
        import sys
        from tahona.ledgers.sql import SqlLedger
        from tahona.testing.ledger_suite import a_version
        ledger = SqlLedger(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.readline()
        print(*[ledger.add_version(a_version(f"run-{turn}")).number for turn in range(10)], flush=True)
    """
    opened(file)
    said = race(racer, *((f"sqlite:///{file}",) for _ in range(4)))
    assert said == ["1 2 3 4 5 6 7 8 9 10\n"] * 4
    assert len(opened(file).versions("hotel")) == 10


def test_of_two_promotions_at_once_one_is_refused(file: Path) -> None:
    assert_one_of_these_is_promoted(f"sqlite:///{file}", (2, 3, 4, 5))


def test_a_kill_in_the_middle_of_a_save_leaves_the_old_or_the_new(file: Path) -> None:
    """Killed twenty times while it replaces a run, a writer leaves one whole run: the large one or the small one."""
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
    seen = []
    for _ in range(20):
        with started(writer, f"sqlite:///{file}") as process:
            time.sleep(chance.uniform(0.0, 0.08))
            process.kill()
        (run,) = opened(file).runs()
        assert run in (small, large)
        seen.append(run == large)
    assert {True, False} == set(seen)
    assert asked(file, "PRAGMA integrity_check") == [("ok",)]


def test_opening_a_ledger_that_is_up_to_date_is_cheap(file: Path) -> None:
    """It takes one look, not a tenth of a second, and Alembic is not even imported."""
    opened(file)
    look = """
        import sys, time
        import sqlalchemy
        import tahona.ledgers.sql
        print("ready", flush=True)
        sys.stdin.readline()
        before = time.process_time()
        tahona.ledgers.sql.SqlLedger(sys.argv[1])
        print(time.process_time() - before < 0.15, "alembic" in sys.modules)
    """
    assert race(look, (f"sqlite:///{file}",)) == ["True False\n"]


def test_the_migrations_make_the_tables_that_the_code_uses(file: Path) -> None:
    """The files of `migrations/versions`, the list of revisions and the tables' definition agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    import tahona.ledgers.migrations
    from tahona.ledgers.tables import METADATA

    script = ScriptDirectory(str(Path(str(tahona.ledgers.migrations.__file__)).parent))
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == REVISIONS
    opened(file)
    with create_engine(f"sqlite:///{file}", poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_a_ledger_of_the_first_revision_is_upgraded_where_it_lies(file: Path) -> None:
    """Opening it is enough: its run, its version and its history are kept, and its chosen model stands in the view."""
    shutil.copy(Path(__file__).parent / "assets" / "ledger_0001.db", file)
    before = {
        table: asked(file, f"SELECT * FROM {table}") for table in ("runs", "params", "steps", "versions", "events")
    }
    ledger = opened(file)
    assert asked(file, "SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]
    sealed = {table: ("",) if table in ("versions", "events") else () for table in before}  # as nobody sealed them
    before = {table: [(*row, *sealed[table]) for row in rows] for table, rows in before.items()}
    assert before == {table: asked(file, f"SELECT * FROM {table}") for table in before}
    (run,) = ledger.runs("breast_cancer")
    assert run.candidates == {"logistic_regression": run.test}
    assert [version.aliases for version in ledger.versions("breast_cancer")] == [("champion",)]
    rows = asked(file, "SELECT id, model, precision, recall, f1_score, run_id, auc, time FROM metricas")
    test = run.test
    numbers = (test["precision"].value, test["recall"].value, test["f1"].value)
    assert rows == [(1, "logistic_regression", *numbers, run.id, test["roc_auc"].value, run.finished)]
    ledger.save_run(a_run())
    assert len(asked(file, "SELECT id FROM metricas")) == 3


def test_a_migration_cut_short_leaves_nothing(file: Path) -> None:
    """Tables that stand in the way fail the migration as a whole; without them it can start again."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE versions (mine)")
    with pytest.raises(SetupError, match="versions already exists"):
        opened(file)
    assert asked(file, "SELECT name FROM sqlite_master") == [("versions",)]
    with closing(sqlite3.connect(file)) as database:
        database.execute("DROP TABLE versions")
    opened(file).save_run(a_run())


def said_of(file: Path, patience: float = 0.1, kind: type[TahonaError] = SetupError) -> TahonaError:
    with pytest.raises(kind) as caught:
        opened(file, patience).save_run(a_run())
    assert str(file) in caught.value.where
    assert caught.value.exit_code == kind.exit_code
    assert caught.value.fix
    return caught.value


def test_a_ledger_of_a_newer_tahona_is_left_alone(file: Path) -> None:
    opened(file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    assert "newer Tahona" in said_of(file).what


def test_a_file_that_is_no_database_is_named(file: Path) -> None:
    file.write_bytes(b"this is a letter, not a database" * 100)
    assert "not a database" in said_of(file).what


def test_a_damaged_database_is_named(file: Path) -> None:
    ledger = opened(file)
    for number in range(50):
        ledger.save_run(a_run(number))
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    file.write_bytes(data)
    error = said_of(file, kind=IntegrityError)
    assert "malformed" in error.what
    assert "copy" in error.fix


def test_a_ledger_that_somebody_else_holds_is_waited_for_and_then_named(file: Path) -> None:
    opened(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        before = time.monotonic()
        error = said_of(file, patience=0.3)
        assert time.monotonic() - before >= 0.3
    assert "locked" in error.what
    assert "another process" in error.fix


@pytest.mark.parametrize("place", ["folder", "file/below/ledger.db"])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SetupError) as caught:
        opened(tmp_path / place)
    assert str(tmp_path / place.partition("/")[0]) in caught.value.where


def test_a_ledger_that_may_not_be_written_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database says so itself: root, too, may not write through `mode=ro`."""
    monkeypatch.chdir(file.parent)
    opened(file)
    ledger = SqlLedger(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert list(ledger.runs()) == []
    assert not Path("file:").exists()
    with pytest.raises(SetupError, match="readonly") as caught:
        ledger.save_run(a_run())
    assert str(file) in caught.value.where


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql+nodriver://anna:s3cret@localhost/tahona?password=s3cret", SetupError),
        ("nosuch://anna:s3cret@localhost/tahona", SetupError),
        ("anna:s3cret", InputError),
        ("sqlite://", InputError),
        ("sqlite:///:memory:", InputError),
        ("sqlite://anna:s3cret@localhost:port/x", InputError),
    ],
)
def test_a_wrong_address_is_told_without_its_password(url: str, kind: type[TahonaError]) -> None:
    with pytest.raises(kind) as caught:
        SqlLedger(url)
    chain = [str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__ and caught.value.__cause__)]
    assert "s3cret" not in "".join(chain)


def test_no_value_of_a_run_stands_in_an_error(file: Path) -> None:
    """What the database complains about is named, what was to be written is not."""
    opened(file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TRIGGER t BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no more runs'); END")
    with pytest.raises(SetupError, match="no more runs") as caught:
        opened(file).save_run(replace(a_run(), error="Anna Pérez, depresión"))
    assert "Anna" not in f"{caught.value} {caught.value.__cause__}"


def test_where_an_alias_points_is_told_in_passing(file: Path) -> None:
    """As the history says, for a server that asks all the time; a ledger that is held is told at once."""
    ledger = opened(file)
    assert isinstance(ledger, Signpost)
    ledger.add_version(a_version("hotel-1"))
    ledger.add_version(a_version("hotel-2"))
    assert ledger.pointed("hotel", "champion") == 0
    ledger.move_alias(a_move(1, 0))
    assert ledger.pointed("hotel", "champion") == 1
    opened(file).move_alias(a_move(2, 1))
    assert ledger.pointed("hotel", "champion") == 2
    assert ledger.pointed("bank", "champion") == ledger.pointed("hotel", "challenger") == 0
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        hasty = ledger.in_haste(0.3)
        other.execute("BEGIN EXCLUSIVE")
        before = time.monotonic()
        for ask in (lambda: ledger.pointed("hotel", "champion"), lambda: hasty.versions("hotel")):
            with pytest.raises(SetupError, match="locked"):
                ask()
        assert time.monotonic() - before < 5
    assert ledger.pointed("hotel", "champion") == 2
