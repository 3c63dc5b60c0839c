"""What a worker makes of the bytes of a request, at first sight and at the second."""

from __future__ import annotations

import json

import pytest

from tahona.core.schema import Column
from tahona.serve.front.mistakes import look_again, shown
from tahona.serve.front.rows import Limits, Reader
from tahona.serve.front.visit import RefusedError

COLUMNS = (Column("d", "datetime"), Column("c", "category"))


@pytest.fixture
def reader() -> Reader:
    return Reader(COLUMNS, (), Limits(10, 100_000))


@pytest.mark.parametrize("day", ["2026-01-31", "2026-01-31T12:30:00", None])
def test_a_date_is_taken_at_the_second_look_too(reader: Reader, day: str | None) -> None:
    """An unknown column, or a colon in a text, is no reason to refuse a date."""
    body = json.dumps({"rows": [{"d": day, "c": "see :this", "x": 1}]}).encode()
    assert reader.read(body) is None
    (row,), extra = look_again(body, reader)
    assert (row.f0, row.f1) == (day, "see :this")
    assert extra == ("x",)


def test_what_is_no_date_is_refused_with_its_place(reader: Reader) -> None:
    with pytest.raises(RefusedError) as refused:
        look_again(b'[{"d": "31st of May", "c": "a", "x": 1}]', reader)
    assert refused.value.problem.where == "row 1, column 'd'"


def test_a_days_own_format_holds_at_the_second_look() -> None:
    reader = Reader((Column("d", "datetime", format="%d.%m.%Y"),), (), Limits(10, 100))
    (row,), _ = look_again(b'{"d": "31.01.2026", "x": 1}', reader)
    assert row.f0 == "31.01.2026"


def test_half_a_surrogate_pair_can_be_shown() -> None:
    assert shown(["\ud800name"]) == ["?name"]
