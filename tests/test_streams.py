"""CSV and Parquet read piece by piece: the same table as read whole, and the same refusals."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tahona.core.findings import Finding
from tahona.errors import DataError
from tahona.ports import Source
from tahona.project.model import DataPart
from tahona.sources.file import FileSource
from tahona.sources.limits import LIMITS, Limits
from tahona.testing.source_suite import SourceContract

CELL = "Zebedeo"
"""Stands in bad cells; no message may hold it."""
FORMS: dict[str, Any] = {"niño": "text", "n": "whole", "r": "real", "b": "boolean", "c": "code"}
CSV = 'niño,n,r,b,c,más\nÍñigo,3,1.5,true,9,x\n"Zoé\nde ""Ávila""",,,,,y\n\n007,4,2,FALSE,9.0,z\n'


def opened(folder: Path, content: bytes, forms: Any = FORMS, limits: Limits = LIMITS, **data: Any) -> FileSource:
    folder.mkdir(exist_ok=True)
    (folder / "t").write_bytes(content)
    told: list[Finding] = []
    source = FileSource(
        folder / "t", DataPart(source="t", **data), where="t", limits=limits, forms=forms, tell=told.append
    )
    source.told = told  # type: ignore[attr-defined]
    return source


def pieces(folder: Path, content: bytes, rows: int = 2, **options: Any) -> pd.DataFrame:
    return pd.concat(opened(folder, content, **options).batches(rows))


