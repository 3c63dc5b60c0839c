"""Asking again: a store that repeats what may go well a moment later.

Only a `TransientError` is repeated. The pauses double and are drawn at random, so that many who were turned away
together do not come back together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from tahona.errors import SetupError, TransientError
from tahona.ports import Held, Store, Storeroom

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Backoff:
    """How long to go on asking. One is shared by all that ask the same server.

    It asks until ``seconds`` have passed and ``tries`` were made. Once it has given up, nobody is asked for ``rest``
    seconds, and then once only, until there is an answer: a run whose store is gone ends soon, however many questions
    it still has.
    """

    seconds: float = 40.0
    tries: int = 4
    first: float = 0.1
    longest: float = 3.0
    rest: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    _last: SetupError | None = field(default=None, init=False)
    _rested: float = field(default=0.0, init=False)

    def call(self, ask: Callable[[], Answer]) -> Answer:
        """Return the answer. Raise what is not transient at once, and a SetupError when patience is at its end."""
        began, tried = time.monotonic(), 0
        if self._last is not None and began < self._rested:
            raise SetupError(self._last.what, where=self._last.where, fix=self._last.fix) from self._last
        while True:
            try:
                answer = ask()
            except TransientError as error:
                tried += 1
                spent = time.monotonic() - began
                if self._last is not None or (tried >= self.tries and spent >= self.seconds):
                    self._last = SetupError(_tired(error, tried, spent), where=error.where, fix=error.fix)
                    self._rested = time.monotonic() + self.rest
                    raise self._last from error
                ceiling = min(self.longest, self.first * 2.0 ** min(tried, 16))
                self.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311  (when to ask is no secret)
            else:
                self._last = None
                return answer


class RetryingStore:
    """A `Store` around another that asks it again after a `TransientError`."""

    def __init__(self, store: Store, backoff: Backoff | None = None) -> None:
        self._store = store
        self._backoff = backoff or Backoff()

    def put(self, file: Path) -> str:
        return self._backoff.call(lambda: self._store.put(file))

    def get(self, digest: str) -> Path:
        return self._backoff.call(lambda: self._store.get(digest))

    def has(self, digest: str) -> bool:
        return self._backoff.call(lambda: self._store.has(digest))

    def record(self, fingerprint: str, result: bytes) -> bytes:
        return self._backoff.call(lambda: self._store.record(fingerprint, result))

    def recall(self, fingerprint: str) -> bytes | None:
        return self._backoff.call(lambda: self._store.recall(fingerprint))

    def holdings(self) -> Sequence[Held]:
        return self._backoff.call(self._storeroom().holdings)

    def remove(self, held: Held) -> bool:
        return self._backoff.call(lambda: self._storeroom().remove(held))

    def _storeroom(self) -> Storeroom:
        return cast("Storeroom", self._store)  # those that are wrapped here are all storerooms


def _tired(error: TransientError, tried: int, spent: float) -> str:
    return error.what if tried == 1 else f"{error.what} ({tried} tries in {spent:.0f} s)"
