"""What every `Source` must do. Subclass `SourceContract` in a test module and give it two fixtures.

class TestMySource(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        return MySource(...)

    @pytest.fixture
    def changed(self, tmp_path):
        return MySource(...)  # the same kind of source with another content
"""

from __future__ import annotations

import math
import unicodedata

import pytest

from tahona.core.findings import FINDINGS
from tahona.core.schema import ROW
from tahona.ports import Source

__all__ = ["SourceContract"]

_TYPES = {"int64", "Int64", "float64", "bool", "boolean", "str", "datetime64[us]"}


class SourceContract:
    """Tests that hold for a source of any kind."""

    @pytest.fixture
    def source(self) -> Source:
        """Return the source under test: a table with rows."""
        raise NotImplementedError("override the fixture `source`")

    @pytest.fixture
    def changed(self) -> Source:
        """Return a source of the same kind whose content differs from that of ``source``."""
        raise NotImplementedError("override the fixture `changed`")

    def test_it_fits_the_port(self, source: Source) -> None:
        """It has the three methods of a source."""
        assert isinstance(source, Source)

    def test_the_version_is_a_short_text(self, source: Source) -> None:
        """Its version is a text that can stand in a file and in a database column."""
        version = source.version()
        assert isinstance(version, str)
        assert 0 < len(version) <= 200
        assert version.isprintable()

    def test_the_version_stays(self, source: Source) -> None:
        """Same content, same version, before and after reading."""
        before = source.version()
        source.fetch()
        assert source.version() == before

    def test_the_version_changes_with_the_content(self, source: Source, changed: Source) -> None:
        """Other content, other version."""
        assert source.version() != changed.version()

    def test_fetching_twice_gives_one_table(self, source: Source) -> None:
        """The same rows in the same order, and the same findings."""
        first, second = source.fetch(), source.fetch()
        assert first.frame.equals(second.frame)
        assert list(first.frame.columns) == list(second.frame.columns)
        assert [finding.to_dict() for finding in first.findings] == [finding.to_dict() for finding in second.findings]

    def test_a_fetched_table_belongs_to_the_caller(self, source: Source) -> None:
        """What the caller does to the frame does not show in the next one."""
        frame = source.fetch().frame
        columns = list(frame.columns)
        del frame[columns[0]]
        assert list(source.fetch().frame.columns) == columns

    @pytest.mark.parametrize("rows", [1, 7, 1_000_000])
    def test_the_pieces_together_are_the_table(self, source: Source, rows: int) -> None:
        """Read in pieces of any size it is the same table: rows, row numbers, columns and types."""
        import pandas as pd

        whole = source.fetch().frame.head(500)
        pieces = []
        for piece in source.batches(rows):
            assert 0 < len(piece) <= rows
            pieces.append(piece)
            if sum(map(len, pieces)) >= len(whole):
                break
        pd.testing.assert_frame_equal(pd.concat(pieces).head(500), whole)

    def test_there_are_rows_numbered_from_zero(self, source: Source) -> None:
        """An empty table is an error of the source, never a result."""
        frame = source.fetch().frame
        assert len(frame) > 0
        assert list(frame.index) == list(range(len(frame)))

    def test_the_column_names_are_clean(self, source: Source) -> None:
        """Names are texts in NFC without blanks around them, different, and none is Tahona's own."""
        names = list(source.fetch().frame.columns)
        assert all(
            isinstance(name, str) and name and name == unicodedata.normalize("NFC", name.strip()) for name in names
        )
        assert len(set(names)) == len(names)
        assert ROW not in names

    def test_the_types_are_the_known_ones(self, source: Source) -> None:
        """Columns have one of the types that the other steps know."""
        found = {str(kind) for kind in source.fetch().frame.dtypes}
        assert found <= _TYPES

    def test_no_number_is_infinite(self, source: Source) -> None:
        """Infinity is refused, never passed on."""
        frame = source.fetch().frame
        for name in frame.columns[[str(kind) == "float64" for kind in frame.dtypes]]:
            assert not any(map(math.isinf, frame[name]))

    def test_the_findings_can_be_told(self, source: Source) -> None:
        """Every finding is of a known kind, has its sentence in both languages, and stops nothing."""
        for finding in source.fetch().findings:
            assert finding.kind in FINDINGS
            assert finding.message("en")
            assert finding.message("es")
            assert not finding.stops
