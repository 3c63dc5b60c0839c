"""Columns that cannot help: one value, no value, no word, a new value in every row."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from tahona.core.findings import Finding
from tahona.learn.audit.data import AuditData
from tahona.learn.audit.rows import plain_name
from tahona.scorer.text import stop_words
from tahona.scorer.words import tokens

ID_ROWS = 50
ID_SHARE = 0.95
ID_NAME = re.compile(r"(?:^|_)(?:id|uuid|guid|key|code|codigo|number|numero|row|fila|index|indice|unnamed:?)(?:_|$)")


def empty_columns(data: AuditData) -> Iterator[Finding]:
    """Name columns with one value or none in the training part (the whole table may have more)."""
    import pandas as pd

    for column in data.schema.features:
        codes = data.codes[column.name][: data.rows]
        if len(codes) == 0 or (codes != codes[0]).any():
            continue
        missing = bool(pd.isna(data.train[column.name][0]))
        yield Finding("null_in_train" if missing else "constant_in_train", column.name)


def nearly_unique_columns(data: AuditData) -> Iterator[Finding]:
    """Name features with a new value in nearly every row: they can be learnt by heart, and say nothing of a new row."""
    import pandas as pd

    if data.rows < ID_ROWS:
        return
    for column in data.schema.of_kind("numeric", "category"):
        values, codes = data.train[column.name], data.codes[column.name][: data.rows]
        known = ~pd.isna(values)
        count, distinct = int(known.sum()), len(np.unique(codes[known]))
        if count < ID_ROWS or distinct < ID_SHARE * count:
            continue
        if column.kind == "category" or _counts_rows(column.name, values[known].astype(np.float64), distinct):
            yield Finding("nearly_unique", column.name, {"values": distinct, "rows": count})


def _counts_rows(name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]], distinct: int) -> bool:
    """Tell a row number or a key from a measurement: whole numbers, all different, dense or under a key's name."""
    if distinct < len(values) or not np.isfinite(values).all() or (values != np.floor(values)).any():
        return False
    dense = float(np.ptp(values)) < 2.0 * len(values)
    return dense or bool(ID_NAME.search(plain_name(name)))


def wordless_texts(data: AuditData) -> Iterator[Finding]:
    """Name text columns in which no training row has a word that says something: a model learns nothing from them."""
    import pandas as pd

    common = stop_words("en") | stop_words("es")
    for column in data.schema.of_kind("text"):
        values = data.train[column.name]
        known = values[~pd.isna(values)]
        if len(known) and not any(set(tokens(text)) - common for text in known):
            yield Finding("no_words", column.name, {"rows": len(known)})
