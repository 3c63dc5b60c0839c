"""Time: a table that has one and is not cut by it, and a cut by time that is not one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.findings import Finding
from tahona.learn.audit.data import AuditData
from tahona.learn.audit.rows import plain_name
from tahona.learn.split import time_values

YEAR_NAME = re.compile(r"(?:^|_)(?:year|ano|anio|date|fecha|timestamp|time|hora|datetime)(?:_|$)")
PAST_NAME = re.compile(r"birth|born|nacimiento|dob|built|construccion")
"""Years that describe a thing and order no rows."""
SECONDS = (1e8, 4.2e9)
"""From 1973 to 2103, in seconds since 1970."""


def unused_time(data: AuditData) -> Iterator[Finding]:
    """Name the honest alternative when rows are drawn at random although the table has a time."""
    if data.split.kind == "time":
        return
    name = _time_column(data)
    if name:
        kind = "time_unused" if data.split.kind == "random" else "time_unused_groups"
        yield Finding(kind, name)


def broken_time_order(data: AuditData) -> Iterator[Finding]:
    """Refuse a time split in which a test row is not later than every training row."""
    import pandas as pd

    name = data.split.by
    if data.split.kind != "time" or name is None:
        return
    train, test = (data.train[name], data.test[name]) if name in data.train else data.others.get(name, ((), ()))
    if len(train) and len(test):
        latest = time_values(pd.Series(np.concatenate([train, test])), name)
        early = int((latest[len(train) :] <= latest[: len(train)].max()).sum())
        if early:
            yield Finding("time_reversed", name, {"rows": early})


def _time_column(data: AuditData) -> str:
    """Return the column that tells the time of a row: dates before years, features before columns left out."""
    dates = [column.name for column in data.schema.of_kind("datetime")]
    years = [column.name for column in data.schema.of_kind("numeric") if _is_year(column.name, data.train[column.name])]
    outside = [name for name, (early, _) in data.others.items() if early.dtype.kind == "f" and _is_time(name, early)]
    return next((name for name in [*dates, *years, *outside] if not PAST_NAME.search(plain_name(name))), "")


def _is_year(name: str, values: NDArray[Any]) -> bool:
    known = values[np.isfinite(values)]
    if not YEAR_NAME.search(plain_name(name)) or len(known) == 0:
        return False
    return bool((known == np.floor(known)).all() and known.min() >= 1900 and known.max() <= 2100 and np.ptp(known) > 0)


def _is_time(name: str, values: NDArray[Any]) -> bool:
    """Tell whether a number outside the features is a year, or seconds since 1970 under a name that says so."""
    known = values[np.isfinite(values)]
    if _is_year(name, values):
        return True
    return bool(
        YEAR_NAME.search(plain_name(name)) and len(known) and known.min() > SECONDS[0] and known.max() < SECONDS[1]
    )