def refusal(folder: Path, content: bytes, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        pieces(folder, content, **options)
    message = str(caught.value)
    assert CELL not in message
    assert caught.value.fix
    return message


class TestCsvStream(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return opened(tmp_path / "a", CSV.encode())

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return opened(tmp_path / "b", CSV.encode() + b"Ana,5,,,,\n")


class TestParquetStream(SourceContract):
    """Whole numbers and truth values whose nulls stand in one row group only, and no statistics that tell."""

    @staticmethod
    def written(folder: Path, rows: int) -> Source:
        table = pa.table(
            {
                "niño": pa.array(["a", "b", None, "a", "ñ"][:rows], pa.string()).dictionary_encode(),
                "n": pa.array([1, 2, 3, None, 5][:rows], pa.int32()),
                "b": pa.array([True, False, None, True, True][:rows]),
                "none": pa.nulls(rows),
                "when": pa.array([0, 1, 2, None, 4][:rows], pa.timestamp("ns", "Europe/Madrid")),
            }
        )
        folder.mkdir()
        pq.write_table(table, folder / "t", row_group_size=2, write_statistics=False)
        return FileSource(folder / "t", DataPart(source="t"), where="t")

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return self.written(tmp_path / "a", 5)

    @pytest.fixture
    def changed(self, tmp_path: Path) -> Source:
        return self.written(tmp_path / "b", 4)


def test_cells_are_read_as_their_forms_say_and_only_those_columns(tmp_path):
    source = opened(tmp_path, CSV.encode())
    found = pd.concat(source.batches(1))
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "niño": "str", "n": "Int64", "r": "float64", "b": "boolean", "c": "str"
    }  # fmt: skip
    assert found["niño"].tolist() == ["Íñigo", 'Zoé\nde "Ávila"', "007"]
    assert found["n"].tolist()[0::2] == [3, 4]
    assert found["r"].tolist()[0::2] == [1.5, 2.0]
    assert found["b"].tolist()[0::2] == [True, False]
    assert found["c"].tolist()[0::2] == ["9", "9"]
    assert found.iloc[1, 1:].isna().all()
    assert [finding.kind for finding in source.told] == ["read_as", "blank_lines"]


@pytest.mark.parametrize("rows", [1, 2, 1000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encoding_separator_and_line_ends_do_not_matter(tmp_path, rows, encoding):
    wanted = pieces(tmp_path, CSV.encode())
    for separator, end, pack in itertools.product(",;\t|", ("\n", "\r\n", "\r"), (bytes, gzip.compress)):
        content = CSV.replace(",", separator).replace("\n", end).encode(encoding)
        assert pieces(tmp_path, pack(content), rows).equals(wanted), (separator, end, pack)


def test_a_foreign_letter_far_behind_the_head_settles_the_encoding(tmp_path):
    """What is read whole as Windows-1252 is so in pieces too, not refused after a megabyte."""
    content = ("t\n" + "la cabeza\n" * 150_000 + "mañana\n").encode("cp1252")
    source = opened(tmp_path, content, forms={"t": "text"})
    assert pd.concat(source.batches(50_000))["t"].iloc[-1] == "mañana"
    assert "encoding=cp1252" in source.told[0].message()


def test_a_decimal_comma_is_found_behind_whole_numbers(tmp_path):
    forms = {"r": "real", "c": "code"}
    found = pieces(tmp_path, b"r;c\n1;9,0\n2;x\n-3,25;9,5\n", rows=1, forms=forms)
    assert found["r"].tolist() == [1.0, 2.0, -3.25]
    assert found["c"].tolist() == ["9", "x", "9.5"]


def test_declared_nulls_are_null_and_others_are_refused(tmp_path):
    forms = {"r": "real"}
    assert pieces(tmp_path, b"r\n1\nNA\n", forms=forms, nulls=("", "NA"))["r"].isna().tolist() == [False, True]
    assert "t:3: column 'r' holds numbers; this cell is none" in refusal(tmp_path, b"r\n1\nNA\n", forms=forms)


@pytest.mark.parametrize("cell", ["+1.5", " 1.5", "1.5 ", "15e-1", "1.50"])
def test_a_number_is_a_number_however_it_is_written(tmp_path, cell):
    assert pieces(tmp_path, f"r\n{cell}\n".encode(), forms={"r": "real"})["r"].tolist() == [1.5]


@pytest.mark.parametrize(
    ("cell", "code"),
    [("9", "9"), (" 9", "9"), ("9.0", "9"), ("9e0", "9"), ("007", "007"), ("TRUE", "true"), ("x ", "x "), ("-0", "0")],
)
def test_a_code_that_is_a_number_has_one_text(tmp_path, cell, code):
    assert pieces(tmp_path, f"c\n{cell}\n".encode(), forms={"c": "code"})["c"].tolist() == [code]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"n\n", "0 rows"),
        (b"n,n\n1,2\n", "two columns have the name 'n'"),
        (b"n,m\n1,2\n\n3\n", "t:4: the row has 1 cells, but the header has 2"),
        (b'm,n\n"a\nb",1\n"c\nd",1,2\n', "t:4: the row has 3 cells"),
        (b'm,n\na,1\n"b,2\n', "t:3: a double quote opens in this row and never closes"),
        (b"m,n\na,1\nb\0,2\n", "t:3: the text holds a NUL"),
        (b"m,n\n\xc3\xb1,1\n\xc3\xb1,2\n\xff\xfe\xc3,3\n", "byte 15 (line 4) is not valid utf-8"),
        (b"n\n1\n99999999999999999999\n", "t:3: the whole number in column 'n' does not fit"),
        (b"n\n1\n0x10\n", "t:3: column 'n' holds numbers"),
        (b"r\n1\n1e999\n", "t:3: the number in column 'r' is infinite"),
        (b"r\n1\nnan\n", "t:3: column 'r' holds numbers"),
        (f"r\n1\n{CELL}\n".encode(), "t:3: column 'r' holds numbers"),
        (f"b\ntrue\n{CELL}\n".encode(), "t:3: column 'b' held true and false"),
        (b"n\n1\n2.5\n", "t:3: column 'n' held whole numbers in training; this cell has a fraction"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (gzip.compress(b"n\n1\n" * 9_000, mtime=0)[:-9], "the gzip file is damaged or cut off"),
        (gzip.compress(b"PAR1", mtime=0), "the archive holds no text table"),
    ],
)
def test_what_is_refused_whole_is_refused_in_pieces_with_the_line(tmp_path, content, said):
    assert said in refusal(tmp_path, content, rows=1)


def test_a_bomb_of_one_endless_line_is_refused_in_little_memory(tmp_path):
    limits = Limits(cell_characters=100_000)
    bomb = gzip.compress(b"t\n" + b"x" * 50_000_000, mtime=0)
    assert "larger than the limit of" in refusal(tmp_path, bomb, forms={"t": "text"}, limits=limits)
    many = gzip.compress(b't,u\n"' + b"x\n" * 45_000 + b'","' + b"x\n" * 45_000 + b'","' + b"x\n" * 45_000, mtime=0)
    assert "larger than the limit of" in refusal(tmp_path, many, forms={"t": "text"}, limits=limits)


def test_rows_of_long_texts_make_shorter_pieces(tmp_path):
    """Twenty thousand texts of two megabytes would not fit into memory; so many rows are the most, not the least."""
    long = "x" * 2_000_000
    frame = pd.DataFrame({"t": [long] * 40})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "p")
    frame.to_csv(tmp_path / "c", index=False)
    for name in ("p", "c"):
        source = FileSource(tmp_path / name, DataPart(source=name), where=name, forms={"t": "text"})
        sizes = [len(piece) for piece in source.batches(20_000)]
        assert sum(sizes) == 40
        assert 1 < len(sizes) <= 40


