"""When the back has to end: it was told to, its parent is gone, or one of its threads failed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


class End:
    """Made in the main thread when the process starts: signals are heard from then on."""

    def __init__(self) -> None:
        self._come = threading.Event()
        self._parent = os.getppid()
        self.by_fault = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.come())

    def come(self) -> None:
        """Let everything end."""
        self._come.set()

    def is_near(self) -> bool:
        """Tell whether to end now."""
        if os.getppid() != self._parent:
            self._come.set()
        return self._come.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        self._come.wait(seconds)

    def with_me(self, work: Callable[[End], None]) -> None:
        """Do a thread's work. Without it the process is of no use: when it fails, all ends, and the parent knows."""
        try:
            work(self)
        except BaseException:
            self.by_fault = True
            self.come()
            raise
