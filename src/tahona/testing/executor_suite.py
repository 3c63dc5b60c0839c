"""What every executor must do. Inherit, say how one is made, and pytest runs the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from tahona.errors import DataError
from tahona.ports import Executor, Lost


def squared(number: int) -> int:
    return number * number


def doubled(array: np.ndarray) -> np.ndarray:
    return 2 * array


def refuse_three(number: int) -> int:
    if number == 3:
        raise DataError("Three is refused.", where="row 3", fix="Leave it out.")
    return number


def fail_with_value_error(_number: int) -> int:
    raise ValueError("not this one")


class ExecutorContract:
    """Behaviour that trials rely on."""

    def make(self, workers: int) -> Executor:
        """Return the executor under test with this many workers; `close` is called on it if it has one."""
        raise NotImplementedError

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        made = self.make(2)
        yield made
        _close(made)

    def test_results_come_in_the_order_of_the_items(self, executor: Executor) -> None:
        assert list(executor.map(squared, range(40))) == [number**2 for number in range(40)]

    def test_no_items_give_no_results(self, executor: Executor) -> None:
        assert list(executor.map(squared, [])) == []

    def test_it_can_be_used_again(self, executor: Executor) -> None:
        assert list(executor.map(squared, [1])) == [1]
        assert list(executor.map(squared, [2, 3])) == [4, 9]

    def test_items_may_be_made_on_the_way(self, executor: Executor) -> None:
        assert list(executor.map(squared, (number for number in (5, 6)))) == [25, 36]

    def test_an_error_of_ours_arrives_whole(self, executor: Executor) -> None:
        with pytest.raises(DataError) as caught:
            list(executor.map(refuse_three, range(6)))
        assert (caught.value.what, caught.value.where, caught.value.fix) == (
            "Three is refused.",
            "row 3",
            "Leave it out.",
        )

    def test_any_other_exception_arrives_as_itself(self, executor: Executor) -> None:
        with pytest.raises(ValueError, match="not this one"):
            list(executor.map(fail_with_value_error, range(3)))

    def test_it_still_works_after_an_error(self, executor: Executor) -> None:
        with pytest.raises(ValueError, match="not this one"):
            list(executor.map(fail_with_value_error, range(3)))
        assert list(executor.map(squared, [4])) == [16]

    def test_large_arrays_arrive_whole(self, executor: Executor) -> None:
        array = np.arange(400_000, dtype=np.float64)
        (result,) = executor.map(doubled, [array])
        assert not isinstance(result, Lost)
        assert np.array_equal(result, 2 * array)

    def test_the_number_of_workers_changes_no_result(self) -> None:
        results = []
        for workers in (1, 2):
            executor = self.make(workers)
            results.append(list(executor.map(squared, range(20))))
            _close(executor)
        assert results[0] == results[1]


def own_process(_item: object) -> int:
    """Return the id of the process that ran this item."""
    return os.getpid()


def _close(executor: Executor) -> None:
    close = getattr(executor, "close", None)
    if close is not None:
        close()
