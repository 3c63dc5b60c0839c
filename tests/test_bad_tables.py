"""Table A of bad input: what each bad table gets, and that no message repeats what stands in a cell."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tahona.core.records import FetchedTable
from tahona.errors import DataError, TahonaError
from tahona.project.model import DataPart
from tahona.sources.file import FileSource, open_source
from tahona.sources.limits import Limits

CELL = "Zebedeo"
"""Stands in cells of the bad tables; no message may hold it."""


def read(
    folder: Path, content: bytes, *, name: str = "data.csv", limits: Limits | None = None, **data: Any
) -> FetchedTable:
    file = folder / name
    file.write_bytes(content)
    part = DataPart(source=name, **data)
    source = FileSource(file, part, where=name, limits=limits) if limits else open_source(name, part, folder, folder)
    return source.fetch()


def refusal(folder: Path, content: bytes, **options: Any) -> str:
    """Return the message, after the checks that hold for every refusal of a table."""
    start = time.process_time()
    with pytest.raises(TahonaError) as caught:
        read(folder, content, **options)
    assert time.process_time() - start < 5
    message = str(caught.value)
    assert isinstance(caught.value, DataError)
    assert caught.value.exit_code == 2
    assert caught.value.fix
    assert len(message.encode()) < 2048
    assert CELL not in message
    return message


def kinds(table: FetchedTable) -> dict[str, str]:
    return {finding.kind: finding.column for finding in table.findings}


def sentence(table: FetchedTable, kind: str) -> str:
    return next(finding.message() for finding in table.findings if finding.kind == kind)


def packed_parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def repeated(cell: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [cell])


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return sink.getvalue()


def sheet(before: str, *rows: str) -> bytes:
    """Return a workbook whose one sheet has these rows of XML."""
    sink, made = io.BytesIO(), io.BytesIO()
    openpyxl.Workbook().save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
                lines = "".join(f"<row {row}</c></row>" for row in rows)
                content = f"<worksheet {space}>{before}<sheetData>{lines}</sheetData></worksheet>".encode()
            new.writestr(name, content)
    return sink.getvalue()


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(200))


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "A1 empty": (lambda: b"", "data.csv: the file is empty"),
    "A1 only line ends": (lambda: b"\n\r\n \n", "data.csv: the file is empty"),
    "A1 only a byte-order mark": (lambda: b"\xef\xbb\xbf", "data.csv: the file is empty"),
    "A2 header only": (lambda: b"a,b\n", "data.csv: the table has a header and 0 rows"),
    "A3 duplicate names": (lambda: b"a,b,a\n1,2,3\n", "two columns have the name 'a' (positions 1 and 3)"),
    "A4 row too long": (
        lambda: b"a,b\n1,2\n" + CELL.encode() + b",3,4\n",
        "data.csv:3: the row has 3 cells, but the header has 2: it is too long",
    ),
    "A5 all rows longer": (
        lambda: b"a,b\n1,2,3\n4,5,6\n",
        "data.csv:2: the row has 3 cells, but the header has 2: it is too long\nFix: Give every column a name",
    ),
    "A6 row too short": (
        lambda: b"a,b,c\n1,2,3\n" + CELL.encode() + b",5\n",
        "data.csv:3: the row has 2 cells, but the header has 3: it is too short",
    ),
    "A4 after a cell of several lines": (lambda: b'a,b\n"1\n2\n3",2\n1,2,3\n', "data.csv:5: the row has 3 cells"),
    "A7 damaged UTF-8": (
        lambda: "año,niño\nuno,dos\nñandú,".encode() + b"\xc3(\n",
        "data.csv:3: byte 28 (line 3) is not valid utf-8",
    ),
    "A7 another alphabet": (
        lambda: "όνομα,τιμή\nάλφα,βήτα\n".encode("iso-8859-7"),
        "data.csv:1: byte 1 (line 1) is not valid utf-8",
    ),
    "A7 no text at all": (lambda: bytes(range(128, 256)) * 4, "is not valid utf-8"),
    "A8 UTF-16 cut off": (lambda: "año,b\n1,2\n".encode("utf-16")[:-1], "is not valid utf-16"),
    "A11 beyond 64 bits": (
        lambda: b"a,b\n1,x\n99999999999999999999,y\n",
        "data.csv:3: the whole number in column 'a' does not fit in 64 bits",
    ),
    "A11 a little beyond": (lambda: b"a,b\n-9223372036854775809,y\n", "data.csv:2: the whole number in column 'a'"),
    "A12 inf": (lambda: b"a,b\n1,x\n-inf,y\n", "data.csv:3: the number in column 'a' is infinite or too large"),
    "A12 1e999": (lambda: b"a,b\n1.5,x\n1e999,y\n", "data.csv:3: the number in column 'a' is infinite or too large"),
    "A12 inf among blanks": (lambda: b"a,b\n1,x\nNA,y\nInfinity,z\n", "data.csv:4: the number in column 'a'"),
    "A15 NUL": (lambda: b"a,b\n1,2\n3,\x004\n", "data.csv:3: the text holds a NUL byte"),
    "A15 UTF-16 without a mark": (lambda: "a,b\n1,2\n".encode("utf-16-le"), "data.csv:1: the text holds a NUL byte"),
    "A16 unclosed quote": (
        lambda: b'a,b\n1,2\n3,"' + CELL.encode() + b"\n5,6\n",
        "data.csv:3: a double quote opens in this row and never closes",
    ),
    "A16 quote closed too early": (
        lambda: b'a,b\n1,"' + CELL.encode() + b'"x\n',
        "data.csv:2: a quoted cell of this row goes on after its closing quote",
    ),
    "A18 PNG": (png, "data.csv: the file is a PNG image, not a table"),
    "A18 PDF": (lambda: b"%PDF-1.7\n" + bytes(300), "the file is a PDF document, not a table"),
    "A18 HTML": (lambda: b"\n<!DOCTYPE html><title>Sign in</title>", "the file is an HTML page, not a table"),
    "A18 SQLite": (lambda: b"SQLite format 3\x00" + bytes(100), "Name it as `sqlite:///path?table=name`"),
    "A18 pickle": (lambda: b"\x80\x04\x95\x00\x00", "the file is a Python pickle, not a table"),
    "A18 Word": (lambda: zipped(**{"[Content_Types]__xml": b"<x/>", "word/document__xml": b""}), "but no workbook"),
    "A21 gzip bomb": (lambda: gzip.compress(b"a,b\n" + bytes(100_000_000)), "refused as a decompression bomb"),
    "A21 zip bomb": (lambda: zipped(a__csv=b"a,b\n" + bytes(100_000_000)), "refused as a decompression bomb"),
    "A21 gzip in gzip": (lambda: gzip.compress(gzip.compress(b"a,b\n1,2\n")), "the archive holds no text table"),
    "A21 two files in one zip": (lambda: zipped(a__csv=b"a\n1", b__csv=b"b\n2"), "the zip archive holds 2 files"),
    "A22 gzip cut off": (lambda: gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "the gzip file is damaged or cut off"),
    "A22 zip cut off": (lambda: zipped(a__csv=b"a,b\n1,2\n" * 99)[:-30], "the zip archive is damaged or cut off"),
    "A22 Parquet cut off": (
        lambda: packed_parquet(pa.table({"a": list(range(5000))}))[:-100],
        "data.csv: the Parquet file is damaged or cut off",
    ),
    "A22 Parquet with a broken page": (
        lambda: packed_parquet(pa.table({"a": list(range(5000))})).replace(b"\x15", b"\x16"),
        "data.csv: the Parquet file is damaged or cut off",
    ),
    "A22 Parquet of endless repeats": (
        lambda: packed_parquet(pa.table({f"c{i}": pa.nulls(2_000_000) for i in range(200)})),
        "the table has 2,000,000 rows and 200 columns; the limit is 250,000,000 cells",
    ),
    "A22 Parquet that repeats a long cell": (
        lambda: packed_parquet(pa.table({"a": repeated("x" * 9_000_000, 300)})),
        "bytes in memory; the limit is 2,147,483,648",
    ),
    "A22 Parquet with lists": (lambda: packed_parquet(pa.table({"a": [[1]]})), "column 'a' holds nested, binary"),
    "A21 workbook that claims to be huge": (
        lambda: sheet(
            '<dimension ref="A1:XFD1048576"/>', 'r="1"><c r="A1"><v>1</v>', 'r="1048576"><c r="XFD1048576"><v>1</v>'
        ),
        "the table has 16,384 columns; the limit is 5,000",
    ),
    "A21 workbook of empty cells": (
        lambda: sheet("", *(f'r="{row}"><c r="EZZ{row}"><v>1</v>' for row in range(1, 20_001))),
        "columns; the limit is 50,000,000 cells",
    ),
    "A21 JSON of lacking keys": (
        lambda: b"{%s}\n" % b",".join(b'"c%d":1' % i for i in range(5000)) + b'{"c1":1}\n' * 60_000,
        "the table has 60,001 rows and 5,000 columns; the limit is 50,000,000 cells",
    ),
    "A23 columns": (
        lambda: b"%s\n%s\n" % (b",".join(b"c%d" % i for i in range(10_000)), b",".join([b"1"] * 10_000)),
        "the table has 10,000 columns; the limit is 5,000",
    ),
    "A23 cell": (
        lambda: b"a,b\n1," + b"x" * 100_000_000 + b"\n",
        "data.csv:2: a cell is larger than the limit of 10,000,000 characters",
    ),
    "A23 name": (
        lambda: b"a," + b"x" * 10_000 + b"\n1,2\n",
        "the name of column 2 has 10,000 characters; the limit is 1,000",
    ),
    "A28 clash of blanks": (lambda: b"a, a\n1,2\n", "two columns have the name 'a' once blanks and accents are"),
    "A28 clash of NFC and NFD": (
        "año,an\u0303o\n1,2\n".encode,
        "two columns have the name 'año' once blanks and accents are written in one way (positions 1 and 2)",
    ),
    "A28 reserved name": (lambda: b"_row,b\n1,2\n", "the column name '_row' is kept for Tahona's own row numbers"),
    "A29 JSON NaN": (lambda: b'[{"a": 1}, {"a": NaN}]', "NaN is not JSON; a missing number is null"),
    "A29 JSON -Infinity in lines": (lambda: b'{"a": 1}\n{"a": -Infinity}\n', "data.csv:2: -Infinity is not JSON"),
    "A29 JSON duplicate keys": (lambda: b'{"a": 1}\n{"a": 1, "a": 2}\n', "data.csv:2: an object has the key 'a' twice"),
    "A12 JSON 1e999": (lambda: b'{"a": 1.5}\n{"a": 1e999}\n', "data.csv:2: the number in column 'a' is infinite"),
    "A11 JSON beyond 64 bits": (
        lambda: b'[{"a": 1}, {"a": 18446744073709551616}]',
        "data.csv, row 2: the whole number in column 'a' does not fit in 64 bits",
    ),
    "A30 JSON depth": (lambda: b"[" * 100_000 + b"]" * 100_000, "the values are nested too deeply for a table"),
    "A30 JSON depth in a cell": (
        lambda: b'{"a": ' + b'{"a": ' * 100_000 + b"1" + b"}" * 100_001,
        "data.csv:1: the values are nested too deeply for a table",
    ),
    "A30 JSON 5,000 digits": (lambda: b'{"a": ' + b"9" * 5000 + b"}", "a number is written with more than 400 digits"),
    "A30 CSV 5,000 digits": (lambda: b"a\n" + b"9" * 5000 + b"\n", "data.csv:2: the whole number in column 'a'"),
    "A30 JSON nested cell": (
        lambda: b'[{"a": 1}, {"a": {"b": "' + CELL.encode() + b'"}}]',
        "data.csv, row 2: a cell in column 'a' holds an object",
    ),
    "JSON cut off": (lambda: b'[{"a": 1},\n{"a": ', "data.csv:2: the text is not valid JSON"),
    "JSON of columns": (lambda: b'{"a": [1, 2], "b": [3, 4]}', "data.csv:1: a cell in column 'a' holds a list"),
    "JSON rows that are no objects": (lambda: b"[[1, 2], [3, 4]]", "data.csv, row 1: the row is not an object"),
    "JSON without rows": (lambda: b"[]", "the table has 0 rows"),
    "JSON half a surrogate pair": (
        lambda: b'{"a": "x"}\n{"a": "' + CELL.encode() + b'\\ud83d"}',
        "data.csv:2: a cell in column 'a' holds half of a surrogate pair",
    ),
    "A15 JSON NUL": (lambda: b'{"a": "x\\u0000"}', "data.csv:1: a cell in column 'a' holds a NUL"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    assert message in refusal(tmp_path, make())


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx", "gzip", "zip"])
def test_any_damage_gives_a_table_or_a_refusal(kind: str, tmp_path: Path) -> None:
    """Bytes changed, cut out and put in at random raise nothing but Tahona's own errors."""
    frame = pd.DataFrame({"a": [1, 2, 3] * 9, "t": ["x", "ñu", "z,;"] * 9, "r": [1.5, None, 2] * 9})
    sink = io.BytesIO()
    csv = frame.to_csv(index=False).encode()
    whole = {
        "csv": lambda: csv,
        "jsonl": lambda: frame.to_json(orient="records", lines=True).encode(),
        "parquet": lambda: frame.to_parquet(sink, compression=None) or sink.getvalue(),
        "xlsx": lambda: frame.to_excel(sink, index=False) or sink.getvalue(),
        "gzip": lambda: gzip.compress(csv, mtime=0),
        "zip": lambda: zipped(a__csv=csv),
    }[kind]()
    chance = random.Random(len(kind))
    extra = [b'"', b",", b"\n", b"\r", b"\0", b"{", b"[", b"9" * 30, b"NaN", b"\xff", b"\\ud800"]
    tables = refusals = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 1, 3, 10])):
            at = chance.randrange(len(content))
            match chance.randrange(3):
                case 0:
                    content[at] = chance.randrange(256)
                case 1:
                    content[at : at + chance.randrange(1, 20)] = b""
                case _:
                    content[at:at] = chance.choice(extra)
        try:
            tables += len(read(tmp_path, bytes(content)).frame) > 0
        except DataError:
            refusals += 1
    assert tables + refusals == 150
    assert refusals > 0


