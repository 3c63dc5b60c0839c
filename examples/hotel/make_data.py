"""Write a table of hotel bookings with the columns, the traps and about the difficulty of the public one.

    python make_data.py [--rows 20000] [--seed 0] [--out data/raw/hotel_bookings.parquet]

The bookings are invented. What they share with the real ones (Antonio, de Almeida, Nunes, "Hotel booking demand
datasets", Data in Brief 22, 2019): 32 columns, two hotels, arrivals from July 2015 to August 2017, 37 % cancelled; long
lead times, non-refundable deposits and earlier cancellations mean more of them, special requests and parking fewer;
habits drift over the years; travel groups book the same room many times over; and three columns are known only
afterwards, of which `reservation_status` is the label in other words.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

COUNTRIES = ["PRT", "GBR", "FRA", "ESP", "DEU", "ITA", "IRL", "BEL", "BRA", "NLD", "USA", "CHE", "CN", "AUT", "SWE"]
COUNTRY_SHARES = [0.41, 0.1, 0.09, 0.07, 0.06, 0.03, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01]
SEGMENTS = ["Online TA", "Offline TA/TO", "Groups", "Direct", "Corporate", "Complementary", "Aviation"]
SEGMENT_SHARES = [0.47, 0.2, 0.17, 0.106, 0.046, 0.006, 0.002]
ROOMS = list("ADEFGBCH")
ROOM_SHARES = [0.72, 0.161, 0.055, 0.024, 0.018, 0.009, 0.008, 0.005]
FIRST, LAST = np.datetime64("2015-07-01"), np.datetime64("2017-08-31")


def make_bookings(rows: int, seed: int) -> pd.DataFrame:
    """Return ``rows`` bookings in the order of the public table's columns."""
    rng = np.random.default_rng(seed)
    distinct = draw_requests(max(1, int(rows * 0.72)), rng)
    in_groups = distinct["market_segment"].isin(["Groups", "Offline TA/TO"])
    copies = np.where(in_groups, rng.geometric(0.45, len(distinct)), 1)
    bookings = distinct.loc[np.repeat(distinct.index, copies)]
    bookings = bookings.iloc[rng.permutation(len(bookings))[:rows]]
    if len(bookings) < rows:
        bookings = pd.concat([bookings, distinct.sample(rows - len(bookings), replace=True, random_state=seed)])
    bookings = bookings.reset_index(drop=True)
    return add_outcome(bookings, rng)


