"""What a worker writes down: one line per request on standard error, and every prediction into the spool.

Lines are gathered and written ten times a second, so that no request waits for a disk or a pipe. No line of the log has
a cell of anybody's row.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from time import perf_counter, time

from tahona.serve.front.visit import Visit
from tahona.serve.metering import Meters
from tahona.serve.spool import Spool

FULL = 64 << 10
"""Bytes of the log that are written at once without waiting for the next tenth of a second."""


class Journal:
    """The worker's log, its spool and its meters."""

    def __init__(self, spool: Spool, meters: Meters) -> None:
        self.spool = spool
        self.meters = meters
        self._lines: list[str] = []
        self._size = 0
        self._second = 0
        self._prefix = ""

    def now(self) -> str:
        """Return the time in UTC, ISO 8601 with milliseconds."""
        stamp = time()
        second = int(stamp)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._prefix}{int((stamp - second) * 1000):03d}+00:00"

    def request(self, visit: Visit) -> None:
        """Write down and count a request that is over. All that is written is our own words and numbers."""
        seconds = perf_counter() - visit.begun
        route, status = visit.route, visit.status
        line = (
            f'{{"time":"{self.now()}","event":"request","id":"{visit.id}","method":"{route.method}",'
            f'"route":"{route.path}","status":{status},"ms":{seconds * 1000:.3f},"key":"{visit.key}",'
            f'"rows":{visit.rows},"version":{visit.version}}}\n'
        )
        self._lines.append(line)
        self._size += len(line)
        self.meters.request(route.method, route.path, status, seconds)
        if self._size > FULL:
            self.flush()

    def flush(self) -> None:
        """Write the gathered lines of the log."""
        if self._lines:
            lines, self._lines, self._size = self._lines, [], 0
            text = "".join(lines).encode()
            while text:
                text = text[os.write(2, text) :]
