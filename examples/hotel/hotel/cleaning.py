"""What is done to the bookings before anything is learnt; the same functions run on every row that is predicted."""

from __future__ import annotations

import pandas as pd


def fix_children(bookings: pd.DataFrame) -> pd.DataFrame:
    """Read an unknown number of children as none: four bookings of the public table lack it."""
    return bookings.assign(children=bookings["children"].fillna(0))


def add_arrival_date(bookings: pd.DataFrame) -> pd.DataFrame:
    """Put year, month name and day together, so that bookings can be ordered by arrival."""
    written = (
        bookings["arrival_date_year"].astype("str")
        + "-"
        + bookings["arrival_date_month"].astype("str")
        + "-"
        + bookings["arrival_date_day_of_month"].astype("str")
    )
    return bookings.assign(arrival_date=pd.to_datetime(written, format="%Y-%B-%d", errors="coerce"))
