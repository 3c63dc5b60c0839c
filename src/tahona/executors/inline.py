"""Trials one after another in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tahona.project.model import RunPart

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")


class InlineExecutor:
    """Runs everything here, each item when its result is asked for."""

    workers = 1

    def share(self, _key: str, make: Callable[[], Value]) -> Value:
        """Return the value itself."""
        return make()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return map(function, items)

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


def open_executor(_run: RunPart, _root: Path) -> InlineExecutor:
    return InlineExecutor()
