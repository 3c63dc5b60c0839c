"""What the back itself predicted, counted beside what the workers count, for `/metrics`."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tahona.serve.metering import Meters

EVERY = 1.0
"""Seconds between two writings while rows are counted."""


class Tally:
    """The back's own counts. They are written to a file like a worker's, so that they outlive this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._meters = Meters()
        self._lock = threading.Lock()
        self._written = 0.0

    def add(self, version: int, rows: int, warnings: Mapping[str, int]) -> None:
        """Count rows, and how many of them carried which warning."""
        with self._lock:
            self._meters.rows[str(version)] += rows
            self._meters.warnings.update(warnings)
            if time.monotonic() - self._written > EVERY:
                self._write()

    def write(self) -> None:
        """Write what was counted up to now."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        with suppress(OSError):  # without room on the disk it is written later
            self._meters.write(self._folder)
        self._written = time.monotonic()
