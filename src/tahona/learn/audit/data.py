"""What the audit may look at: all features, and the labels of training rows. Test labels never come here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.schema import ROW, Schema
from tahona.learn.columns import Columns, to_columns
from tahona.learn.duplicates import Codes, column_codes
from tahona.learn.values import read_texts

if TYPE_CHECKING:
    import pandas as pd

    from tahona.project.model import SplitPart


@dataclass(frozen=True, slots=True, eq=False)
class AuditData:
    """The cut table without the test labels.

    ``train`` and ``test`` hold the feature columns of either side, ``y`` the class codes of training rows, ``dropped``
    the names the project left out. ``others`` holds further columns (ids, columns kept for the split) of training and
    test rows, for the rules on groups and time. ``codes`` numbers the values of each feature, training rows first.
    """

    schema: Schema
    train: Columns
    test: Columns
    y: NDArray[np.int64]
    split: SplitPart
    dropped: Sequence[str] = ()
    others: Mapping[str, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)
    codes: Mapping[str, Codes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codes: dict[str, Codes] = {}
        for column in self.schema.features:  # one at a time: all of them together are as large as the table
            values = np.concatenate([self.train[column.name], self.test[column.name]])
            codes[column.name] = column_codes(values, fold_text=column.kind == "text")
        object.__setattr__(self, "codes", codes)

    @property
    def rows(self) -> int:
        """Number of training rows."""
        return len(self.y)

    @property
    def tested(self) -> int:
        """Number of test rows."""
        return sum(len(values) for values in list(self.test.values())[:1])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training rows per class."""
        return np.bincount(self.y, minlength=len(self.schema.labels)).astype(np.int64)


def audit_data(
    train: pd.DataFrame,
    test: pd.DataFrame,
    y: NDArray[np.int64],
    schema: Schema,
    split: SplitPart,
    *,
    dropped: Sequence[str] = (),
) -> AuditData:
    """Collect what the audit looks at from the two parts of the interim table and the training rows' class codes."""
    features = {column.name for column in schema.features}
    rest = [str(name) for name in train.columns if name not in {*features, schema.target, ROW}]
    others = {name: (_values(train[name]), _values(test[name])) for name in rest}
    trained, tested = to_columns(train, schema), to_columns(test, schema)
    del train, test  # the columns are all that is still needed of them
    return AuditData(schema, trained, tested, y, split, dropped, others)


def _values(series: pd.Series[Any]) -> NDArray[Any]:
    """Return a column that is no feature as `Columns` would hold it: float64 for dates and numbers, else texts."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(series):
        micros = series.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)
    if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
        numbers: NDArray[np.float64] = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    return read_texts(series, str(series.name))
