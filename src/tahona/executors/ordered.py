"""Items to workers and results back in order, when workers may end: what the executors with workers share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from tahona.errors import SetupError
from tahona.ports import Lost

Item = TypeVar("Item")
Result = TypeVar("Result")
Sent_contra = TypeVar("Sent_contra", contravariant=True)
Given_co = TypeVar("Given_co", covariant=True)

AHEAD = 2
"""Items under way per worker: one that runs and one that waits. With more, their data would fill the memory."""
KEPT = 4
"""Times so many may wait for a slow one before them: finished, but not yet their turn."""
ATTEMPTS = 2
"""Times that an item may end its worker; from the second on it runs alone."""
SENDINGS = 10
"""Times that an item is sent before the workers are given up."""
PATIENCE = 1.0
"""Seconds between two looks at whether there are workers at all."""


class WorkerEndedError(Exception):
    """A worker ended while it had the item."""


class SendAgainError(Exception):
    """The item did not run, through no fault of its own."""


class Future(Protocol):
    """What `concurrent.futures` and Dask agree on."""

    def done(self) -> bool: ...
    def add_done_callback(self, fn: Callable[[Any], object], /) -> object: ...


class Workers(Protocol[Sent_contra, Given_co]):
    """What an executor brings: how an item is sent, and what came of it."""

    def send(self, item: Sent_contra) -> Future: ...

    def result(self, future: Any) -> Given_co:  # noqa: ANN401 - what `send` gave
        """Return a finished item's result; raise what the function raised, WorkerEndedError or SendAgainError."""

    def check(self) -> None:
        """Raise SetupError when nothing will ever come."""

    def drop(self, futures: list[Any]) -> None:
        """Take back what nobody waits for any more."""


def in_order(items: Iterable[Item], workers: Workers[Item, Result], count: int) -> Iterator[Result | Lost]:
    """Give the results in the order of the items, which are taken as the workers get ahead.

    An item whose worker ended runs again when nothing else is under way, so that the innocent are not blamed; if its
    worker ends again it is `Lost`.
    """
    queue = _Queue(workers)
    source = iter(items)
    try:
        queue.fill(source, count)
        while queue.under_way:
            if queue.next_is_done():
                yield queue.take()
            queue.fill(source, count)
    finally:
        workers.drop([future for _, future in queue.under_way])


class _Queue(Generic[Item, Result]):
    """What is under way, the item that was sent first at the head."""

    def __init__(self, workers: Workers[Item, Result]) -> None:
        self.workers = workers
        self.under_way: deque[tuple[Item, Future]] = deque()
        self.changed = threading.Event()

    def fill(self, source: Iterator[Item], count: int) -> None:
        while len(self.under_way) < KEPT * AHEAD * count and self.unfinished() < AHEAD * count:
            try:
                item = next(source)
            except StopIteration:
                return
            self.under_way.append((item, self.send(item)))

    def next_is_done(self) -> bool:
        """Wait until anything is done, and tell whether the head is."""
        head, before = self.under_way[0][1], self.unfinished()
        self.wait(lambda: head.done() or self.unfinished() < before)
        return head.done()

    def take(self) -> Result | Lost:
        """Take the finished head and return its result, after another try if it needs one."""
        item, future = self.under_way.popleft()
        ended = 0
        for _ in range(SENDINGS):
            try:
                return self.workers.result(future)
            except WorkerEndedError:
                ended += 1
                if ended == ATTEMPTS:
                    return Lost()
            except SendAgainError:
                pass
            self.wait(lambda: self.unfinished() == 0)
            future = self.send(item)
            self.wait(future.done)
        raise SetupError(
            f"an item came back {SENDINGS} times without having run",
            where="run.executor",
            fix="see to the workers, then run again: what is finished is not done again",
        )

    def send(self, item: Item) -> Future:
        future = self.workers.send(item)
        future.add_done_callback(lambda _: self.changed.set())
        return future

    def unfinished(self) -> int:
        return sum(not future.done() for _, future in self.under_way)

    def wait(self, until: Callable[[], bool]) -> None:
        while not until():
            if not self.changed.wait(PATIENCE):
                self.workers.check()
            self.changed.clear()
