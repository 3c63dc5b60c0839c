"""Dates: one number each (seconds since 1970 in UTC), and the refusal to guess between day and month.

A time without a zone is taken as UTC, cell by cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.errors import DataError
from tahona.learn.values import Cells, each, is_series
from tahona.scorer.times import ISO, NULL, from_text, microseconds

if TYPE_CHECKING:
    import pandas as pd

_YEAR_LAST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})( \d{1,2}:\d{2}(:\d{2})?)?")
_YEAR_FIRST = re.compile(r"\d{4}([/.])\d{1,2}\1\d{1,2}( \d{1,2}:\d{2}(:\d{2})?)?")
_NAMED = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y")


def read_times(values: Cells | pd.Series[Any], name: str, form: str = "") -> NDArray[Any]:
    """Return the cells as float64 seconds since 1970 UTC, NaN for null.

    Accepts date and time objects of Python, numpy and pandas, ISO 8601 text, and text in the strptime format ``form``.
    Raises DataError with column and row otherwise.
    """
    if is_series(values) and str(values.dtype).startswith("datetime64"):  # not Arrow's type, which has its own API
        series = values.dt.tz_convert(None) if values.dt.tz is not None else values
        stamps = series.to_numpy().astype("datetime64[us]").view(np.int64)
    else:
        cells = list(values.to_numpy(dtype=object)) if is_series(values) else values
        stamps = np.array(each(cells, _reader(form), name), dtype=np.int64)
        if is_series(values):  # some versions give the epoch for a null of Arrow's
            stamps[values.isna().to_numpy(dtype=bool)] = NULL
    return np.where(stamps == NULL, np.nan, stamps / 1e6)


def _reader(form: str) -> Callable[[object], int]:
    seen: dict[str, int] = {}  # a table has few distinct days

    def read(value: object) -> int:
        if not isinstance(value, str):
            return microseconds(value, form)
        if value not in seen:
            seen[value] = from_text(value, form)
        return seen[value]

    return read


def looks_like_date(text: str) -> bool:
    """Tell whether the text has the outline of a date, whatever day and month are."""
    text = text.strip()
    return any(pattern.fullmatch(text) for pattern in (ISO, _YEAR_LAST, _YEAR_FIRST))


def find_format(distinct: Collection[str], name: str) -> str | None:
    """Return how to read these texts as dates: "" for ISO 8601, a strptime format, or None when they are no dates.

    Raises DataError when they can be read in two ways or mix time zones.
    """
    texts = [text.strip() for text in distinct]
    if not texts:
        return None
    iso = [ISO.fullmatch(text) for text in texts]
    if all(iso):
        zones = {(match[1] or "").replace("Z", "+00:00").replace(":", "") for match in iso if match}
        if len(zones) > 1:
            raise mixed_zones(name, len(zones))
        return "" if _reads(texts, "") else None
    return next((form for form in _candidates(texts, name) if _reads(texts, form)), None)


def mixed_zones(name: str, count: int) -> DataError:
    """Return the refusal of a column whose times stand in several zones (or some in none)."""
    return DataError(
        f"the times are in {count} different time zones (no zone counts as one)",
        where=f"column '{name}'",
        fix=f'Declare how to read them ([data.formats] {name} = "%Y-%m-%dT%H:%M:%S%z"), or convert them to UTC.',
    )


def _reads(texts: Collection[str], form: str) -> bool:
    try:
        for text in texts:
            from_text(text, form)
    except DataError:
        return False
    return True


def _candidates(texts: list[str], name: str) -> tuple[str, ...]:
    """Return the formats that fit the outline of every text; two day/month orders that both fit are refused."""
    last = [_YEAR_LAST.fullmatch(text) for text in texts]
    if all(last):
        return _day_or_month_first([match for match in last if match], name)
    first = [_YEAR_FIRST.fullmatch(text) for text in texts]
    if all(first):
        shapes = {(match[1], _clock(match[2], match[3])) for match in first if match}
        return tuple(f"%Y{mark}%m{mark}%d{clock}" for mark, clock in shapes) if len(shapes) == 1 else ()
    return _NAMED if all(text[-4:].isdigit() and len(text) < 25 for text in texts) else ()


def _day_or_month_first(matches: list[re.Match[str]], name: str) -> tuple[str, ...]:
    shapes = {(match[2], len(match[4]), _clock(match[5], match[6])) for match in matches}
    if len(shapes) != 1:
        return ()
    mark, digits, clock = shapes.pop()
    year = "%Y" if digits == 4 else "%y"
    day_first, month_first = (f"{order}{mark}{year}{clock}" for order in (f"%d{mark}%m", f"%m{mark}%d"))
    ones = {int(match[1]) for match in matches}
    twos = {int(match[3]) for match in matches}
    if max(ones) <= 12 and max(twos) <= 12:
        raise DataError(
            f"the dates could be read as {day_first} and as {month_first}",
            where=f"column '{name}'",
            fix=f'Declare the right one: [data.formats] {name} = "{day_first}" (or, if they are no dates, '
            f'[data.types] {name} = "category").',
        )
    return (month_first,) if max(ones) <= 12 else (day_first,)


def _clock(time: str | None, seconds: str | None) -> str:
    if not time:
        return ""
    return " %H:%M:%S" if seconds else " %H:%M"