def draw_requests(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what is known when a booking is made, and the luck of its travel group (``_luck``)."""
    days = int((LAST - FIRST).astype(int)) + 1
    # Business grows: later days are likelier than earlier ones, and summers than winters.
    offset = np.arange(days)
    weight = (1 + 0.8 * offset / days) * (1 + 0.4 * np.cos((offset % 365 - 40) * 2 * np.pi / 365))
    arrival = FIRST + rng.choice(days, count, p=weight / weight.sum())
    calendar = pd.DatetimeIndex(arrival)
    segment = rng.choice(SEGMENTS, count, p=np.array(SEGMENT_SHARES) / sum(SEGMENT_SHARES))
    planned = np.isin(segment, ["Groups", "Offline TA/TO"])
    lead = np.clip(rng.exponential(np.where(planned, 150, 80)), 0, 700).astype(int)
    country = rng.choice(COUNTRIES, count, p=np.array(COUNTRY_SHARES) / sum(COUNTRY_SHARES)).astype(object)
    country[rng.uniform(size=count) < 0.004] = None
    firm_share = np.where(segment == "Groups", 0.42, np.where(segment == "Offline TA/TO", 0.14, 0.0))
    firm = rng.uniform(size=count) < firm_share
    deposit = np.where(firm, "Non Refund", np.where(rng.uniform(size=count) < 0.001, "Refundable", "No Deposit"))
    agent = np.where(planned, rng.integers(1, 340, count), rng.choice([9, 240, 14, 7, 28], count)).astype(float)
    agent[(segment == "Direct") | (segment == "Corporate") | (rng.uniform(size=count) < 0.02)] = np.nan
    company = np.where(segment == "Corporate", rng.integers(6, 544, count), np.nan).astype(float)
    repeated = rng.uniform(size=count) < np.where(segment == "Corporate", 0.25, 0.02)
    children = rng.choice([0.0, 1.0, 2.0, 3.0], count, p=[0.928, 0.041, 0.03, 0.001])
    children[rng.uniform(size=count) < 0.0002] = np.nan
    season = 1 + 0.35 * np.cos((calendar.day_of_year.to_numpy() - 210) * 2 * np.pi / 365)
    return pd.DataFrame(
        {
            "hotel": rng.choice(["City Hotel", "Resort Hotel"], count, p=[0.664, 0.336]),
            "lead_time": lead,
            "arrival_date_year": calendar.year.astype("int64"),
            "arrival_date_month": calendar.strftime("%B"),
            "arrival_date_week_number": calendar.isocalendar().week.to_numpy().astype(int),
            "arrival_date_day_of_month": calendar.day.astype("int64"),
            "stays_in_weekend_nights": rng.choice([0, 1, 2, 4], count, p=[0.44, 0.26, 0.28, 0.02]),
            "stays_in_week_nights": rng.poisson(2.5, count),
            "adults": rng.choice([1, 2, 3], count, p=[0.195, 0.753, 0.052]),
            "children": children,
            "babies": (rng.uniform(size=count) < 0.008).astype(int),
            "meal": rng.choice(["BB", "HB", "SC", "Undefined", "FB"], count, p=[0.773, 0.121, 0.089, 0.01, 0.007]),
            "country": country,
            "market_segment": segment,
            "distribution_channel": np.where(
                segment == "Corporate", "Corporate", np.where(segment == "Direct", "Direct", "TA/TO")
            ),
            "is_repeated_guest": repeated.astype(int),
            "previous_cancellations": (rng.uniform(size=count) < np.where(firm, 0.25, 0.02)).astype(int),
            "previous_bookings_not_canceled": np.where(repeated, rng.poisson(3, count), 0),
            "reserved_room_type": rng.choice(ROOMS, count, p=np.array(ROOM_SHARES) / sum(ROOM_SHARES)),
            "booking_changes": rng.choice([0, 1, 2, 3], count, p=[0.85, 0.11, 0.03, 0.01]),
            "deposit_type": deposit,
            "agent": agent,
            "company": company,
            "days_in_waiting_list": np.where(rng.uniform(size=count) < 0.03, rng.integers(1, 200, count), 0),
            "customer_type": np.where(planned & (rng.uniform(size=count) < 0.5), "Transient-Party", "Transient"),
            "adr": np.round(rng.gamma(6, 15, count) * season, 2),
            "required_car_parking_spaces": (rng.uniform(size=count) < 0.062).astype(int),
            "total_of_special_requests": rng.choice([0, 1, 2, 3], count, p=[0.589, 0.278, 0.109, 0.024]),
            "_arrival": arrival,
            "_luck": rng.normal(0, 1.0, count) - rng.logistic(size=count),
        }
    )


def add_outcome(bookings: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Decide who cancels, and write down what is known only afterwards."""
    segment, count = bookings["market_segment"], len(bookings)
    agent_habit = np.sin(bookings["agent"].fillna(0).to_numpy() * 12.9898) * 1.1
    drift = (bookings["_arrival"].to_numpy() - FIRST) / (LAST - FIRST)
    score = (
        -3.5
        + 0.95 * np.log1p(bookings["lead_time"]) / 2
        + 1.1 * (bookings["country"] == "PRT")
        + 0.35 * (bookings["hotel"] == "City Hotel")
        + 0.9 * drift * (segment == "Online TA")
        + 0.004 * (bookings["adr"] - 100)
        + 2.4 * bookings["previous_cancellations"]
        - 0.9 * bookings["total_of_special_requests"]
        - 0.5 * bookings["booking_changes"]
        - 1.0 * bookings["is_repeated_guest"]
        - 0.7 * (bookings["customer_type"] == "Transient-Party")
        + agent_habit
    ).to_numpy()
    # Rooms of one travel group share their fate; one booking in ten has its own.
    own = rng.uniform(size=count) < 0.1
    luck = np.where(own, rng.normal(0, 1.0, count) - rng.logistic(size=count), bookings["_luck"])
    cancelled = score + luck > 0
    cancelled &= bookings["required_car_parking_spaces"].to_numpy() == 0
    cancelled |= (bookings["deposit_type"] == "Non Refund").to_numpy() & (rng.uniform(size=count) < 0.994)
    missed = cancelled & (rng.uniform(size=count) < 0.027)
    nights = (bookings["stays_in_weekend_nights"] + bookings["stays_in_week_nights"]).to_numpy()
    notice = (bookings["lead_time"].to_numpy() * rng.uniform(size=count)).astype(int)
    days = np.where(cancelled & ~missed, -notice, np.where(missed, 0, nights))
    moved = ~cancelled & (rng.uniform(size=count) < 0.18)
    done = bookings.assign(
        is_canceled=cancelled.astype(int),
        assigned_room_type=np.where(moved, rng.choice(ROOMS, count), bookings["reserved_room_type"]),
        reservation_status=np.where(missed, "No-Show", np.where(cancelled, "Canceled", "Check-Out")),
        reservation_status_date=(bookings["_arrival"] + pd.to_timedelta(days, unit="D")).dt.strftime("%Y-%m-%d"),
    )
    names = [name for name in done.columns if not name.startswith("_")]
    for name, before in (("is_canceled", "lead_time"), ("assigned_room_type", "booking_changes")):
        names.remove(name)
        names.insert(names.index(before), name)
    return done[names]


def main() -> None:
    """Read the command line and write the table."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Write an invented table of hotel bookings.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=here / "data" / "raw" / "hotel_bookings.parquet")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    make_bookings(options.rows, options.seed).to_parquet(options.out, index=False)
    print(f"{options.rows} bookings written to {options.out}")


if __name__ == "__main__":
    main()
