"""Search spaces: lists make a grid, ranges make an Optuna study that learns from one batch of trials to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from tahona.errors import InputError
from tahona.project.model import FloatRange, IntRange

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

    from tahona.learn.families import Family
    from tahona.project.model import Range

Params = Mapping[str, Any]


def check_space(family: Family, space: Mapping[str, Range]) -> None:
    """Raise InputError for a parameter that the family does not have, or a range that holds no value."""
    for name, values in space.items():
        where = f"train.search.{family.name}.{name}"
        if name not in family.accepts:
            close = get_close_matches(name, family.accepts, 1)
            hint = f"Did you mean '{close[0]}'? " if close else ""
            raise InputError(
                f"{family.name} has no parameter '{name}' that can be searched.",
                where=where,
                fix=f"{hint}It has: {', '.join(family.accepts) or 'none'}.",
            )
        if isinstance(values, (IntRange, FloatRange)):
            _check_range(values, where)


def _check_range(values: IntRange | FloatRange, where: str) -> None:
    low, high = values.int if isinstance(values, IntRange) else values.float
    if low > high:
        raise InputError("The lowest value of the range is above the highest.", where=where, fix="Write [low, high].")
    if values.log and low <= 0:
        raise InputError("A logarithmic range must start above zero.", where=where, fix="Raise the lowest value.")
    if isinstance(values, IntRange) and values.log and values.step > 1:
        raise InputError("A logarithmic range has no step.", where=where, fix="Leave out `step` or `log`.")


def is_grid(space: Mapping[str, Range]) -> bool:
    """Tell whether every parameter is a list; nothing at all is the grid with one point."""
    return not any(isinstance(values, (IntRange, FloatRange)) for values in space.values())


def plain(params: Params) -> dict[str, Any]:
    """Return the parameters with the word "none" read as None, which TOML cannot write."""
    return {name: None if value == "none" else value for name, value in params.items()}


def grid(space: Mapping[str, Range]) -> list[dict[str, Any]]:
    """Return every combination in scikit-learn's order, so that ties fall as they do in GridSearchCV."""
    from sklearn.model_selection import ParameterGrid

    return [plain(params) for params in ParameterGrid({name: list(_choices(values)) for name, values in space.items()})]


def _choices(values: Range) -> Sequence[Any]:
    assert not isinstance(values, (IntRange, FloatRange))
    return values


class Study:
    """An Optuna study in memory. It is told everything again after an interruption, and then asks the same.

    The sampler is new for every batch, seeded by (seed, number of the batch): what is proposed depends on the results
    of the batches before and on nothing else.
    """

    def __init__(
        self, space: Mapping[str, Range], *, defaults: Params, seed: int, trials: int, first: Sequence[Params] = ({},)
    ) -> None:
        import optuna

        self.seed = seed
        self.batches = 0
        # A portfolio is a better start than random points: the sampler learns from it at once.
        self.startup = len(first) if len(first) > 1 else max(1, min(10, trials // 2))
        self.distributions = {name: _distribution(space[name]) for name in sorted(space)}
        with _quiet_optuna():
            self.study = optuna.create_study(direction="maximize")
        for params in first:
            known = {**defaults, **params}
            self.study.enqueue_trial({name: _nearest(space[name], known.get(name)) for name in sorted(space)})
        self.waiting: list[optuna.Trial] = []

    def ask(self, size: int) -> list[dict[str, Any]]:
        """Propose the next batch, at first what was given to begin with."""
        import optuna

        seed = int(np.random.SeedSequence([self.seed, self.batches]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.startup)
        self.batches += 1
        self.waiting = [self.study.ask(self.distributions) for _ in range(size)]
        return [plain(trial.params) for trial in self.waiting]

    def tell(self, values: Sequence[float]) -> None:
        """Report the batch, greater is better; NaN is a trial that failed."""
        import optuna

        with _quiet_optuna():
            for trial, value in zip(self.waiting, values, strict=True):
                if np.isnan(value):
                    self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    self.study.tell(trial, float(value))


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(values: Range) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, IntRange):
        low, high = values.int
        return IntDistribution(low, high - (high - low) % values.step, log=values.log, step=values.step)
    if isinstance(values, FloatRange):
        return FloatDistribution(*values.float, log=values.log)
    return CategoricalDistribution(values)


def _nearest(values: Range, default: object) -> Any:  # noqa: ANN401 - whatever the parameter takes
    """Return the default if the range holds it, else the value of the range that comes closest."""
    if isinstance(values, IntRange):
        low, high = values.int
        wanted = min(max(int(default), low), high) if isinstance(default, (int, float)) else low
        return wanted - (wanted - low) % values.step
    if isinstance(values, FloatRange):
        low_end, high_end = values.float
        return min(max(float(default), low_end), high_end) if isinstance(default, (int, float)) else low_end
    return default if default in values else values[0]
