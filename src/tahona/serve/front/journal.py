"""What a worker writes down: one line per request on standard error, and every prediction into the spool.

A request leaves a note of itself. Notes are made into lines some at a time, which costs less than a half of doing it
one by one, and the lines are written ten times a second: no request waits for a disk or a pipe. No line of the log has
a cell of anybody's row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import Any

import msgspec

from tahona.serve.front.entries import Answered, Entry
from tahona.serve.front.visit import Visit
from tahona.serve.metering import Meters
from tahona.serve.spool import Spool

SOME = 32
"""Notes that are made into lines together: more would keep other requests waiting."""


class Predicted(msgspec.Struct, gc=False):
    """What a request was told about its rows."""

    model: str
    version: int
    rows: Sequence[Any]
    answers: Sequence[Answered]
    features: Callable[[Any], Any]
    """What of a row may be kept."""


class Journal:
    """The worker's log, its spool and its meters."""

    def __init__(self, spool: Spool, meters: Meters) -> None:
        self._spool = spool
        self._meters = meters
        self._notes: list[tuple[float, Visit, Predicted | None]] = []
        self._lines: list[str] = []
        self._second = self._millisecond = 0
        self._prefix = self._when = ""

    def note(self, visit: Visit, predicted: Predicted | None) -> None:
        """Take down a request that is over."""
        self._notes.append((time(), visit, predicted))
        if len(self._notes) >= SOME or visit.rows > SOME:
            self.make_lines()

    def make_lines(self) -> None:
        """Make lines of the notes, and count them."""
        notes, self._notes = self._notes, []
        entries: list[Entry] = []
        for stamp, visit, predicted in notes:
            when = self._written(stamp)
            route = visit.route
            # all of it is our own words and numbers: nothing has to be escaped
            self._lines.append(
                f'{{"time":"{when}","event":"request","id":"{visit.id}","method":"{route.method}",'
                f'"route":"{route.path}","status":{visit.status},"ms":{visit.seconds * 1000:.3f},"key":"{visit.key}",'
                f'"rows":{visit.rows},"version":{visit.version}}}\n'
            )
            self._meters.request(route.method, route.path, visit.status, visit.seconds)
            if predicted is not None:
                entries += self._entries(when, visit.key, predicted)
        if entries:
            self._spool.add(entries)

    def _entries(self, when: str, key: str, predicted: Predicted) -> Iterator[Entry]:
        """Give what the prediction log keeps of every row, and count the rows."""
        model, version, features = predicted.model, predicted.version, predicted.features
        for row, answer in zip(predicted.rows, predicted.answers, strict=True):
            warnings = answer.warnings
            yield Entry(
                answer.id, model, version, when, answer.label, answer.probabilities, key, features(row), warnings
            )
            if warnings:
                self._meters.warnings.update(warnings)
        self._meters.rows[str(version)] += len(predicted.answers)

    def _written(self, stamp: float) -> str:
        """Return the time in UTC, ISO 8601 with milliseconds."""
        millisecond = int(stamp * 1000)
        if millisecond != self._millisecond:  # of all that are answered together, it is the same
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._when = f"{self._prefix}{rest:03d}+00:00"
        return self._when

    def write_log(self) -> None:
        """Write the lines of the log. Where nobody reads it, or there is no room for it, they are lost."""
        self.make_lines()
        if self._lines:
            lines, self._lines = self._lines, []
            text = "".join(lines).encode()
            with suppress(OSError):
                while text:
                    text = text[os.write(2, text) :]
