"""Scoring what cannot be compiled: one thread, and whoever comes while it works is scored together next.

Nothing waits for company. A lone request is scored at once; the busier the server, the larger the batches, and the less
each row costs. A bad row fails its own request only. Cleaning functions see one request's rows at a time, never another
client's; the models are then asked once for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tahona.bundle.predict import Read, Scored, raw_columns, score_read
from tahona.errors import DataError

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle

MOST_ROWS = 10_000
"""Rows that are scored in one go; a request of more is scored alone."""
ASIDE = 2
"""Whole tables and explanations that are worked on at a time."""

Row = Mapping[str, object]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    bundle: Bundle
    rows: Sequence[Row]
    answer: asyncio.Future[Scored]


class Batcher:
    """The one scoring thread of a process, and a few for longer work; used from one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "scoring")
        self._others = ThreadPoolExecutor(ASIDE, "aside")
        self._waiting: list[_Asked] = []
        self._working: asyncio.Task[None] | None = None

    async def score(self, bundle: Bundle, rows: Sequence[Row]) -> Scored:
        """Score raw rows: the same bits as alone. Raise DataError for rows that the bundle cannot read."""
        asked = _Asked(bundle, rows, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await asked.answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            done = loop.run_in_executor(self._thread, score_together, batch[0].bundle, [asked.rows for asked in batch])
            await asyncio.wait([done])
            error = done.exception()
            for asked, scored in zip(batch, [error] * len(batch) if error else done.result(), strict=True):
                if asked.answer.done():
                    continue  # its client has gone
                if isinstance(scored, BaseException):
                    asked.answer.set_exception(scored)
                else:
                    asked.answer.set_result(scored)
        self._working = None

    def _next(self) -> list[_Asked]:
        """Take the requests for one bundle, the longest waiting first, up to the most rows."""
        waiting = [asked for asked in self._waiting if not asked.answer.done()]
        batch: list[_Asked] = []
        rows = 0
        for asked in waiting:
            if asked.bundle is waiting[0].bundle and (not batch or rows + len(asked.rows) <= MOST_ROWS):
                batch.append(asked)
                rows += len(asked.rows)
        self._waiting = [asked for asked in waiting if asked not in batch]
        return batch

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do what takes longer than a few rows in a thread that keeps nobody else waiting for a prediction."""
        return await asyncio.get_running_loop().run_in_executor(self._others, work)

    def close(self) -> None:
        """End the threads once what they have in hand is done."""
        self._thread.shutdown()
        self._others.shutdown()


def read_rows(bundle: Bundle, rows: Sequence[Row]) -> Read:
    """Read and clean raw rows. Raise DataError naming column and row of what cannot be read."""
    return Read(len(rows), *raw_columns(bundle, rows))


def score_together(bundle: Bundle, requests: Sequence[Sequence[Row]]) -> list[Scored | DataError]:
    """Score several requests' rows at once; one that cannot be read has its error in its place."""
    if len(requests) > 1 and not bundle.cleaning.functions:
        try:
            whole = score_read(bundle, [read_rows(bundle, [row for rows in requests for row in rows])])[0]
        except DataError:
            pass  # whose row it is comes out below
        else:
            return list(_parted(whole, [len(rows) for rows in requests]))
    read = [_read_or_error(bundle, rows) for rows in requests]
    scored = iter(score_read(bundle, [each for each in read if isinstance(each, Read)]))
    return [next(scored) if isinstance(each, Read) else each for each in read]


def _parted(whole: Scored, counts: Sequence[int]) -> Iterator[Scored]:
    start = 0
    for count in counts:
        rows = slice(start, start + count)
        yield Scored(whole.labels[rows], whole.probabilities[rows], whole.warnings[rows])
        start = rows.stop


def _read_or_error(bundle: Bundle, rows: Sequence[Row]) -> Read | DataError:
    try:
        return read_rows(bundle, rows)
    except DataError as error:
        return error
