"""The sample tables that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.findings import Finding
from tahona.core.records import FetchedTable
from tahona.errors import DataError
from tahona.sources.checksum import refuse_checksum
from tahona.sources.pieces import sliced

if TYPE_CHECKING:
    import pandas as pd

    from tahona.project.model import DataPart

__all__ = ["SAMPLES", "SampleSource", "open_source"]

SAMPLES = ("breast_cancer", "digits", "iris", "wine")
"""The names that may follow ``sample:``."""


class SampleSource:
    """Feature columns as scikit-learn names and orders them, and ``target`` with the class names."""

    def __init__(self, name: str) -> None:
        self._name = name

    def version(self) -> str:
        """Return the name and the release of scikit-learn: the tables change with nothing else."""
        return f"sample:{self._name}@{version('scikit-learn')}"

    def fetch(self) -> FetchedTable:
        import pandas as pd
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{self._name}")()
        frame = pd.DataFrame(bunch.data, columns=list(map(str, bunch.feature_names)))
        names = [str(name) for name in bunch.target_names]
        frame["target"] = pd.Series([names[code] for code in bunch.target], dtype="str")
        return FetchedTable(frame, (Finding("read_as", "", {"format": "scikit-learn", "details": self._name}),))

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Give the table in pieces; it is small and read whole."""
        yield from sliced(self.fetch().frame, rows)


def open_source(source: str, data: DataPart, root: Path, cache: Path) -> SampleSource:  # noqa: ARG001  (one signature for all)
    """Return the sample table of ``sample:NAME``."""
    refuse_checksum(data.sha256, where=source)
    name = source.removeprefix("sample:")
    if name not in SAMPLES:
        close = get_close_matches(name, SAMPLES, n=1)
        fix = f"Did you mean `sample:{close[0]}`?" if close else f"There are: {', '.join(SAMPLES)}."
        raise DataError("there is no such sample table", where="`source` in [data]", fix=fix)
    return SampleSource(name)