def test_a_damaged_parquet_file_is_refused_wherever_it_breaks(tmp_path):
    whole = tmp_path / "whole"
    pq.write_table(pa.table({"n": list(range(50_000)), "niño": [str(i) for i in range(50_000)]}), whole)
    content = whole.read_bytes()
    for cut in (10, len(content) // 2, len(content) - 4):
        assert "damaged or cut off" in refusal(tmp_path, content[:cut])
    broken = content[:3000] + b"\xff" * 2000 + content[5000:]
    assert "damaged or cut off" in refusal(tmp_path, broken, rows=10_000)


def test_columns_that_nobody_asked_for_do_not_matter(tmp_path):
    """Nested or binary, infinite or not numbers: they are passed over."""
    table = pa.table({"n": [1, 2], "blob": [b"\0", b"\1"], "list": [[1], [2]], "r2": [float("inf"), 1.0]})
    pq.write_table(table, tmp_path / "p")
    assert pieces(tmp_path, (tmp_path / "p").read_bytes()).columns.tolist() == ["n"]
    assert pieces(tmp_path, b"n,x\n1,1e999\n2,zwei\n").columns.tolist() == ["n"]


def test_categories_of_parquet_come_coded_where_that_is_all_that_is_needed(tmp_path):
    """Each distinct text once, in the pieces that hold fewer of them than cells; other columns stay as they are."""
    table = pa.table(
        {"c": ["a", None, "b", "a"] * 50, "t": ["x", "y", "z", None] * 50, "d": [str(n) for n in range(200)]}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    forms: Any = {"c": "text", "t": "text", "d": "text"}

    def read(coded: frozenset[str]) -> list[pd.DataFrame]:
        source = FileSource(tmp_path / "t.parquet", DataPart(source="t"), where="t", forms=forms, coded=coded)
        return list(source.batches(150))

    plain, found = read(frozenset()), read(frozenset({"c", "d"}))
    assert [str(kind) for kind in found[0].dtypes] == ["category", "str", "str"]
    for one, other in zip(found, plain, strict=True):
        pd.testing.assert_frame_equal(one.astype("str"), other)


def test_only_text_comes_coded(tmp_path):
    """A number's text is not how Arrow writes it: columns of numbers under a dictionary stay numbers."""
    numbers = pa.array([1e20, 9.0, None, 9.0] * 10).dictionary_encode()
    pq.write_table(pa.table({"c": numbers, "w": pa.array([7, 8] * 20).dictionary_encode()}), tmp_path / "t.parquet")
    source = FileSource(
        tmp_path / "t.parquet",
        DataPart(source="t"),
        where="t",
        forms={"c": "text", "w": "text"},
        coded=frozenset({"c", "w"}),
    )
    assert [str(kind) for kind in next(source.batches(40)).dtypes] == ["float64", "int64"]
