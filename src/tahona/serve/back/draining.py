"""Empties the spool into the prediction log, off every request's path.

A file is taken away once all of its lines are entered and nobody writes to it any more. How far it has come stands
nowhere but in memory: after a restart it reads a file from its start again, and the log enters no id twice.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from tahona.core.records import Prediction
from tahona.errors import TahonaError
from tahona.owners import is_left
from tahona.ports import PredictionLog
from tahona.serve.back.end import End
from tahona.serve.spool import Spool, read_pieces
from tahona.serve.telling import tell
from tahona.serve.troubles import Troubles

ROUND = 0.5
"""Seconds between two looks into the spool."""
PIECE = 1 << 20
"""Bytes of lines that are entered at a time, and one line at most."""
REST = 1.0
"""Seconds until the log is tried again that could not be used."""
FLUSH = 0.15
"""Seconds after which every process has written to the spool what it predicted before."""
PATIENCE = 1.5
"""Seconds that somebody waits for what is on its way."""


class Waiting(msgspec.Struct, gc=False):
    """A `Prediction` as a line of the spool has it: what the log keeps as JSON stays JSON, unread."""

    id: str
    name: str
    version: int
    when: str
    label: str
    probabilities: msgspec.Raw
    key: str = ""
    features: msgspec.Raw = msgspec.Raw(b"null")
    warnings: msgspec.Raw = msgspec.Raw(b"[]")
    truth: None = None
    told: None = None


_DECODER = msgspec.json.Decoder(Waiting)
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Drainer:
    """Brings predictions from the spool into the log; one thread drains."""

    def __init__(self, folder: Path, log: PredictionLog, own: Spool, troubles: Troubles) -> None:
        self._folder = folder
        self._log = log
        self._own = own
        self._troubles = troubles
        self._read: dict[str, int] = {}
        """File (by its name without suffix) → bytes of it that are entered."""
        self._wanted = threading.Event()
        self._passed = threading.Condition()
        self._rounds = 0
        self.entered = 0
        """Predictions that were new to the log since the process started."""

    def run(self, end: End) -> None:
        """Drain until the end; what is left then is for `drain`, or for the next start."""
        while not end.is_near():
            self._wanted.clear()
            well = self.drain()
            with self._passed:
                self._rounds += well
                self._passed.notify_all()
            if well:
                self._wanted.wait(ROUND)
            else:
                end.wait(REST)

    def drain(self, until: float | None = None) -> bool:
        """Enter all that is there; tell whether it was done. ``until``: when to leave the rest (`time.monotonic`)."""
        try:
            self._own.flush()
            for file in sorted(self._folder.iterdir()):
                if file.suffix in (".open", ".left"):
                    self._drain_file(file, until)
        except TahonaError as error:
            self._troubles.begin("log", "the prediction log cannot be written; predictions wait in files", error)
            return False
        except OSError as error:
            self._troubles.begin("log", "the spool of predictions cannot be used", error)
            return False
        self._troubles.end("log")
        return until is None or time.monotonic() < until

    def catch_up(self) -> bool:
        """Wait until all that was predicted before now is entered; tell whether it is."""
        last = time.monotonic() + PATIENCE
        time.sleep(FLUSH)
        with self._passed:
            wanted = self._rounds + 2  # the one under way may have passed a file already
            while self._rounds < wanted and time.monotonic() < last:
                self._wanted.set()
                self._passed.wait(0.1)
            return self._rounds >= wanted

    def waiting(self) -> int:
        """Return how many bytes of the spool are not entered."""
        sizes = {file.stem: size for file in self._folder.iterdir() if (size := _size(file))}
        return sum(max(0, size - self._read.get(name, 0)) for name, size in sizes.items())

    def _drain_file(self, file: Path, until: float | None) -> None:
        over = file.suffix == ".left" or is_left(file)  # asked before it is read: nothing is added after that
        try:
            start = self._read.get(file.stem, 0)
            for piece in read_pieces(file, start, PIECE):
                self.entered += self._log.add(_predictions(file, piece))
                start = self._read[file.stem] = start + len(piece)
                if until is not None and time.monotonic() >= until:
                    return
        except FileNotFoundError:  # its writer has just left it: it has the other suffix now
            return
        if over:
            file.unlink(missing_ok=True)
            self._read.pop(file.stem, None)


def _predictions(file: Path, piece: bytes) -> list[Prediction]:
    """Read the lines."""
    try:
        return _decoded(piece)
    except _BROKEN:
        return _whole_ones(file, piece)


def _decoded(lines: bytes) -> list[Any]:
    lines.decode()  # what stays JSON is not looked at else
    found: list[Any] = _DECODER.decode_lines(lines)
    return found


def _whole_ones(file: Path, piece: bytes) -> list[Prediction]:
    """Read the lines; one that is none (a disk that was full, say) is told in the log and left out."""
    found: list[Any] = []
    broken = 0
    for line in piece.split(b"\n")[:-1]:
        try:
            found += _decoded(line)
        except _BROKEN:
            broken += 1
    if broken:
        tell("broken predictions", file=file.name, lines=broken)
    return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