def test_refuses_an_unknown_encoding_with_a_proposal(tmp_path: Path) -> None:
    message = refusal(tmp_path, b"a,b\n1,2\n", encoding="utf8-sig-x")
    assert "the declared encoding is unknown" in message
    assert "Did you mean `utf-8`?" in message


def test_refuses_a_file_over_the_limit(tmp_path: Path) -> None:
    message = refusal(tmp_path, b"a,b\n" + b"1,2\n" * 100, limits=Limits(table_bytes=100))
    assert "the table is larger than the limit of 100 bytes" in message


def test_refuses_an_archive_that_unfolds_over_the_limit(tmp_path: Path) -> None:
    message = refusal(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 1000), limits=Limits(table_bytes=1000))
    assert "the table is larger than the limit of 1,000 bytes" in message


def test_refuses_a_parquet_cell_over_the_limit(tmp_path: Path) -> None:
    content = packed_parquet(pa.table({"a": [CELL * 20, "b"]}))
    message = refusal(tmp_path, content, limits=Limits(cell_characters=100))
    assert "a cell in column 'a' is larger than the limit of 100 bytes" in message


@pytest.mark.parametrize("kind", ["numeric", None])
def test_a_number_beyond_64_bits_is_text_once_declared_a_name(kind: str | None, tmp_path: Path) -> None:
    content = b"a,b\n1,x\n99999999999999999999,y\n"
    if kind:
        refusal(tmp_path, content, types={"a": kind})
    table = read(tmp_path, content, types={"a": "id"})
    assert table.frame["a"].tolist() == ["1", "99999999999999999999"]
    table = read(tmp_path, b'[{"a": 1}, {"a": 99999999999999999999}]', types={"a": "id"})
    assert table.frame["a"].tolist() == ["1", "99999999999999999999"]


