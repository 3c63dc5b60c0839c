"""Trials one after another in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class InlineExecutor:
    """Runs everything here, each item when its result is asked for."""

    workers = 1

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return map(function, items)

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


def open_executor(_workers: int = 1) -> InlineExecutor:
    return InlineExecutor()
