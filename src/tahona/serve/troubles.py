"""What the back cannot do at present, so that the workers can tell it at `/ready`.

Everybody may read `/ready`: what stands here names no address, no file and no user. The log has the rest.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tahona.clock import now
from tahona.files import write_whole
from tahona.serve.telling import tell

Part = Literal["ledger", "store", "champion", "log"]
"""ledger: who is champion is not known. store: its bundle cannot be fetched. champion: it cannot be used, and the one
before stays. log: predictions wait in the spool."""
SILENCE = 5.0
"""Seconds without a word from the back after which it counts as gone."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that does not work, in a sentence, and since when (ISO 8601 in UTC)."""

    part: Part
    what: str
    since: str


class Troubles:
    """What does not work, kept by the back in one small file; both ends of a trouble are told in the log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._held: dict[Part, Trouble] = {}
        self.mask: Callable[[str], str] = str
        """Takes the project's secrets out of what the log is told, once the project is known."""
        self._write()

    def __iter__(self) -> Iterator[Trouble]:
        return iter(tuple(self._held.values()))

    def begin(self, part: Part, what: str, error: Exception | None = None) -> None:
        """Take it down; the same trouble once more is no news."""
        with self._lock:
            if part in self._held and self._held[part].what == what:
                return
            self._held[part] = Trouble(part, what, now())
            self._write()
        tell("trouble", part=part, what=what, why=self.mask(str(error)) if error else "")

    def end(self, *parts: Part) -> None:
        """Say that these work."""
        with self._lock:
            ended = [self._held.pop(part) for part in parts if part in self._held]
            if ended:
                self._write()
        for trouble in ended:
            tell("trouble over", part=trouble.part, what=trouble.what, since=trouble.since)

    def still_here(self) -> None:
        """Let the workers see that the back lives."""
        try:
            os.utime(self._file)
        except FileNotFoundError:
            self._write()

    def _write(self) -> None:
        """Write the file; where there is no room for it, the log has to do."""
        try:
            write_whole(self._file, json.dumps([asdict(trouble) for trouble in self._held.values()]) + "\n")
        except OSError as error:
            tell("troubles cannot be written", why=error.strerror)


def read_troubles(file: Path) -> tuple[Trouble, ...]:
    """Return what does not work. Raise FileNotFoundError where no back was ever there."""
    return tuple(Trouble(**each) for each in json.loads(file.read_text("utf-8")))


def is_silent(file: Path) -> bool:
    """Tell whether nobody has said anything for a while: the back is gone, or was never there."""
    try:
        return time.time() - file.stat().st_mtime > SILENCE
    except FileNotFoundError:
        return True
