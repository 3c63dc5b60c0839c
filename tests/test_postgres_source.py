"""A table or a query of a real PostgreSQL as the project's data."""

from __future__ import annotations

import csv
import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from postgres_servers import PostgresServer
from projects import Command, edit, outputs, write_project

from tahona.errors import DataError, SetupError
from tahona.ports import Source
from tahona.project.model import DataPart
from tahona.sources import sql
from tahona.testing import SourceContract

VISITS = "CREATE TABLE visits (id int PRIMARY KEY, sexo text, edad numeric, fecha timestamptz, grupo boolean)"
ROWS = """INSERT INTO visits VALUES
    (2, 'f', 3.5, '2024-05-01 12:00+02', true), (1, NULL, 2, '2024-01-01 00:00+00', false)"""


def source_of(url: str, **data: Any) -> Source:
    return sql.open_source(url, DataPart(source=url, **data), Path(), Path())


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """The name of a database with a table `visits` of two rows."""
    name = postgres.database()
    postgres.ask(VISITS, database=name)
    postgres.ask(ROWS, database=name)
    return name


class TestPostgres(SourceContract):
    @pytest.fixture
    def source(self, postgres: PostgresServer, database: str) -> Source:
        return source_of(f"{postgres.url(database)}?table=visits")

    @pytest.fixture
    def changed(self, postgres: PostgresServer) -> Source:
        other = postgres.database()
        postgres.ask(VISITS, database=other)
        postgres.ask(ROWS.replace("3.5", "3.6"), database=other)
        return source_of(f"{postgres.url(other)}?table=visits")


def test_a_table_comes_in_the_order_of_its_key_with_its_types(postgres: PostgresServer, database: str) -> None:
    """By `?table=`, by the key `table`, by a query with a percent sign and a colon in it, by the shorter name."""
    url = postgres.url(database)
    for source in (
        source_of(f"{url}?table=visits"),
        source_of(url.replace("postgresql://", "postgres://"), table="public.visits"),
        source_of(url, query="SELECT * FROM visits WHERE sexo IS NULL OR sexo LIKE '%f%' AND sexo <> ':x' ORDER BY id"),
    ):
        frame = source.fetch().frame
        assert frame["id"].tolist() == [1, 2]
        assert [str(kind) for kind in frame.dtypes] == ["int64", "str", "float64", "datetime64[us]", "bool"]
        assert frame["fecha"].dt.hour.tolist() == [0, 10]


def test_the_version_is_that_of_the_rows(postgres: PostgresServer, database: str) -> None:
    """Neither the server's time zone nor the order on its disk makes another; a changed cell does."""
    postgres.ask("CREATE TABLE free AS SELECT sexo, edad, fecha FROM visits", database=database)
    keyed, free = (source_of(f"{postgres.url(database)}?table={name}") for name in ("visits", "free"))
    before = keyed.version(), free.version()
    rows = free.fetch().frame
    postgres.ask(f"ALTER DATABASE {database} SET timezone = 'Asia/Tokyo'")
    postgres.ask(f"ALTER DATABASE {database} SET datestyle = 'SQL, DMY'")
    postgres.ask("UPDATE free SET edad = edad WHERE edad = 2", database=database)  # moves the row to the end
    postgres.ask("UPDATE free SET edad = edad WHERE edad = 3.5", database=database)
    postgres.ask("UPDATE visits SET edad = edad WHERE id = 1", database=database)
    assert (keyed.version(), free.version()) == before
    assert free.fetch().frame.equals(rows)
    postgres.ask("UPDATE free SET edad = 4 WHERE edad = 2", database=database)
    assert free.version() != before[1]


def test_texts_sort_by_code_point_whatever_the_servers_language(postgres: PostgresServer, database: str) -> None:
    """As in SQLite: a key of texts does not come in another order, and so in other folds, on another server."""
    collations = postgres.ask("SELECT collname FROM pg_collation WHERE collname = 'und-x-icu'", database=database)
    collation = ' COLLATE "und-x-icu"' if collations else ""
    postgres.ask(f"CREATE TABLE names (name text{collation} PRIMARY KEY)", database=database)
    postgres.ask("INSERT INTO names VALUES ('b'), ('B'), ('a'), ('ñ'), ('Z')", database=database)
    found = source_of(f"{postgres.url(database)}?table=names").fetch().frame["name"].tolist()
    assert found == ["B", "Z", "a", "b", "ñ"]


