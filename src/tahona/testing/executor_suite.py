"""What every executor must do. Inherit, say how one is made, and pytest runs the rest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

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


def first_cell(item: tuple[str, dict[str, np.ndarray]]) -> tuple[str, float]:
    return item[0], float(item[1]["deep"][0])


def aligned(item: tuple[np.ndarray, np.ndarray]) -> tuple[bool, ...]:
    return tuple(bool(array.flags.aligned) for array in item)


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(item: tuple[int, Path]) -> int:
    """Die at the number 3 the first time, which a file remembers."""
    number, memory = item
    if number == 3 and not memory.exists():
        memory.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class ExecutorContract:
    """Behaviour that trials rely on."""

    own_workers = True
    """Whether items run in processes beside this one, which may die. An executor that runs them here says False."""

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

    def test_what_is_shared_arrives_as_itself_at_any_depth(self, executor: Executor) -> None:
        arrays = [np.full(200_000, float(number)) for number in range(2)]
        items = [
            (f"item {place}", {"deep": executor.share(f"array {place % 2}", lambda place=place: arrays[place % 2])})  # type: ignore[misc]
            for place in range(6)
        ]
        assert list(executor.map(first_cell, items)) == [(f"item {place}", place % 2) for place in range(6)]

    @pytest.mark.parametrize("rows", [1, 161, 5_000, 77_777, 300_000])
    def test_arrays_arrive_where_the_processor_wants_them(self, executor: Executor, rows: int) -> None:
        """At any other address a sum has other bits."""
        values = np.arange(rows, dtype=np.float64)
        shared = executor.share(f"{rows} rows", lambda: values)
        assert list(executor.map(aligned, [(shared, values[: rows // 2])])) == [(True, True)]
        (result,) = executor.map(doubled, [shared])
        assert not isinstance(result, Lost)
        assert result.flags.aligned
        assert result.flags.writeable

    def test_what_is_shared_can_be_shared_again_after_closing(self, executor: Executor) -> None:
        for _ in range(2):
            item = ("item", {"deep": executor.share("array", lambda: np.ones(200_000))})
            assert list(executor.map(first_cell, [item])) == [("item", 1.0)]
            executor.close()

    def test_an_item_that_ends_its_worker_each_time_is_lost_and_no_other(self, executor: Executor) -> None:
        if not self.own_workers:
            pytest.skip("a killed worker is this process")
        results = list(executor.map(die_at_three, range(8)))
        assert [result for result in results if not isinstance(result, Lost)] == [0, 1, 2, 4, 5, 6, 7]
        assert isinstance(results[3], Lost)
        assert "memory" in results[3].reason

    def test_the_items_of_a_worker_that_died_are_run_again(self, executor: Executor, tmp_path: Path) -> None:
        if not self.own_workers:
            pytest.skip("a killed worker is this process")
        items = [(number, tmp_path / "died") for number in range(8)]
        assert list(executor.map(die_once, items)) == list(range(8))
        assert (tmp_path / "died").exists()

    def test_a_map_that_is_given_up_leaves_the_executor_usable(self, executor: Executor) -> None:
        results = iter(executor.map(squared, range(1000)))
        assert next(results) == 0
        del results
        assert list(executor.map(squared, [5])) == [25]

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
