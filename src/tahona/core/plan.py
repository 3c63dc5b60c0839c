"""The plan of a run: which steps there are and what each one waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ROAD = ("ingest", "clean", "split", "audit", "train", "select", "evaluate", "register", "report")
"""The stations in the order in which data passes them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the road; ``train`` has one step per family, written ``train@tree``."""

    id: str
    after: tuple[str, ...] = ()

    @property
    def station(self) -> str:
        return self.id.partition("@")[0]

    @property
    def family(self) -> str:
        """The family of a ``train@…`` step, else the empty string."""
        return self.id.partition("@")[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order that can be run one after another."""

    run: str
    steps: tuple[Step, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step_id: str) -> Step:
        return next(step for step in self.steps if step.id == step_id)

    def __contains__(self, step_id: object) -> bool:
        return any(step.id == step_id for step in self.steps)


def make_plan(run: str, families: Sequence[str]) -> Plan:
    """Lay the road for these families: everything a step may read is named in its ``after``."""
    trained = tuple(f"train@{family}" for family in families)
    return Plan(
        run,
        (
            Step("ingest"),
            Step("clean", ("ingest",)),
            Step("split", ("clean",)),
            Step("audit", ("ingest", "clean", "split")),
            *(Step(name, ("clean", "split", "audit")) for name in trained),
            Step("select", ("ingest", "clean", "split", *trained)),
            Step("evaluate", ("ingest", "split", *trained, "select")),
            Step("register", ("split", "select", "evaluate")),
            Step("report", ("ingest", "clean", "split", "audit", *trained, "select", "evaluate", "register")),
        ),
    )
