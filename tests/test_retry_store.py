"""Asking again: around any store, only what may go well a moment later, and not for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tahona.errors import IntegrityError, SetupError, TransientError
from tahona.stores.folder import FolderStore
from tahona.stores.retry import Backoff, RetryingStore
from tahona.testing import StoreroomContract

FIX = "is the server up?"


class Moody:
    """A store that does what it is asked, but two times in three only after it has said that it cannot."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self._asked = 0
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., object]:
        operation = getattr(self._store, name)

        def ask(*words: object) -> object:
            with self._lock:
                self._asked += 1
                mood = self._asked % 3
            if mood == 1:
                raise TransientError("not now", where="stores.artifacts", fix=FIX)
            answer = operation(*words)
            if mood == 2:  # it was done, and the answer was lost
                raise TransientError("not now", where="stores.artifacts", fix=FIX)
            return answer

        return ask


class TestRetryingStore(StoreroomContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> RetryingStore:
        return RetryingStore(FolderStore(tmp_path / "artifacts"))


class TestRetryingMoodyStore(StoreroomContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> RetryingStore:
        moody = Moody(FolderStore(tmp_path / "artifacts"))
        return RetryingStore(moody, Backoff(first=0.001))  # type: ignore[arg-type]


def failing(error: Exception, times: int) -> tuple[Callable[[], str], list[int]]:
    """Return a question that fails so many times, and the list that counts how often it was asked."""
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        if len(asked) <= times:
            raise error
        return "answer"

    return ask, asked


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    """Each pause lies between half of its ceiling and the ceiling; two that were turned away together part ways."""
    slept: list[list[float]] = [[], []]
    for pauses in slept:
        ask, _ = failing(TransientError("not now"), 12)
        assert Backoff(first=0.1, longest=3.0, sleep=pauses.append).call(ask) == "answer"
        ceilings = [0.2, 0.4, 0.8, 1.6] + [3.0] * 8
        assert all(top / 2 <= pause <= top for pause, top in zip(pauses, ceilings, strict=True))
    assert slept[0] != slept[1]


@pytest.mark.parametrize("error", [SetupError("no bucket"), IntegrityError("damaged"), OSError("disk")])
def test_what_will_not_pass_is_not_repeated(error: Exception) -> None:
    ask, asked = failing(error, 1)
    with pytest.raises(type(error)):
        Backoff().call(ask)
    assert len(asked) == 1


def test_patience_ends_and_says_so() -> None:
    """After the time and the tries the error is one that nobody repeats; it keeps where and fix."""
    ask, asked = failing(TransientError("not now", where="stores.artifacts", fix=FIX), 99)
    with pytest.raises(SetupError) as caught:
        Backoff(seconds=0, tries=4, sleep=lambda _: None).call(ask)
    assert type(caught.value) is SetupError
    assert len(asked) == 4
    assert str(caught.value) == f"stores.artifacts: not now (4 tries in 0 s)\nFix: {FIX}"


def test_who_gave_up_rests_and_then_asks_once_until_there_is_an_answer() -> None:
    """So that a run whose store is gone ends soon, and one whose store came back has all its patience again."""
    backoff = Backoff(seconds=0, tries=3, rest=0.2, sleep=lambda _: None)
    for times in (3, 0, 0, 1, 0):
        if times == 1:
            time.sleep(0.25)
        ask, asked = failing(TransientError("not now", where="stores.artifacts", fix=FIX), 99)
        with pytest.raises(SetupError) as caught:
            backoff.call(ask)
        assert len(asked) == times
        assert str(caught.value).startswith("stores.artifacts: not now")
        assert caught.value.fix == FIX
    time.sleep(0.25)
    assert backoff.call(lambda: "answer") == "answer"
    ask, asked = failing(TransientError("not now"), 2)
    assert backoff.call(ask) == "answer"
    assert len(asked) == 3
