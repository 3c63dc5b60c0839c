"""The five doors of the house, and those that a ledger or a store may have besides.

An adapter is one file that fits one of them; `tahona.wiring` has the table of all. Who opens, closes: whoever called a
factory of `tahona.wiring` owns the adapter. Every adapter passes the contract suite of its port in `tahona.testing`; a
third party's may too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd

    from tahona.core.records import AliasEvent, FetchedTable, Prediction, RunRecord, TrialRecord, Version
    from tahona.core.workflow import Workflow

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")


@runtime_checkable
class Source(Protocol):
    """Where a table comes from."""

    def version(self) -> str:
        """Return a text that changes when the content does (a digest of file bytes or rows). Cheap if it can be."""

    def fetch(self) -> FetchedTable:
        """Read the whole table, and what had to be decided for it. Raise DataError, or SetupError if unreachable."""

    def batches(self, rows: int) -> Iterator[pd.DataFrame]:
        """Give the table in pieces of at most so many rows, in bounded memory where the format allows it.

        The pieces together equal what `fetch` gives, row numbers and types included; none is empty. Raises as `fetch`.
        """


@runtime_checkable
class Store(Protocol):
    """Content-addressed artefacts, and the results of finished steps by fingerprint."""

    def put(self, file: Path) -> str:
        """Keep the file's bytes and return their sha256. Visible whole or not at all; putting twice is putting once."""

    def get(self, digest: str) -> Path:
        """Return a local file with exactly these bytes (checked). Raise IntegrityError if they changed."""

    def has(self, digest: str) -> bool:
        """Tell whether the bytes are here."""

    def record(self, fingerprint: str, result: bytes) -> bytes:
        """Keep a finished step's result unless one is kept already; return the one that is kept."""

    def recall(self, fingerprint: str) -> bytes | None:
        """Return the result kept under this fingerprint, if any."""


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that a store holds, by the digest of an object, the fingerprint of a result, or a name of its own."""

    kind: Literal["object", "result", "unfinished"]
    name: str
    size: int
    age: float
    """Seconds since it was written, or put again."""


@runtime_checkable
class Storeroom(Protocol):
    """What a store may do besides: tell all that it holds, and let go of what nothing refers to (`tahona gc`)."""

    def holdings(self) -> Sequence[Held]:
        """Return every object, result and unfinished write; it may be long."""

    def remove(self, held: Held) -> bool:
        """Remove it and tell whether it was; what was put again since it was looked at stays."""


@runtime_checkable
class Publisher(Protocol):
    """Files under names that people read. What is there is never written over."""

    place: str
    """Where that is, as a person would write it."""

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def publish(self, name: str, file: Path) -> None:
        """Lay the file out under the name, visible whole or not at all; a file that is there already stays."""


@runtime_checkable
class Ledger(Protocol):
    """Who ran what, how well it did, and which version is champion."""

    def save_run(self, run: RunRecord) -> None:
        """Write the run, whole; a run with the same id is replaced."""

    def runs(self, project: str | None = None) -> Sequence[RunRecord]:
        """Return the runs, the newest first."""

    def add_version(self, version: Version) -> Version:
        """Give the version its number (1, 2, … per name, no gap) and keep it; a run twice gets its number again."""

    def versions(self, name: str) -> Sequence[Version]:
        """Return a model's versions, the newest first; aliases filled in."""

    def move_alias(self, event: AliasEvent) -> None:
        """Point an alias at a version and append the event to the history, both or neither."""

    def history(self, name: str) -> Sequence[AliasEvent]:
        """Return who moved which alias why, the oldest first. Nothing is ever removed from it."""


@runtime_checkable
class Gallery(Protocol):
    """What a ledger may do besides: show people more than records. Asked again, it shows nothing twice."""

    def show_model(self, version: Version, bundle: Path, modules: Mapping[str, Path]) -> None:
        """Keep a bundle in the form that other programs load, before its version gets a number.

        ``modules`` is the code that its rows are cleaned by: path in the project → file.
        """

    def show_run(self, run: RunRecord, trials: Sequence[TrialRecord], files: Mapping[str, Path]) -> None:
        """Keep a finished run's trials, and its report and figures (name → file)."""


@runtime_checkable
class Signpost(Protocol):
    """What a ledger may do besides, for a server that follows its champion."""

    def pointed(self, name: str, alias: str) -> int:
        """Return the number of the version that the alias points at, 0 for none; asked several times a second.

        Raise SetupError when the ledger is away; nothing is waited for.
        """

    def in_haste(self, seconds: float) -> Ledger:
        """Return this ledger as one whose methods wait no longer than so many seconds, for a client who waits too."""


@runtime_checkable
class PredictionLog(Protocol):
    """Every row that a server answered, and what turned out to be true."""

    def add(self, predictions: Sequence[Prediction]) -> int:
        """Keep them, all or none; one whose id is there already stays as it is. Return how many were new."""

    def tell(self, truths: Mapping[str, str], when: str) -> Sequence[str]:
        """Write true labels by prediction id, a later word in place of an earlier; return the ids that are unknown."""

    def read(self, name: str, *, since: str = "", version: int | None = None) -> Iterator[Prediction]:
        """Give a model's predictions, the oldest first, in bounded memory."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What stands in place of an item's result when its worker ended, and ended again when it ran the item alone."""

    reason: str = "the worker process ended, perhaps out of memory"


@runtime_checkable
class Executor(Protocol):
    """Where trials run."""

    workers: int

    def share(self, key: str, make: Callable[[], Value]) -> Value:
        """Return what stands in an item for the value that ``make`` gives; in the worker it arrives as the value.

        Workers with a memory of their own are sent it once per key, and ``make`` is called only then. Equal keys mean
        equal values; nothing but an item may use what is returned.
        """

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Lost]:
        """Apply the function to every item; results come in the order of the items.

        An exception of the function goes through. Items whose worker ended are run again; one that ends its worker
        each time is `Lost`.
        """

    def close(self) -> None:
        """End the workers that are ours, and forget what was shared. The next `map` would start anew."""


@runtime_checkable
class Orchestrator(Protocol):
    """What walks a workflow in dependency order. It gets ids only; data passes through the store."""

    def walk(self, workflow: Workflow, run_step: Callable[[str], object]) -> None:
        """Run every step of every task once, never before those it waits for, with the retries and time of its task.

        In this process: ``run_step(step_id)``. Elsewhere: ``tahona step STEP… --run RUN`` with the workflow's options
        in the project's folder. Raise what a step raised, or SetupError when another process failed.
        """
