"""One date as a number, and the parts of it that a model reads. A time without a zone is taken as UTC."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime

import numpy as np

from tahona.errors import DataError
from tahona.scorer.cells import canonical, is_null

NULL = int(np.iinfo(np.int64).min)
"""What stands for no date among microseconds: numpy's own NaT."""
ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?")
DAY = 86_400.0
PARTS = ("year", "month", "day", "weekday", "hour", "elapsed")
"""What `parts` returns, in order."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(value: object, form: str) -> int:
    """Return the microseconds since 1970 UTC, NULL for nothing. Raises DataError for what is no date."""
    if is_null(value):
        return NULL
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64))
    if isinstance(value, datetime):
        return since_epoch(value)
    if isinstance(value, date):
        return since_epoch(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if form and isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return from_text(canonical(value) or "", form)  # 20260131 with "%Y%m%d"
    raise DataError(
        f"a {type(value).__name__} stands where a date is expected",
        fix="Write an ISO 8601 date, or turn numbers into dates in a cleaning function.",
    )


def since_epoch(value: datetime) -> int:
    span = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def from_text(value: str, form: str) -> int:
    """Return the same for a text in ISO 8601, or in the strptime format ``form``."""
    text = value.strip()
    try:
        if form:
            return since_epoch(datetime.strptime(text, form))  # noqa: DTZ007 - no zone means UTC
        if ISO.fullmatch(text):
            return since_epoch(datetime.fromisoformat(text))
    except ValueError:
        pass
    wanted = f"of the form {form}" if form else "in ISO 8601 form (2026-01-31)"
    raise DataError(f"the text is not a date {wanted}", fix="Mend it, or declare another form in [data.formats].")


def parts(seconds: float) -> tuple[float, float, float, float, float, float]:
    """Return year, month, day, weekday, hour and days since 1970, as `tahona.learn.tables.date_parts` does."""
    if seconds != seconds:  # noqa: PLR0124 - null
        return (seconds,) * 6
    days = math.floor(seconds / DAY)
    year, month, day = _civil(days)
    return (
        float(year),
        float(month),
        float(day),
        float((days + 3) % 7),
        float((seconds - days * DAY) // 3_600),
        seconds / DAY,
    )


def _civil(days: int) -> tuple[int, int, int]:
    """Return the day of the calendar so many days after 1970, in any year: a zone can lead out of Python's dates.

    Years begin in March and eras have 400 years (Howard Hinnant, chrono-compatible low-level date algorithms).
    """
    era, in_era = divmod(days + 719_468, 146_097)
    years = (in_era - in_era // 1_460 + in_era // 36_524 - in_era // 146_096) // 365
    in_year = in_era - (365 * years + years // 4 - years // 100)
    shifted = (5 * in_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return years + era * 400 + (month <= 2), month, in_year - (153 * shifted + 2) // 5 + 1