def test_a7_windows_1252_is_decoded_and_stated(tmp_path: Path) -> None:
    """Accents of an old Spanish export arrive exactly."""
    table = read(tmp_path, "niño,diagnóstico\nIñigo,depresión\nÁngel,«€ 5»\n".encode("cp1252"))
    assert list(table.frame.columns) == ["niño", "diagnóstico"]
    assert table.frame["niño"].tolist() == ["Iñigo", "Ángel"]
    assert "encoding=cp1252" in sentence(table, "read_as")


@pytest.mark.parametrize(
    ("encoding", "stated"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-32", "utf-32")],
)
def test_a8_a9_unicode_is_decoded_and_stated(encoding: str, stated: str, tmp_path: Path) -> None:
    table = read(tmp_path, "niño,b\nñ,1\n".encode(encoding))
    assert table.frame["niño"].tolist() == ["ñ"]
    assert f"encoding={stated}," in sentence(table, "read_as")


def test_a_declared_encoding_is_used(tmp_path: Path) -> None:
    table = read(tmp_path, "όνομα,τιμή\nάλφα,βήτα\n".encode("iso-8859-7"), encoding="iso-8859-7")
    assert table.frame["όνομα"].tolist() == ["άλφα"]


def test_a10_semicolons_and_decimal_commas_are_sniffed_and_stated(tmp_path: Path) -> None:
    table = read(tmp_path, b"precio;ciudad;n\n1,5;Sevilla;1\n-2,25;Toledo, vieja;2\n;Lugo;3\n")
    assert table.frame["precio"].tolist()[:2] == [1.5, -2.25]
    assert table.frame["precio"].isna().tolist() == [False, False, True]
    assert table.frame["ciudad"].tolist() == ["Sevilla", "Toledo, vieja", "Lugo"]
    assert str(table.frame["n"].dtype) == "int64"
    assert sentence(table, "read_as") == "Read as CSV: encoding=utf-8, separator=';', decimal=','."


def test_a10_quoted_decimal_commas_are_read(tmp_path: Path) -> None:
    table = read(tmp_path, b'a,b\n"1,5",x\n"0,125",y\n')
    assert table.frame["a"].tolist() == [1.5, 0.125]


@pytest.mark.parametrize(
    "content", [b'a,b\n"1,234",x\n"5,678",y\n', b"a;b\n1.234,50;x\n5,25;y\n", b"a;b;c\n1,5;x;2.5\n2,5;y;3.5\n"]
)
def test_a10_an_unclear_mark_stays_text_and_is_told(content: bytes, tmp_path: Path) -> None:
    """A thousand must never become one and a bit."""
    table = read(tmp_path, content)
    assert str(table.frame["a"].dtype) == "str"
    assert kinds(table)["unclear_decimal"] == "a"


def test_a10_a_declared_decimal_mark_settles_it(tmp_path: Path) -> None:
    table = read(tmp_path, b'a,b\n"1,234",x\n"5,678",y\n', decimal=",")
    assert table.frame["a"].tolist() == [1.234, 5.678]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a10_separators_are_sniffed_past_quoted_text(separator: str, tmp_path: Path) -> None:
    rows = [["id", "texto, libre; y | más", "n"], ["1", '"uno, dos; tres|cuatro\tcinco"', "3"]] * 1
    rows[0][1] = '"texto, libre; y | más"'
    table = read(tmp_path, "\n".join(separator.join(row) for row in rows).encode())
    assert table.frame.shape == (1, 3)
    assert table.frame["n"].tolist() == [3]


def test_a13_words_for_no_value_are_kept_literally(tmp_path: Path) -> None:
    table = read(tmp_path, b"a,b\nNone,1\nNA,2\nnull,3\nnan,4\n,5\n")
    assert table.frame["a"].tolist()[:4] == ["None", "NA", "null", "nan"]
    assert table.frame["a"].isna().tolist() == [False] * 4 + [True]


def test_a13_a_number_column_with_such_words_is_text_and_says_how_to_mend(tmp_path: Path) -> None:
    table = read(tmp_path, b"agent,b\n1,x\nNULL,y\n3.5,z\n ,w\n")
    assert table.frame["agent"].tolist() == ["1", "NULL", "3.5", " "]
    assert '2 cells (" ", "NULL")' in sentence(table, "literal_nulls")
    assert "[data] nulls" in sentence(table, "literal_nulls")
    mended = read(tmp_path, b"agent,b\n1,x\nNULL,y\n3.5,z\n ,w\n", nulls=("", " ", "NULL"))
    assert mended.frame["agent"].isna().tolist() == [False, True, False, True]
    assert str(mended.frame["agent"].dtype) == "float64"


def test_a14_leading_zeros_stay_and_warn_unless_declared(tmp_path: Path) -> None:
    content = b"zip,b\n00123,1\n45678,2\n"
    table = read(tmp_path, content)
    assert table.frame["zip"].tolist() == ["00123", "45678"]
    assert kinds(table)["leading_zeros"] == "zip"
    declared = read(tmp_path, content, types={"zip": "category"})
    assert declared.frame["zip"].tolist() == ["00123", "45678"]
    assert "leading_zeros" not in kinds(declared)
    assert read(tmp_path, content, types={"zip": "numeric"}).frame["zip"].tolist() == [123, 45678]


def test_a17_mixed_json_values_become_text_with_counts_per_type(tmp_path: Path) -> None:
    rows = [{"a": True, "b": 1}, {"a": 1, "b": 2.5}, {"a": "x", "b": None}, {"a": 2.0, "b": 3}]
    table = read(tmp_path, json.dumps(rows).encode(), name="data.json")
    assert table.frame["a"].tolist() == ["true", "1", "x", "2"]
    assert str(table.frame["b"].dtype) == "float64"
    assert "numbers: 2, booleans: 1, dates: 0, texts: 1" in sentence(table, "mixed_types")


def test_a17_a_mostly_numeric_csv_column_warns_with_counts(tmp_path: Path) -> None:
    table = read(tmp_path, b"a,b\n1,x\n2,y\ntrue,z\n" + CELL.encode() + b",w\n")
    assert table.frame["a"].tolist() == ["1", "2", "true", CELL]
    assert "numbers: 2, booleans: 1, dates: 0, texts: 1" in sentence(table, "mixed_types")


def test_booleans_are_boolean_only_if_all_are(tmp_path: Path) -> None:
    table = read(tmp_path, b"a,b,c\ntrue,True,true\nFALSE,,yes\n")
    assert [str(kind) for kind in table.frame.dtypes] == ["bool", "boolean", "str"]
    assert table.frame["a"].tolist() == [True, False]


def test_whole_numbers_real_numbers_and_text_keep_their_types(tmp_path: Path) -> None:
    table = read(tmp_path, b"i,n,r,t,e\n1,2, 1.5,x,\n-2,,+.5e1,,\n")
    assert {name: str(kind) for name, kind in table.frame.dtypes.items()} == {
        "i": "int64",
        "n": "Int64",
        "r": "float64",
        "t": "str",
        "e": "str",
    }
    assert table.frame["r"].tolist() == [1.5, 5.0]
    assert table.frame["e"].isna().all()


def test_whole_numbers_wider_than_a_float_are_told(tmp_path: Path) -> None:
    table = read(tmp_path, b"a,b\n9007199254740993,1\n2,2\n")
    assert table.frame["a"].tolist() == [9007199254740993, 2]
    assert kinds(table)["wide_integers"] == "a"


def test_a24_formula_cells_are_stored_as_they_are(tmp_path: Path) -> None:
    table = read(tmp_path, b"a,b\n=1+1,1\n+x,2\n-y,3\n@z,4\n")
    assert table.frame["a"].tolist() == ["=1+1", "+x", "-y", "@z"]


def test_a28_header_names_are_normalised_and_reported(tmp_path: Path) -> None:
    table = read(tmp_path, ' edad ,an\u0303o,,"dos\nlíneas"\n1,2,3,4\n'.encode())
    assert list(table.frame.columns) == ["edad", "año", "column_3", "dos líneas"]
    told = [finding.message() for finding in table.findings if finding.kind == "renamed_column"]
    assert told == [
        "The column name at position 1 was normalised to 'edad' (strip).",
        "The column name at position 2 was normalised to 'año' (NFC).",
        "The column name at position 3 was normalised to 'column_3' (blank).",
        "The column name at position 4 was normalised to 'dos líneas' (line break).",
    ]


def test_a_header_of_numbers_is_suspected_to_be_a_row(tmp_path: Path) -> None:
    assert "numeric_header" in kinds(read(tmp_path, b"1,2.5\n3,4\n"))


def test_a31_any_line_ends_give_the_same_table(tmp_path: Path) -> None:
    lines = ["a,b", "1,x", '2,"y', 'z"', "3,w", ""]
    frames = [
        read(tmp_path, text.encode()).frame
        for text in ("\n".join(lines), "\r\n".join(lines), "\r".join(lines), 'a,b\r1,x\r\n2,"y\nz"\r3,w')
    ]
    assert frames[0]["b"].tolist() == ["x", "y\nz", "w"]
    assert all(frame.equals(frames[0]) for frame in frames)


def test_blank_lines_are_passed_over_and_told(tmp_path: Path) -> None:
    table = read(tmp_path, b"\n\na,b\n1,2\n\n3,4\n\n")
    assert table.frame["a"].tolist() == [1, 3]
    assert "2 blank rows were passed over." in sentence(table, "blank_lines")


def test_a32_same_content_same_version_and_a_refused_file_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "b.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "c.csv").write_bytes(gzip.compress(bytes(100_000_000)))
    versions = [
        open_source(name, DataPart(source=name), tmp_path, tmp_path / "cache").version() for name in ("a.csv", "b.csv")
    ]
    assert versions[0] == versions[1]
    with pytest.raises(DataError, match="decompression bomb"):
        open_source("c.csv", DataPart(source="c.csv"), tmp_path, tmp_path / "cache").fetch()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.csv", "b.csv", "c.csv"]


def test_infinite_parquet_numbers_are_refused_with_their_row(tmp_path: Path) -> None:
    message = refusal(tmp_path, packed_parquet(pa.table({"a": [1.0, float("inf")]})))
    assert "data.csv, row 2: the number in column 'a' is infinite" in message


def test_a_frame_written_by_pandas_comes_back_as_it_was(tmp_path: Path) -> None:
    frame = pd.DataFrame({"i": [1, 2], "t": pd.Series(["ñ", None], dtype="str"), "b": [True, False]})
    frame["d"] = pd.to_datetime(["2024-01-01", "2024-01-02"]).astype("datetime64[us]")
    frame.to_parquet(tmp_path / "x.parquet")
    table = read(tmp_path, (tmp_path / "x.parquet").read_bytes(), name="y.parquet")
    pd.testing.assert_frame_equal(table.frame, frame)
