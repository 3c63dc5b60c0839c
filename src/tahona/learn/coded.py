"""A column of texts as a few distinct ones and a code per row: nothing is looked up twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.errors import DataError
from tahona.learn.values import canonical, read_texts

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray


@dataclass(frozen=True, slots=True)
class Coded:
    """``texts[codes]`` are the canonical texts, None for null; two codes may stand for one text."""

    texts: tuple[str | None, ...]
    codes: NDArray[Any]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: NDArray[Any] | slice) -> Coded:
        return Coded(self.texts, self.codes[rows])

    def each(self, find: Callable[[str | None], Any], kind: type) -> NDArray[Any]:
        """Return what ``find`` gives for each row's text, asked once per distinct text."""
        found: NDArray[Any] = np.array([find(text) for text in self.texts], dtype=kind).take(self.codes)
        return found

    def tolist(self) -> list[str | None]:
        """Return each row's text."""
        return [self.texts[code] for code in self.codes.tolist()]

    def to_pandas(self) -> ExtensionArray:
        """Return the texts in pandas' `str` type, null as NaN."""
        import pandas as pd

        return pd.array(list(self.texts), dtype="str").take(self.codes)

    @property
    def once(self) -> Coded:
        """Each distinct text in a row of its own."""
        return Coded(self.texts, np.arange(len(self.texts)))


def read_coded(series: pd.Series[Any], name: str) -> Coded | NDArray[Any]:
    """Return the cells as `read_texts` does, coded where the column has one type throughout. Raises its DataError."""
    import pandas as pd
    from pandas.api.types import is_object_dtype as is_object

    dtype = series.dtype
    if is_object(dtype) or isinstance(dtype, pd.ArrowDtype):
        return read_texts(series, name)
    if isinstance(dtype, pd.CategoricalDtype):
        codes, distinct = series.cat.codes.to_numpy(), series.cat.categories.to_numpy(dtype=object)
    else:  # equal cells have equal texts
        codes, index = pd.factorize(series)
        distinct = index.to_numpy(dtype=object)
    try:
        texts = [canonical(value) for value in distinct]
    except DataError:
        return read_texts(series, name)  # names the row
    return Coded((*texts, None), codes)  # null is -1: the last
