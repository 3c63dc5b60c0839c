"""Sources on real files, a real HTTP server and real SQLite databases."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tahona.errors import DataError, IntegrityError, SetupError
from tahona.ports import Source
from tahona.project.model import DataPart
from tahona.sources import file, http, sample, sql
from tahona.sources.http import HttpSource, Patience
from tahona.sources.limits import Limits
from tahona.testing.source_suite import SourceContract

REAL = Path(os.environ.get("TAHONA_REAL_DATA") or Path(__file__).resolve().parents[1].parent / "shared" / "data")
CSV = "niño,edad\nÍñigo,3\nZoé,\n".encode()
SECRET = "hunter2"
NOON = dt.datetime(2024, 2, 29, 12)  # noqa: DTZ001  (a cell of a workbook has no zone)


def part(source: str, **data: Any) -> DataPart:
    return DataPart(source=source, **data)


def file_source(folder: Path, name: str, content: bytes, **data: Any) -> Source:
    (folder / name).write_bytes(content)
    return file.open_source(name, part(name, **data), folder, folder / "cache")


def workbook(
    *rows: Sequence[object], title: str = "datos", more: dict[str, Sequence[Sequence[object]]] | None = None
) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    for name, others in (more or {}).items():
        other = book.create_sheet(name)
        for row in others:
            other.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def database(place: Path, *rows: tuple[object, ...]) -> Path:
    with sqlite3.connect(place) as connection:
        connection.execute("create table visitas (id integer primary key, sexo text, edad real, grupo text)")
        connection.executemany("insert into visitas values (?, ?, ?, ?)", rows)
    connection.close()
    return place


# ---------------------------------------------------------------- files


class TestCsvFile(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "a.csv", CSV)

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "b.csv", CSV + b"Ana,5\n")


class TestParquetFile(SourceContract):
    FRAME = pd.DataFrame({"t": ["x", None], "n": [1, 2], "r": [1.5, None], "d": pd.to_datetime(["2024-01-01", None])})

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "a.parquet", parquet(self.FRAME))

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "b.parquet", parquet(self.FRAME.iloc[:1]))


class TestJsonFile(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "a.json", b'[{"a": 1, "b": "x"}, {"a": null, "b": true}]')

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "b.json", b'[{"a": 1, "b": "x"}]')


class TestExcelFile(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "a.xlsx", workbook(["a", "b"], [1, "x"], [2.5, None]))

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return file_source(tmp_path, "b.xlsx", workbook(["a", "b"], [1, "x"]))


class TestSample(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return sample.open_source("sample:iris", part("sample:iris"), tmp_path, tmp_path)

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return sample.open_source("sample:wine", part("sample:wine"), tmp_path, tmp_path)


class TestSql(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        database(tmp_path / "a.db", (2, "f", 3.5, "x"), (1, None, 2.0, "y"))
        url = "sqlite:///a.db?table=visitas"
        return sql.open_source(url, part(url), tmp_path, tmp_path)

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        database(tmp_path / "b.db", (2, "f", 3.5, "x"), (1, None, 2.5, "y"))
        url = "sqlite:///b.db?table=visitas"
        return sql.open_source(url, part(url), tmp_path, tmp_path)


def test_a_file_is_read_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    """A Parquet, JSON or Excel file called .csv is what it is."""
    frame = pd.DataFrame({"a": [1, 2]})
    for content in (
        parquet(frame),
        b'[{"a": 1}, {"a": 2}]',
        b'{"a": 1}\n{"a": 2}\n',
        workbook(["a"], [1], [2]),
        b"a\n1\n2\n",
    ):
        table = file_source(tmp_path, "x.csv", content).fetch()
        pd.testing.assert_frame_equal(table.frame, frame)


@pytest.mark.parametrize("pack", ["gzip", "zip"])
def test_a_packed_csv_is_read(pack: str, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("folder/a.csv", CSV)
        archive.writestr("__MACOSX/._a.csv", b"\0")
    content = gzip.compress(CSV) if pack == "gzip" else stream.getvalue()
    assert file_source(tmp_path, "x", content).fetch().frame["niño"].tolist() == ["Íñigo", "Zoé"]


def test_a_missing_file_is_named_with_a_proposal(tmp_path: Path) -> None:
    (tmp_path / "hotel_bookings.csv").write_bytes(CSV)
    with pytest.raises(
        DataError, match=r"hotel_booking\.csv: the file does not exist\nFix: Did you mean `hotel_bookings\.csv`"
    ):
        file.open_source("hotel_booking.csv", part("x"), tmp_path, tmp_path).fetch()
    with pytest.raises(DataError, match="this is a folder, not a table"):
        file.open_source(".", part("x"), tmp_path, tmp_path).version()


def test_a_fifo_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="not a regular file"):
        file.open_source("pipe.csv", part("x"), tmp_path, tmp_path).fetch()


def test_a_declared_checksum_is_kept_to(tmp_path: Path) -> None:
    digest = hashlib.sha256(CSV).hexdigest()
    assert file_source(tmp_path, "a.csv", CSV, sha256=digest).version() == f"sha256:{digest}"
    wrong = file_source(tmp_path, "a.csv", CSV + b"x,1\n", sha256=digest)
    for act in (wrong.version, wrong.fetch):
        with pytest.raises(IntegrityError, match="sha256") as caught:
            act()
        assert caught.value.exit_code == 5


def test_columns_declared_as_names_are_text(tmp_path: Path) -> None:
    table = file_source(
        tmp_path, "a.csv", b"a,b,c\n007,1.50,true\n8,2,false\n", types={"a": "id", "b": "category", "c": "text"}
    )
    assert table.fetch().frame.values.tolist() == [["007", "1.50", "true"], ["8", "2", "false"]]


def test_json_types_are_those_of_the_file_and_missing_keys_are_told(tmp_path: Path) -> None:
    rows = [{"a": "00123", "b": True, "c": 1, "d": 1.5}, {"a": "NA", "c": None, "d": 2}]
    table = file_source(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)).encode()).fetch()
    assert [str(kind) for kind in table.frame.dtypes] == ["str", "boolean", "Int64", "float64"]
    assert table.frame["a"].tolist() == ["00123", "NA"]
    assert [finding.message() for finding in table.findings if finding.kind == "missing_keys"] == [
        "1 rows lack the key 'b'; read as null."
    ]


def test_excel_dates_stay_dates_and_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    content = workbook(
        ["x"],
        [1],
        more={"segunda": [["día", "n", ""], [NOON, 1, None], [None] * 3, [None, "2", None]]},
    )
    table = file_source(tmp_path, "a.xlsx", content, sheet="segunda").fetch()
    assert list(table.frame.columns) == ["día", "n"]
    assert table.frame["día"].tolist()[0] == pd.Timestamp("2024-02-29 12:00")
    assert {finding.kind for finding in table.findings} == {"read_as", "blank_lines", "mixed_types"}
    with pytest.raises(DataError, match="no sheet 'segundo'\nFix: Did you mean 'segunda'"):
        file_source(tmp_path, "a.xlsx", content, sheet="segundo").fetch()


def test_excel_cells_beside_the_header_are_refused_with_their_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xlsx, row 3: the row has 3 cells, but the header has 2"):
        file_source(tmp_path, "a.xlsx", workbook(["a", "b"], [1, 2], [1, 2, 3])).fetch()


def test_excel_formulas_that_nobody_computed_are_refused(tmp_path: Path) -> None:
    """They would read as empty cells."""
    with pytest.raises(DataError, match="1 formulas have no stored value"):
        file_source(tmp_path, "a.xlsx", workbook(["a"], [1], ["=A2+1"])).fetch()


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(["a"], [1]))) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[:200] if "sheet1" in name else old.read(name))
    with pytest.raises(DataError, match="the workbook is damaged"):
        file_source(tmp_path, "a.xlsx", stream.getvalue()).fetch()


def test_zoned_times_become_utc_and_it_is_told(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": pd.to_datetime(["2024-01-01 12:00"]).tz_localize("Europe/Madrid")})
    table = file_source(tmp_path, "a.parquet", parquet(frame)).fetch()
    assert table.frame["t"].tolist() == [pd.Timestamp("2024-01-01 11:00")]
    assert "to_utc" in {finding.kind for finding in table.findings}


def test_parquet_dates_decimals_categories_and_times_arrive_in_known_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "date": [dt.date(2024, 1, 1)],
            "decimal": pa.array(["1.25"]).cast(pa.decimal128(5, 2)),
            "category": pa.array(["x"]).dictionary_encode(),
            "time": [dt.time(12, 30)],
            "small": pa.array([1], pa.uint8()),
            "nothing": pa.nulls(1),
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream)
    frame = file_source(tmp_path, "a.parquet", stream.getvalue()).fetch().frame
    kinds = [str(kind) for kind in frame.dtypes]
    assert kinds == ["datetime64[us]", "float64", "str", "str", "int64", "str"]
    assert frame["decimal"].tolist() == [1.25]


@pytest.mark.real
def test_the_real_hotel_table_is_the_same_as_csv_and_parquet_and_quick(tmp_path: Path) -> None:
    original = REAL / "hotel_bookings.parquet"
    if not original.is_file():
        pytest.skip("the real data are not beside the project")
    table = file.open_source(str(original), part("x"), tmp_path, tmp_path).fetch()
    table.frame.to_csv(tmp_path / "hotel.csv", index=False)
    start = time.process_time()
    again = file.open_source("hotel.csv", part("hotel.csv"), tmp_path, tmp_path).fetch()
    assert time.process_time() - start < 4
    assert table.frame.shape == (119_390, 32)
    pd.testing.assert_frame_equal(again.frame, table.frame, check_exact=True, check_dtype=False)


@pytest.mark.real
def test_the_real_medical_texts_are_read(tmp_path: Path) -> None:
    place = REAL / "medical_abstracts.csv"
    if not place.is_file():
        pytest.skip("the real data are not beside the project")
    frame = file.open_source(str(place), part("x"), tmp_path, tmp_path).fetch().frame
    assert frame.shape == (2888, 2)
    assert [str(kind) for kind in frame.dtypes] == ["int64", "str"]


def test_opening_a_source_imports_nothing_heavy() -> None:
    """The command line opens the source even for commands that read nothing."""
    code = (
        "import sys; from pathlib import Path; from tahona.sources import file, http, sample, sql;"
        "data = type('Data', (), {'sha256': None})();"
        "[kind.open_source('sample:iris', data, Path('x'), Path('y')) for kind in (file, http, sample, sql)];"
        "print(sorted({'pandas','pyarrow','sklearn','sqlalchemy','httpx','openpyxl','numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- samples


def test_breast_cancer_has_class_names_in_the_order_of_scikit_learn(tmp_path: Path) -> None:
    frame = sample.open_source("sample:breast_cancer", part("x"), tmp_path, tmp_path).fetch().frame
    assert frame.shape == (569, 31)
    assert frame["target"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    assert frame["target"].tolist()[:20] == ["malignant"] * 19 + ["benign"]
    assert frame.columns[0] == "mean radius"


def test_digits_are_texts_and_an_unknown_sample_gets_a_proposal(tmp_path: Path) -> None:
    frame = sample.open_source("sample:digits", part("x"), tmp_path, tmp_path).fetch().frame
    assert set(frame["target"]) == set("0123456789")
    with pytest.raises(DataError, match="Did you mean `sample:breast_cancer`"):
        sample.open_source("sample:breastcancer", part("x"), tmp_path, tmp_path)
    with pytest.raises(DataError, match="not a file"):
        sample.open_source("sample:iris", part("x", sha256="0" * 64), tmp_path, tmp_path)


# ---------------------------------------------------------------- SQL


def sql_source(folder: Path, url: str, **data: Any) -> Source:
    return sql.open_source(url, part(url, **data), folder, folder)


def test_a_table_comes_in_the_order_of_its_key(tmp_path: Path) -> None:
    database(tmp_path / "a.db", (3, "f", 1.0, "x"), (1, "m", None, "y"))
    for source in (
        sql_source(tmp_path, "sqlite:///a.db?table=visitas"),
        sql_source(tmp_path, "sqlite:///a.db", table="visitas"),
        sql_source(
            tmp_path, f"sqlite:///{tmp_path}/a.db", query="select * from visitas where sexo != ':no' order by id"
        ),
    ):
        frame = source.fetch().frame
        assert frame["id"].tolist() == [1, 3]
        assert [str(kind) for kind in frame.dtypes] == ["int64", "str", "float64", "str"]


def test_a_missing_table_is_named_with_a_proposal(tmp_path: Path) -> None:
    database(tmp_path / "a.db", (1, "f", 1.0, "x"))
    with pytest.raises(DataError, match="the database has no table 'visita'\nFix: Did you mean 'visitas'"):
        sql_source(tmp_path, "sqlite:///a.db?table=visita").fetch()
    with pytest.raises(DataError, match="Its tables: 'visitas'"):
        sql_source(tmp_path, "sqlite:///a.db?table=zzz").version()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "names neither a table nor a query"),
        ({"table": "visitas", "query": "select 1"}, "both a table and a query are named"),
        ({"query": "select nada from visitas"}, "there is no column 'nada'"),
        ({"query": "select * from nada"}, "there is no table 'nada'"),
        ({"query": "selec 'hunter2'"}, r"the database refuses the query \(OperationalError\)"),
        ({"query": "delete from visitas"}, "the database refuses the query"),
        ({"query": "select id, id from visitas"}, "two columns have the name 'id'"),
        ({"query": "select * from visitas where id > 9"}, "the table has 0 rows"),
        ({"query": "select x'00' as b"}, "row 1: a cell in column 'b' holds bytes"),
        ({"query": "select 9e999 as b"}, "row 1: the number in column 'b' is infinite"),
    ],
)
def test_a_query_that_gives_no_table_is_refused(data: dict[str, str], message: str, tmp_path: Path) -> None:
    database(tmp_path / "a.db", (1, "f", 1.0, "x"))
    with pytest.raises(DataError, match=message) as caught:
        sql_source(tmp_path, "sqlite:///a.db", **data).fetch()
    assert SECRET not in str(caught.value)
    assert len(sql_source(tmp_path, "sqlite:///a.db?table=visitas").fetch().frame) == 1


def test_sqlite_columns_of_several_types_are_text_and_told(tmp_path: Path) -> None:
    database(tmp_path / "a.db", (1, "f", "no sabe", "x"), (2, "f", 3.0, "x"))
    table = sql_source(tmp_path, "sqlite:///a.db?table=visitas").fetch()
    assert table.frame["edad"].tolist() == ["no sabe", "3"]
    assert "mixed_types" in {finding.kind for finding in table.findings}


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the database file does not exist"):
        sql_source(tmp_path, "sqlite:///nada.db?table=t").fetch()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_bytes(CSV * 100)
    with pytest.raises(DataError, match="no SQLite database"):
        sql_source(tmp_path, "sqlite:///text.db?table=t").fetch()


def test_no_password_stands_in_a_message_of_a_database(tmp_path: Path) -> None:
    for url in (
        f"postgresql://ana:{SECRET}@127.0.0.1:1/db?table=t",
        f"oracel://ana:{SECRET}@h/db?table=t",
        f":{SECRET}",
    ):
        with pytest.raises((DataError, SetupError)) as caught:
            sql_source(tmp_path, url).fetch()
        assert SECRET not in str(caught.value)


# ---------------------------------------------------------------- HTTP


class TableServer(ThreadingHTTPServer):
    """A server of one file that can break off, forget ranges, refuse, or change its file. It notes the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _TableHandler)
        self.content = b""
        self.etag = True
        self.ranges = True
        self.chunked = False
        self.break_after: list[int] = []
        """Bytes of the body after which the next answers break off, one number each."""
        self.statuses: list[int] = []
        self.seen: list[tuple[int, str]] = []

    def url(self, path: str = "/data.csv") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _TableHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TableServer

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.close_connection = True
        content, asked = self.server.content, self.headers.get("Range", "")
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        start = 0
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200 and self.server.etag and self.headers.get("If-None-Match") == tag:
            status = 304
        if status == 200 and asked and self.server.ranges and self.headers.get("If-Range") == tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(content) else 416
        self.server.seen.append((status, asked))
        body = content[start:] if status in {200, 206} else b""
        self.send_response(status)
        if self.server.etag:
            self.send_header("ETag", tag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.break_after.pop(0) if self.server.break_after and status in {200, 206} else len(body)
        self.wfile.write(body[:cut])


@pytest.fixture
def server() -> Iterator[TableServer]:
    with TableServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def http_source(
    server: TableServer,
    cache: Path,
    path: str = "/data.csv",
    *,
    limits: Limits | None = None,
    attempts: int = 3,
    **data: Any,
) -> HttpSource:
    url = server.url(path)
    return HttpSource(
        url,
        part(url, **data),
        cache,
        limits=limits or Limits(),
        patience=Patience(attempts=attempts, wait=0.01, connect=2, read=2),
    )


def big_csv(rows: int = 40_000) -> bytes:
    return b"a,b\n" + b"".join(b"%d,x%d\n" % (i, i) for i in range(rows))


class TestHttp(SourceContract):
    @pytest.fixture
    def source(self, server: TableServer, tmp_path: Path) -> Source:
        server.content = CSV
        return http_source(server, tmp_path)

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Iterator[Source]:
        with TableServer() as other:
            other.content = CSV + b"Ana,5\n"
            thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield http_source(other, tmp_path)
            other.shutdown()
            thread.join()


def test_the_version_is_that_of_the_same_file_on_disk(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    assert http_source(server, tmp_path).version() == file_source(tmp_path, "a.csv", CSV).version()


def test_a_broken_download_goes_on_where_it_stopped(server: TableServer, tmp_path: Path) -> None:
    server.content = big_csv()
    server.break_after = [200_000, 100_000]
    frame = http_source(server, tmp_path).fetch().frame
    assert frame["a"].tolist() == list(range(40_000))
    assert server.seen == [(200, ""), (206, "bytes=200000-"), (206, "bytes=300000-")]


def test_a_later_process_goes_on_where_an_earlier_one_gave_up(server: TableServer, tmp_path: Path) -> None:
    server.content = big_csv()
    server.break_after = [200_000]
    with pytest.raises(SetupError, match="broke off, 1 times"):
        http_source(server, tmp_path, attempts=1).fetch()
    assert len(http_source(server, tmp_path).fetch().frame) == 40_000
    assert server.seen[1] == (206, "bytes=200000-")
    assert not list((tmp_path / "http").glob("*.part*"))


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: TableServer, tmp_path: Path) -> None:
    """Halves of two files are never joined."""
    server.content = big_csv()
    server.break_after = [200_000]
    with pytest.raises(SetupError):
        http_source(server, tmp_path, attempts=1).fetch()
    server.content = big_csv(39_000)
    assert len(http_source(server, tmp_path).fetch().frame) == 39_000
    assert server.seen[1] == (200, "bytes=200000-")


@pytest.mark.parametrize("lack", ["etag", "ranges"])
def test_a_server_that_cannot_resume_is_asked_from_the_start(lack: str, server: TableServer, tmp_path: Path) -> None:
    server.content = big_csv()
    setattr(server, lack, False)
    server.break_after = [200_000]
    assert len(http_source(server, tmp_path).fetch().frame) == 40_000
    assert [status for status, _ in server.seen] == [200, 200]


def test_a_current_copy_is_not_fetched_again(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    source = http_source(server, tmp_path)
    before = source.version()
    source.fetch()
    assert [status for status, _ in server.seen] == [200, 304]
    server.content = CSV + b"Ana,5\n"
    assert source.version() != before
    assert len(source.fetch().frame) == 3
    assert len([entry for entry in (tmp_path / "http").iterdir() if re.fullmatch("[0-9a-f]{64}", entry.name)]) == 1


def test_a_damaged_copy_in_the_cache_is_fetched_again(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    version = http_source(server, tmp_path).version()
    (tmp_path / "http" / version.removeprefix("sha256:")).write_bytes(b"a,b\n1,2\n")
    assert list(http_source(server, tmp_path).fetch().frame.columns) == ["niño", "edad"]


def test_with_a_declared_checksum_the_right_copy_needs_no_server(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    digest = hashlib.sha256(CSV).hexdigest()
    http_source(server, tmp_path, sha256=digest).fetch()
    http_source(server, tmp_path, sha256=digest).fetch()
    assert len(server.seen) == 1


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    with pytest.raises(IntegrityError, match="sha256"):
        http_source(server, tmp_path, sha256="0" * 64).fetch()
    assert {entry.suffix for entry in (tmp_path / "http").iterdir()} == {".lock"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_by_bytes_read_and_nothing_is_kept(
    chunked: bool, server: TableServer, tmp_path: Path
) -> None:
    server.content = big_csv()
    server.chunked = chunked
    with pytest.raises(DataError, match="the download is larger than the limit of 100,000 bytes"):
        http_source(server, tmp_path, limits=Limits(table_bytes=100_000)).fetch()
    assert {entry.suffix for entry in (tmp_path / "http").iterdir()} == {".lock"}


def test_a_busy_server_is_asked_again_and_a_broken_one_not_for_ever(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    server.statuses = [503, 500]
    assert len(http_source(server, tmp_path).fetch().frame) == 2
    server.statuses = [503] * 9
    with pytest.raises(SetupError, match=r"3 times \(last: HTTP 503\)"):
        http_source(server, tmp_path).fetch()
    assert len(server.statuses) == 6


@pytest.mark.parametrize(
    ("status", "error"), [(404, DataError), (403, SetupError), (401, SetupError), (418, SetupError)]
)
def test_a_refusal_is_told_without_secrets(
    status: int, error: type[Exception], server: TableServer, tmp_path: Path
) -> None:
    server.statuses = [status]
    with pytest.raises(error, match=rf"/data\.csv: the server .*HTTP {status}") as caught:
        http_source(server, tmp_path, f"/data.csv?token={SECRET}").fetch()
    assert SECRET not in str(caught.value)
    assert len(server.seen) == 1


def test_an_unreachable_server_is_the_environments_fault(tmp_path: Path) -> None:
    with TableServer() as gone:
        url = gone.url(f"/data.csv?key={SECRET}").replace("http://", f"http://ana:{SECRET}@")
    source = HttpSource(url, part(url), tmp_path, patience=Patience(attempts=2, wait=0.01, connect=1, read=1))
    with pytest.raises(SetupError, match=r"could not be reached.* 2 times \(last: ConnectError\)") as caught:
        source.version()
    assert caught.value.exit_code == 4
    assert SECRET not in str(caught.value)


def test_a_sign_in_page_is_no_table(server: TableServer, tmp_path: Path) -> None:
    server.content = b"<!doctype html><html><title>Sign in</title></html>"
    with pytest.raises(DataError, match="an HTML page, not a table"):
        http_source(server, tmp_path).fetch()


def test_two_readers_of_one_address_do_not_disturb_each_other(server: TableServer, tmp_path: Path) -> None:
    server.content = big_csv()
    server.break_after = [100_000, 50_000]
    frames: list[int] = []
    readers = [
        threading.Thread(target=lambda: frames.append(len(http_source(server, tmp_path).fetch().frame)))
        for _ in range(3)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert frames == [40_000] * 3


def test_http_is_opened_like_the_others(server: TableServer, tmp_path: Path) -> None:
    server.content = CSV
    url = server.url()
    assert len(http.open_source(url, part(url), tmp_path, tmp_path / "cache").fetch().frame) == 2
