"""What an orchestrator is told: tasks of one or more steps, what each waits for, and how patient to be with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tahona.core.plan import Plan, Step
from tahona.errors import InputError


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a failed task is tried again, after how many seconds, and how many seconds one attempt may take."""

    retries: int = 0
    delay: float = 10.0
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Steps that run one after another in one process; ``after`` are the names of tasks."""

    name: str
    steps: tuple[str, ...]
    after: tuple[str, ...] = ()
    patience: Patience = field(default_factory=Patience)
    files: tuple[str, ...] = ()
    """The project's own files that its steps read beside the project file: data, and modules of cleaning functions."""

    @property
    def families(self) -> tuple[str, ...]:
        """The families that it trains."""
        return tuple(step.partition("@")[2] for step in self.steps if step.startswith("train@"))


@dataclass(frozen=True, slots=True)
class Workflow:
    """A plan as an orchestrator sees it. Tasks stand in an order in which they can run one after another.

    ``options`` are the words that every `tahona` command of this run needs besides (`--env prod`); ``schedule`` is a
    cron line of five fields in UTC, ``file`` the name of a project file other than `tahona.toml`.
    """

    project: str
    run: str
    tasks: tuple[Task, ...]
    schedule: str | None = None
    options: tuple[str, ...] = ()
    file: str = ""

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    @property
    def train_tasks(self) -> tuple[Task, ...]:
        """The tasks that train and do nothing else: an orchestrator may map over them, for they wait for the same."""
        return tuple(task for task in self.tasks if task.families and len(task.families) == len(task.steps))


def make_workflow(
    project: str,
    plan: Plan,
    *,
    fuse: Sequence[Sequence[str]] = (),
    patience: Mapping[str, Patience] | None = None,
    schedule: str | None = None,
    options: Sequence[str] = (),
) -> Workflow:
    """Lay the plan's steps into tasks: a group of ``fuse`` becomes one task, every other step one of its own.

    A group names steps, or stations (`train` is every family). ``patience`` is by station, "" for all others; a fused
    task has the greatest of its steps'. A task waits only for what it does not wait for already by way of another.
    Raise InputError for a group that names no step of the plan, or whose steps others stand between.
    """
    groups = _groups(plan, fuse)
    owner = {step: name for name, steps in groups.items() for step in steps}
    waits = {
        name: {owner[before] for step in steps for before in plan[step].after} - {name}
        for name, steps in groups.items()
    }
    order = _in_order(waits)
    reach: dict[str, set[str]] = {}
    for name in order:
        reach[name] = set().union(*({before} | reach[before] for before in waits[name]))
    kinds = patience or {}
    tasks = []
    for name in order:
        after = [each for each in order if each in waits[name] and not any(each in reach[w] for w in waits[name])]
        stations = [plan[step].station for step in groups[name]]
        tasks.append(Task(name, groups[name], tuple(after), _most([_of(kinds, station) for station in stations])))
    return Workflow(project, plan.run, tuple(tasks), schedule, tuple(options))


def _groups(plan: Plan, fuse: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the steps of each task by its name, in the plan's order."""
    taken: dict[str, str] = {}
    for group in fuse:
        members = [step.id for word in group for step in _named(plan, word)]
        name = "+".join(group)
        for step in members:
            if step in taken:
                raise InputError(f"step '{step}' stands in two groups", where="run.fuse", fix="keep it in one of them")
            taken[step] = name
    groups: dict[str, tuple[str, ...]] = {}
    for each in plan:
        name = taken.get(each.id, each.id)
        groups[name] = (*groups.get(name, ()), each.id)
    return groups


def _named(plan: Plan, word: str) -> list[Step]:
    found = [step for step in plan if word in (step.id, step.station)]
    if not found:
        stations = dict.fromkeys(step.station for step in plan)
        raise InputError(f"there is no step '{word}'", where="run.fuse", fix=f"one of {', '.join(stations)}")
    return found


def _in_order(waits: Mapping[str, set[str]]) -> list[str]:
    order: list[str] = []
    left = list(waits)
    while left:
        ready = next((name for name in left if waits[name] <= set(order)), None)
        if ready is None:
            raise InputError(
                f"the steps of '{left[0]}' cannot run as one: another step stands between them",
                where="run.fuse",
                fix="fuse steps that follow one another, for example split and audit",
            )
        order.append(ready)
        left.remove(ready)
    return order


def _of(kinds: Mapping[str, Patience], station: str) -> Patience:
    return kinds.get(station, kinds.get("", Patience()))


def _most(each: Sequence[Patience]) -> Patience:
    """Return the patience for steps in one task: as many retries as any of them, and all of their time."""
    limits = [one.timeout for one in each]
    return Patience(
        max(one.retries for one in each),
        max(one.delay for one in each),
        None if None in limits else sum(limit for limit in limits if limit is not None),
    )