def test_a_view_of_another_schema_can_be_read(postgres: PostgresServer, database: str) -> None:
    postgres.ask("CREATE SCHEMA clinic", database=database)
    postgres.ask('CREATE VIEW clinic."Old Visits" AS SELECT id, edad FROM visits WHERE edad < 3', database=database)
    frame = source_of(postgres.url(database), table="clinic.Old Visits").fetch().frame
    assert frame.to_dict("list") == {"id": [1], "edad": [2.0]}


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ({"table": "visit"}, DataError, "the database has no table 'visit'\nFix: Did you mean 'visits'"),
        ({"query": "SELECT nada FROM visits"}, DataError, "there is no column 'nada'"),
        ({"query": "SELECT * FROM nada"}, DataError, "there is no table 'nada'"),
        ({"query": "SELECT 'Pérez'::int"}, DataError, "the database refuses the query"),
        ({"query": "DELETE FROM visits"}, DataError, "the database refuses the query|gives no table"),
        ({"query": "SELECT 'infinity'::float8 AS x"}, DataError, "the number in column 'x' is infinite"),
        ({"query": "SELECT '{1}'::int[] AS x"}, DataError, "column 'x'"),
    ],
)
def test_what_gives_no_table_is_refused(
    postgres: PostgresServer, database: str, data: dict[str, str], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        source_of(postgres.url(database), **data).fetch()
    printed = "".join(traceback.format_exception(caught.value))
    assert "Pérez" not in printed
    assert postgres.password not in printed
    assert postgres.ask("SELECT count(*) FROM visits", database=database) == [(2,)]


def test_who_may_not_read_is_told(postgres: PostgresServer, database: str) -> None:
    """No right, a wrong password, no such database: the environment's fault, and no password in it."""
    password = postgres.user("stranger")
    for url, said in (
        (postgres.url(database, "stranger", password), "may not read"),
        (postgres.url(database, "stranger", "s3cret-wrong"), "cannot be reached"),
        (postgres.url("nowhere", "stranger", password), "cannot be reached"),
    ):
        with pytest.raises(SetupError, match=said) as caught:
            source_of(f"{url}?table=visits").fetch()
        printed = "".join(traceback.format_exception(caught.value))
        assert password not in printed
        assert "s3cret-wrong" not in printed


def test_a_project_runs_on_a_table_and_keeps_no_password(
    here: Command, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows from a CSV and from PostgreSQL give the same predictions; the password rests nowhere on disk."""
    name = postgres.database()
    folder, copy = write_project(tmp_path / "csv"), write_project(tmp_path / "postgres")
    postgres.ask(
        "CREATE TABLE t (row serial PRIMARY KEY, size float8, weight float8, colour text, label text)", database=name
    )
    with (folder / "table.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            postgres.ask(
                "INSERT INTO t (size, weight, colour, label) VALUES (%s, %s, %s, %s)", *row.values(), database=name
            )
    monkeypatch.setenv("VISITS", postgres.url(name))
    edit(
        copy,
        'source = "table.csv"',
        'source = "${VISITS}"\nquery = "SELECT size, weight, colour, label FROM t ORDER BY row"',
    )
    assert here("run", "-C", folder).code == 0
    answer = here("run", "-C", copy, "--json")
    assert answer.code == 0, answer.stderr
    assert outputs(folder, "evaluate")["predictions.parquet"] == outputs(copy, "evaluate")["predictions.parquet"]
    assert "***" in json.dumps(here("show", "-C", copy, "--json").document)
    written = b"".join(file.read_bytes() for file in sorted(copy.rglob("*")) if file.is_file())
    assert postgres.password.encode() not in written
    assert postgres.password not in answer.stdout + answer.stderr
