"""The portfolio: what a family tries first, in this order, and alone where nobody asks for more."""

from __future__ import annotations

from pathlib import Path

import pytest
from tables import Rows, noisy_rows

from tahona.learn.families import FAMILIES
from tahona.learn.space import Study, check_space, is_grid, plain
from tahona.project.model import FloatRange, IntRange

SEARCHED = [name for name, family in FAMILIES.items() if not is_grid(family.space)]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return noisy_rows(rows=300)


@pytest.mark.parametrize("name", SEARCHED)
def test_every_row_says_all_that_the_familys_own_space_searches(name: str) -> None:
    """What it left open would be moved to the lowest value of its range: a forest five levels deep."""
    family = FAMILIES[name]
    check_space(family, family.space)
    for row in family.portfolio:
        whole = {**family.defaults, **row}
        assert set(row) <= set(family.space), "a row is a point of the space, no more"
        assert set(family.space) <= set(whole)
        for key, values in family.space.items():
            if isinstance(values, IntRange):
                assert values.int[0] <= whole[key] <= values.int[1], key
                assert (whole[key] - values.int[0]) % values.step == 0, key
            elif isinstance(values, FloatRange):
                assert values.float[0] <= whole[key] <= values.float[1], key
            else:
                assert whole[key] in values, key
    assert len({repr(row) for row in family.portfolio}) == len(family.portfolio)


@pytest.mark.parametrize("name", SEARCHED)
def test_a_study_asks_for_the_rows_as_they_stand_and_in_their_order(name: str) -> None:
    family = FAMILIES[name]
    whole = [{key: {**family.defaults, **row}[key] for key in family.space} for row in family.portfolio]
    for seed in (0, 1):
        study = Study(family.space, first=family.portfolio, defaults=family.defaults, seed=seed, trials=9)
        asked = [plain(params) for params in (study.ask(1)[0] for _ in whole)]
        assert asked == whole
        study.tell([0.5])
        assert study.ask(1)[0] not in whole


def test_without_a_number_of_trials_the_portfolio_is_all(rows: Rows, tmp_path: Path) -> None:
    for name in ("tree", "knn", "naive_bayes", "logistic_regression"):
        family = FAMILIES[name]
        result = rows.search(name, tmp_path)
        assert [{**family.defaults, **row} for row in family.portfolio] == [
            {**family.defaults, **trial.params} for trial in result.trials
        ]
        values = [trial.value for trial in result.trials]
        assert result.params == result.trials[values.index(max(values))].params
    assert [dict(trial.params) for trial in rows.search("dummy", tmp_path).trials] == [{}]


def test_with_a_number_of_trials_the_search_begins_with_the_portfolio(rows: Rows, tmp_path: Path) -> None:
    first = rows.search("tree", tmp_path)
    more = rows.search("tree", tmp_path, trials=8)
    known = len(first.trials)
    assert len(more.trials) == 8
    assert [trial.params for trial in more.trials[:known]] == [trial.params for trial in first.trials]
    assert [trial.fold_values for trial in more.trials[:known]] == [trial.fold_values for trial in first.trials]
    assert all(trial.params not in [one.params for one in first.trials] for trial in more.trials[known:])
    assert max(trial.value for trial in more.trials) >= max(trial.value for trial in first.trials)
    fewer = rows.search("tree", tmp_path, trials=1)
    assert [trial.params for trial in fewer.trials] == [first.trials[0].params]


def test_a_space_of_the_users_own_has_twenty_trials_and_no_portfolio(rows: Rows, tmp_path: Path) -> None:
    space = {"n_neighbors": IntRange(int=(3, 90))}
    result = rows.search("knn", tmp_path, space=space)
    assert len(result.trials) == 20
    assert all(set(trial.params) == {"n_neighbors"} for trial in result.trials)
    assert result.trials[0].params == {"n_neighbors": 5}, "the family's default first"
    assert len(rows.search("knn", tmp_path, space=space, trials=3).trials) == 3
